"""Writing a log as an executor does: appending without fsync, rotating by renaming. For simulated feeds only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.files import make_folder
from pipeline_v6_dagster.storage.log_names import rotated_path, rotations

# What an executor's logger keeps; the oldest is lost.
KEPT_ROTATIONS = 5


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


def rotate(path: Path) -> None:
    """Give the current file the number 1 and those before it the next; nothing happens if there is none.

    Raises:
        StorageError: a file cannot be moved.
    """
    if not path.exists():
        return
    try:
        for number, where in reversed(rotations(path)):
            if number >= KEPT_ROTATIONS:
                where.unlink()
            else:
                where.rename(rotated_path(path, number + 1))
        path.rename(rotated_path(path, 1))
    except OSError as error:
        raise StorageError(f"{path}: cannot be rotated: {error.strerror}") from error
