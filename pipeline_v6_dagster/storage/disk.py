"""The calls by which this project changes a disk, and no others: what a kill may fall between.

The rest of the package calls these through the module, so that a test can end the process before, in and after each.
"""

import os
from pathlib import Path
from tempfile import mkstemp


def open_to_append(path: Path, mode: int) -> int:
    """A descriptor that writes at the end of a file, made with at most this mode where it is not there."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)


def open_temporary(folder: Path, prefix: str) -> tuple[int, Path]:
    """A new file with a name of its own, for its owner alone."""
    file, name = mkstemp(prefix=prefix, dir=folder)
    return file, Path(name)


def write(file: int, content: bytes | memoryview) -> int:
    """Write from where the descriptor stands; returns how many bytes were taken."""
    return os.write(file, content)


def sync(file: int) -> None:
    """Return when what was written is on the disk."""
    os.fsync(file)


def cut(file: int, size: int) -> None:
    """Take off what follows the first so many bytes."""
    os.ftruncate(file, size)


def set_mode(file: int, mode: int) -> None:
    """Set who may read and write, whatever the umask says."""
    os.fchmod(file, mode)


def rename(path: Path, to: Path) -> None:
    """Give a file another name; one that has it is replaced at the same instant."""
    os.replace(path, to)


def remove(path: Path) -> None:
    """Delete a file.

    Raises:
        FileNotFoundError: it is not there.
    """
    os.unlink(path)


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing."""
    os.makedirs(path, exist_ok=True)
