"""`dagster dev` as the demo runs it: in a process group of its own, all of which is gone at the end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from pipeline_v6_dagster.cli.surroundings import printable
from pipeline_v6_dagster.config.settings import Settings

_GRACE_S = 15.0
_LOOK_EVERY_S = 0.1
_DAGSTER_LOG = "dagster.log"
# Dagster listens on sockets in TMPDIR, whose paths have at most 103 characters (macOS; Linux 107), 12 of the name.
_LONGEST_SOCKET_FOLDER = 90


def check_port(port: int) -> None:
    """Raises UsageError where somebody listens on the port already."""
    with socket.socket() as tried:
        # What a server that has just ended left behind does not count.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise click.UsageError(f"--port: {port} cannot be used ({error.strerror}); give another") from None


@contextmanager
def socket_folder(sandbox: str) -> Iterator[str]:
    """The sandbox, or a folder of its own where that of the machine for temporary files has a long name."""
    if len(sandbox) <= _LONGEST_SOCKET_FOLDER:
        yield sandbox
        return
    with TemporaryDirectory(prefix="v6-", dir="/tmp") as folder:
        yield folder


def check_runs(server: subprocess.Popen[bytes], settings: Settings, port: int) -> None:
    """Raises ClickException where `dagster dev` has ended, with the last line that it wrote."""
    if server.poll() is None:
        return
    written = (settings.home / _DAGSTER_LOG).read_text(errors="replace").split("\n")
    last = next((f": {printable(line.strip())}" for line in reversed(written) if line.strip()), "")
    raise click.ClickException(
        f"dagster dev ended with exit code {server.returncode}{last}; if port {port} is taken, give another --port"
    )


@contextmanager
def dagster_dev(environ: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`dagster dev` in a process group of its own, all of which is gone at the end."""
    arguments = ["-m", "pipeline_v6_dagster.definitions", "-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    with (Path(environ["PIPELINE_V6_HOME"]) / _DAGSTER_LOG).open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
            [sys.executable, "-m", "dagster", "dev", *arguments],
            env=environ,
            cwd=environ["DAGSTER_HOME"],
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, ever more firmly, and wait for each of its processes: one may still write."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_S
        try:
            os.killpg(server.pid, number)
            while time.monotonic() < deadline:
                server.poll()
                os.killpg(server.pid, 0)
                time.sleep(_LOOK_EVERY_S)
        except ProcessLookupError:
            return
