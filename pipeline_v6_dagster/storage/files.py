"""The few ways in which this project changes the disk, each safe against a kill at any instant."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from pipeline_v6_dagster.domain.errors import StorageError

FILE_MODE = 0o640


def make_folder(path: Path) -> None:
    """Make a folder and its parents; nothing happens where it is there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be made: {error.strerror}; check its owner and mode") from error


def sync_folder(path: Path) -> None:
    """Make renames and new names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, put in the place of `path` when the block ends well: readers see old or new, never a part.

    Raises:
        StorageError: it cannot be written; the old content is untouched.
    """
    make_folder(path.parent)
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
            written = Path(temporary.name)
            try:
                os.fchmod(temporary.fileno(), FILE_MODE)
                yield temporary
                temporary.flush()
                os.fsync(temporary.fileno())
                os.replace(written, path)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`.

    Raises:
        StorageError: it cannot be written; the old content is untouched.
    """
    with replacing(path) as file:
        file.write(content)
