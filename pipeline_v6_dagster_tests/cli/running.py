"""Running `pipeline-v6` as a user does, in this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

from pipeline_v6_dagster.cli.main import run


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    stdout: str
    stderr: str


def pipeline_v6(home: Path, *arguments: str, **environ: str) -> Outcome:
    """One command on `home`; no variable of the surroundings reaches it but those given."""
    stdout, stderr = TextIOWrapper(BytesIO()), TextIOWrapper(BytesIO())
    with _environment({"PIPELINE_V6_HOME": str(home), **environ}), redirect_stdout(stdout), redirect_stderr(stderr):
        exit_code = run(list(arguments))
    return Outcome(exit_code, _text(stdout), _text(stderr))


def _text(stream: TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@contextmanager
def _environment(environ: dict[str, str]) -> Iterator[None]:
    before = {name: value for name, value in os.environ.items() if name.startswith("PIPELINE_")}
    for name in before:
        del os.environ[name]
    os.environ.update(environ)
    try:
        yield
    finally:
        for name in environ:
            os.environ.pop(name, None)
        os.environ.update(before)
