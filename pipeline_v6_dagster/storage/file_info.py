"""What is known of a file without reading it: cheap enough to ask every few seconds."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline_v6_dagster.config.regular_file import open_regular
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.log_names import OPENERS, all_rotations


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file as it is now. `version` changes whenever it was written to, replaced or rotated."""

    size_bytes: int
    modified_ts: float
    version: str


def stat_file(path: Path) -> FileInfo | None:
    """What the folder says of a file; None if there is none.

    Raises:
        StorageError: it may not be read.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    return FileInfo(found.st_size, found.st_mtime, f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}")


def last_lines(path: Path, max_bytes: int) -> list[bytes]:
    """The whole lines among the last `max_bytes` of a log; of its newest rotation if it is empty or missing.

    Raises:
        StorageError: it cannot be read.
    """
    newest = all_rotations(path)[:1]
    for where in (path, *(rotation for rotation in newest if rotation.suffix not in OPENERS)):
        try:
            with open(where, "rb", opener=open_regular) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - max_bytes))
                first, *lines = file.read(max_bytes).split(b"\n")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{where}: cannot be read: {error.strerror}") from error
        # The first may have begun before what was read, the last is not whole yet.
        whole = lines[:-1] if size > max_bytes else [first, *lines[:-1]] if lines else []
        if whole:
            return whole
    return []
