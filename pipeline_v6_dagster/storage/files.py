"""The few ways in which this project changes the disk, each safe against a kill at any instant."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage import disk

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

FILE_MODE = 0o640
# A temporary file that is older was left by a process that was killed; no replacement takes as long.
_STALE_S = 3600.0


def make_folder(path: Path) -> None:
    """Make a folder and its parents; nothing happens where it is there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        disk.make_folder(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be made: {error.strerror}; check its owner and mode") from error


def sync_folder(path: Path) -> None:
    """Make renames and new names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.sync(folder)
    finally:
        os.close(folder)


def write_whole(file: int, content: bytes) -> None:
    """Write all of it."""
    written = disk.write(file, content)
    while written < len(content):  # A signal or a nearly full disk may end a write early.
        written += disk.write(file, memoryview(content)[written:])


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, put in the place of `path` when the block ends well: readers see old or new, never a part.

    Raises:
        StorageError: it cannot be written; the old content is untouched.
    """
    make_folder(path.parent)
    prefix = f".{path.name}."
    try:
        file, temporary = disk.open_temporary(path.parent, prefix)
        try:
            try:
                disk.set_mode(file, FILE_MODE)
                with BufferedWriter(_Descriptor(file)) as buffered:
                    yield buffered
                disk.sync(file)
            finally:
                os.close(file)
            disk.rename(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                disk.remove(temporary)
            raise
        sync_folder(path.parent)
        _remove_stale(path.parent, prefix)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`.

    Raises:
        StorageError: it cannot be written; the old content is untouched.
    """
    with replacing(path) as file:
        file.write(content)


def remove_file(path: Path) -> None:
    """Delete a file; nothing happens where it is not there.

    Raises:
        StorageError: it cannot be deleted.
    """
    try:
        disk.remove(path)
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{path}: cannot be deleted: {error.strerror or error}") from error


class _Descriptor(RawIOBase):
    """A descriptor that is written to through `disk`, and closed by whoever opened it."""

    def __init__(self, file: int) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, content: "ReadableBuffer", /) -> int:
        return disk.write(self._file, memoryview(content))


def _remove_stale(folder: Path, prefix: str) -> None:
    """Delete what a killed process left of its replacement of the same file."""
    now = time.time()
    for name in os.listdir(folder):
        if name.startswith(prefix):
            left = folder / name
            with suppress(FileNotFoundError):
                # One from the future was written by a clock that was ahead.
                if abs(now - left.stat().st_mtime) > _STALE_S:
                    disk.remove(left)
