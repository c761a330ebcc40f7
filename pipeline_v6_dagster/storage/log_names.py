"""The names under which rotations and archives of a log are found.

`name.jsonl` is current. A program that rotates it adds a number (`name.1.jsonl`, `name.jsonl.1`, the lowest the
newest) or a date (`name-20261124.jsonl`, `name.jsonl-20261124`, `name.jsonl.2026-11-24`, with the time of day or
without, the latest the newest), and may compress what it rotated (`.gz`, `.xz`, `.bz2`, `.zst`).
`name.000001.jsonl.gz` are archives of ours, older than any rotation, the higher number the newer.
`name.000002.jsonl.archiving` is an archive that waits to be compressed; it counts until it is deleted, also while its
`.gz` is there.
"""

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

from pipeline_v6_dagster.config.regular_file import open_regular
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.zstd_file import open_zstd

OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".zst": open_zstd,
}
UNPACKING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)

_READ_BYTES = 1 << 20

_NUMBERED = (r"\.(\d{{1,5}}){suffix}", r"{suffix}\.(\d{{1,5}})")
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
# The time of day as logrotate and Python's handlers add it, or seconds since the epoch (logrotate's %s).
_TIME = r"(?:[-_T]?[0-2]\d(?:[-_:]?[0-5]\d(?:[-_:]?[0-5]\d)?)?|-\d{{10}})?"
_DATE = f"({_YEAR}-?{_MONTH}-?{_DAY}{_TIME})"
# After a dot and before the suffix, digits alone would be the number of an archive of ours.
_DATED = (
    f"[-_]{_DATE}{{suffix}}",
    rf"\.({_YEAR}-{_MONTH}-{_DAY}{_TIME}){{suffix}}",
    f"{{suffix}}[-_.]{_DATE}",
)
_PACKED = r"(?:\.(?:gz|xz|bz2|zst))?"
_UNREADABLE = r"\.(?:zstd|lz4|lzo|lzma|Z|zip|7z|br|sz)"
_ARCHIVE = r"\.(\d{{6,}}){suffix}\.gz"
_WAITING_ARCHIVE = r"\.(\d{{6,}}){suffix}\.archiving"


def rotated_path(path: Path, number: int) -> Path:
    """`name.jsonl`, 2 -> `name.2.jsonl`."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def archive_path(path: Path, number: int) -> Path:
    """`name.jsonl`, 7 -> `name.000007.jsonl.gz`."""
    return path.with_name(f"{path.stem}.{number:06d}{path.suffix}.gz")


def waiting_archive_path(path: Path, number: int) -> Path:
    """`name.jsonl`, 7 -> `name.000007.jsonl.archiving`."""
    return path.with_name(f"{path.stem}.{number:06d}{path.suffix}.archiving")


def rotations(path: Path) -> list[tuple[int, Path]]:
    """The rotations of a log of ours that exist, newest (lowest number) first."""
    return _numbered(path, list_names(path), _NUMBERED[0])


def waiting_archives(path: Path) -> list[tuple[int, Path]]:
    """The archives that wait to be compressed, oldest (lowest number) first."""
    return _numbered(path, list_names(path), _WAITING_ARCHIVE)


def archives(path: Path) -> list[tuple[int, Path]]:
    """The archives that exist, oldest (lowest number) first, each once."""
    return archives_among(path, list_names(path))


def archives_among(path: Path, names: list[str]) -> list[tuple[int, Path]]:
    """The archives among the names of a folder, oldest (lowest number) first, each once."""
    return sorted(dict(_numbered(path, names, _ARCHIVE) + _numbered(path, names, _WAITING_ARCHIVE)).items())


def all_rotations(path: Path) -> list[Path]:
    """The rotations under any name that can be read, newest first, each once.

    Raises:
        StorageError: the folder cannot be listed.
    """
    return rotations_among(path, list_names(path))


def rotations_among(path: Path, names: list[str]) -> list[Path]:
    """The rotations among the names of a folder, newest first, each once."""
    numbered: dict[tuple[int, int], Path] = {}
    dated: dict[tuple[str, int], Path] = {}
    # A file that is being compressed is there a second time until its compression is done: the plain one counts.
    own = [name for name in names if name.startswith(path.stem)]
    for name in sorted(own, key=lambda name: (not name.endswith(tuple(OPENERS)), name)):
        for kind, pattern in enumerate(_NUMBERED):
            if found := _match(path, name, pattern + _PACKED):
                numbered[int(found), -kind] = path.with_name(name)
        for kind, pattern in enumerate(_DATED):
            if found := _match(path, name, pattern + _PACKED):
                dated[_sortable(found), -kind] = path.with_name(name)
    by_number = [where for _, where in sorted(numbered.items(), key=lambda item: (item[0][0], -item[0][1]))]
    by_date = [where for _, where in sorted(dated.items(), reverse=True)]
    if by_number and by_date and _modified_ts(by_date[0]) > _modified_ts(by_number[0]):
        return by_date + by_number  # The rotator was configured to use other names.
    return by_number + by_date


def unreadable_rotations(path: Path, *, is_thorough: bool = False) -> list[Path]:
    """The files beside a log that look like its rotations and cannot be read, by name.

    They are compressed in a way that is not supported, are damaged, or may not be opened. Damage behind the start of
    a file is found only if `is_thorough`, which unpacks all of them.

    Raises:
        StorageError: the folder cannot be listed.
    """
    names = list_names(path)
    found = [
        path.with_name(name)
        for name in names
        if any(_match(path, name, pattern + _UNREADABLE) for pattern in (*_NUMBERED, *_DATED))
        or name == f"{path.name}.old"
    ]
    return sorted(
        found + [where for where in rotations_among(path, names) if not _is_readable(where, is_thorough=is_thorough)]
    )


def list_names(path: Path) -> list[str]:
    """The names in the folder of a log; none if there is no folder.

    Raises:
        StorageError: it cannot be listed.
    """
    try:
        return os.listdir(path.parent)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{path.parent}: cannot be listed: {error.strerror}") from error


def _is_readable(path: Path, *, is_thorough: bool) -> bool:
    try:
        with open(path, "rb", opener=open_regular) as plain:
            is_packed = path.suffix in OPENERS
            file = cast("IO[bytes]", OPENERS[path.suffix](plain, "rb")) if is_packed else plain
            while file.read(_READ_BYTES if is_thorough else 1) and is_thorough and is_packed:
                pass
    except FileNotFoundError:
        return True  # It was rotated just now.
    except UNPACKING_ERRORS:
        return False
    return True


def _sortable(date: str) -> str:
    """Of `2026-11-24_13`, `20261124` the digits, so that they sort by time."""
    return re.sub(r"\D", "", date).ljust(18, "0")


def _modified_ts(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _numbered(path: Path, names: list[str], ending: str) -> list[tuple[int, Path]]:
    found = ((_match(path, name, ending), name) for name in names)
    return sorted((int(number), path.with_name(name)) for number, name in found if number is not None)


def _match(path: Path, name: str, ending: str) -> str | None:
    """What stands for the number or the date in a name that is the log's with this ending."""
    stem = path.stem
    if not name.startswith(stem):
        return None
    match = _pattern(ending, path.suffix).fullmatch(name, len(stem))
    return match[1] if match else None


@cache
def _pattern(ending: str, suffix: str) -> re.Pattern[str]:
    """What may follow a log's stem. A run lists its folders some twenty times."""
    return re.compile(ending.format(suffix=re.escape(suffix)))
