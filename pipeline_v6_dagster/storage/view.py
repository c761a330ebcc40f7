"""The logs of an executor seen from another folder: linked as they are, or copied up to some line.

A copy keeps the beginning of each file byte for byte, so that a line that is in both has the same place and digest.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

from pipeline_v6_dagster.domain.errors import StorageError


def link_folder(source: Path, target: Path) -> None:
    """`target` shows what is in `source`; where there is none, an empty folder.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            target.symlink_to(source.resolve(), target_is_directory=True)
        else:
            target.mkdir()
    except OSError as error:
        raise StorageError(f"{target}: cannot be made: {error.strerror}") from error


def copy_folder(source: Path, target: Path, is_kept: Callable[[bytes], bool]) -> None:
    """Copy the lines of every log in `source` that are kept.

    Raises:
        StorageError: a log cannot be read or copied.
    """
    try:
        target.mkdir(parents=True)
        for path in sorted(source.glob("*.jsonl*")) if source.is_dir() else ():
            opened = gzip.open if path.suffix == ".gz" else Path.open
            with opened(path, "rb") as lines, opened(target / path.name, "wb") as copy:
                copy.writelines(line for line in lines if is_kept(line))
    except (OSError, EOFError) as error:
        raise StorageError(f"{source}: cannot be copied: {error}") from error
