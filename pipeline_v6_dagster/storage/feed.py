"""Appending to a log as an executor does: whole lines, no fsync, no rotation. For simulated feeds only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.files import make_folder


def append_lines(lines_by_log: Mapping[Path, Sequence[bytes]]) -> None:
    """Append to each log, in one write.

    Raises:
        StorageError: a log cannot be written.
    """
    for path, lines in lines_by_log.items():
        make_folder(path.parent)
        try:
            with path.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from error
