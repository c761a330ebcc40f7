"""The files that make up one log: the current one, its rotations, its archives.

`name.jsonl` is current; `name.1.jsonl` is newer than `name.2.jsonl`. Others rotate to `name.jsonl.1` instead, and
compress what they rotated to `name.1.jsonl.gz` or `name.jsonl.1.gz`. `name.000001.jsonl.gz` are archives of ours, older
than any rotation, the higher number the newer. `name.000002.jsonl.archiving` is an archive that waits to be compressed;
it counts until it is deleted, also while its `.gz` is there.
"""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, cached_property
from pathlib import Path
from time import monotonic
from typing import BinaryIO, cast

from pipeline_v6_dagster.domain.errors import StorageError

# A file is known by the hash of its first line, of which at most so many bytes count.
HEAD_BYTES = 4096
_DIGEST_BYTES = 8
_COMPARED_BYTES = 1 << 16
# How long the files are opened anew because one moved meanwhile. A rotation moves a few, within milliseconds.
_PATIENCE_S = 10.0

_ROTATION = r"\.(\d{{1,5}}){suffix}"
_OTHER_ROTATION = r"{suffix}\.(\d{{1,5}})"
_ARCHIVE = r"\.(\d{{6,}}){suffix}\.gz"
_WAITING_ARCHIVE = r"\.(\d{{6,}}){suffix}\.archiving"

_Listing = list[tuple[Path, tuple[int, int] | None]]


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
    """The rotations that exist, newest (lowest number) first."""
    return _numbered(path, _names(path), _ROTATION)


def waiting_archives(path: Path) -> list[tuple[int, Path]]:
    """The archives that wait to be compressed, oldest (lowest number) first."""
    return _numbered(path, _names(path), _WAITING_ARCHIVE)


def archives(path: Path) -> list[tuple[int, Path]]:
    """The archives that exist, oldest (lowest number) first, each once."""
    return _archives(path, _names(path))


def _archives(path: Path, names: list[str]) -> list[tuple[int, Path]]:
    return sorted(dict(_numbered(path, names, _ARCHIVE) + _numbered(path, names, _WAITING_ARCHIVE)).items())


def _rotations(path: Path, names: list[str]) -> list[Path]:
    """The rotations under all the names that they have, newest first, each once."""
    found: dict[tuple[int, str], Path] = {}
    for ending in (_ROTATION, _OTHER_ROTATION):
        # A file that is being compressed is there a second time until its compression is done: the plain one counts.
        for also in (r"\.gz", ""):
            found.update({(number, ending): where for number, where in _numbered(path, names, ending + also)})
    return [where for _, where in sorted(found.items())]


def _names(path: Path) -> list[str]:
    try:
        return os.listdir(path.parent)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{path.parent}: cannot be listed: {error.strerror}") from error


def _numbered(path: Path, names: list[str], ending: str) -> list[tuple[int, Path]]:
    stem, pattern = path.stem, _pattern(ending, path.suffix)
    found = (pattern.fullmatch(name, len(stem)) for name in names if name.startswith(stem))
    return sorted((int(match[1]), path.with_name(match.string)) for match in found if match)


@cache
def _pattern(ending: str, suffix: str) -> re.Pattern[str]:
    """What may follow a log's stem. A run lists its folders some twenty times."""
    return re.compile(ending.format(suffix=re.escape(suffix)))


class LogFile:
    """One file of a log.

    It is held open, so that it stays the same file whatever name a rotation gives it. Only an archive of ours, of
    which there may be hundreds, never moves and is opened only while it is read.
    """

    def __init__(self, path: Path, held: BinaryIO | None, *, is_current: bool) -> None:
        self.path = path
        self.is_current = is_current
        self.is_compressed = path.suffix == ".gz"
        self._held = held
        self._seen_bytes = 0

    @cached_property
    def head(self) -> str | None:
        """Names the file by its first line; None where that was not whole yet."""
        with self.reading() as file:
            return _head(file.read(HEAD_BYTES))

    def is_rewritten(self) -> bool:
        """Whether it begins otherwise than when it was opened, or is shorter than it has been since then.

        Then it was truncated, as copy-and-truncate rotates.
        """
        if self._held is None or self.is_compressed:
            return False
        file = self._held.fileno()
        size, before = os.fstat(file).st_size, self._seen_bytes
        self._seen_bytes = size
        return size < before or _head(os.pread(file, HEAD_BYTES, 0)) != self.head

    @contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Its content, from the start.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            if self._held is not None:
                self._held.seek(0)
            if not self.is_compressed:
                yield cast("BinaryIO", self._held)
            else:
                with gzip.open(self._held or self.path) as file:
                    yield cast("BinaryIO", file)
        except (OSError, EOFError, zlib.error) as error:
            raise StorageError(f"{self.path}: cannot be read: {error}") from error


@contextmanager
def open_log_files(path: Path, *, with_archives: bool = False) -> Iterator[list[LogFile]]:
    """All files of a log, oldest first, as they stood together at one instant: no rotation hides or doubles one.

    Raises:
        StorageError: one cannot be opened.
    """
    deadline = monotonic() + _PATIENCE_S
    while monotonic() < deadline:
        with ExitStack() as stack:
            listing = _listing(path, with_archives)
            newest_first = _open(listing, path, stack)
            # Files move only to higher numbers: what stands there before and after stood there in between.
            if newest_first is None or _listing(path, with_archives) != listing:
                continue
            if _is_copied(newest_first):
                del newest_first[1]
            yield newest_first[::-1]
            return
    raise StorageError(f"{path}: is rotated faster than it can be opened; run again")


def _listing(path: Path, with_archives: bool) -> _Listing | None:
    """The files, newest first, with the inode of each that may move; None where one has moved since it was listed."""
    names = _names(path)  # Once for all: between two looks a file may slip from what is asked later to earlier.
    moving = [path] * (path.name in names) + _rotations(path, names)
    archived = [where for _, where in reversed(_archives(path, names))] if with_archives else []
    found: _Listing = []
    for index, where in enumerate(moving + archived):
        if index >= len(moving) and where.suffix == ".gz":
            found.append((where, None))
            continue
        try:
            status = where.stat()
        except FileNotFoundError:
            if where.is_symlink():  # To where nothing is, as when a volume is not mounted.
                continue
            return None
        except OSError as error:
            raise StorageError(f"{where}: cannot be read: {error.strerror or error}") from error
        found.append((where, (status.st_dev, status.st_ino)))
    return found


def _open(listing: _Listing | None, path: Path, stack: ExitStack) -> list[LogFile] | None:
    """The files of a listing; None where one of them has moved."""
    if listing is None:
        return None
    opened: list[LogFile] = []
    for where, inode in listing:
        held = None
        if inode is not None:
            try:
                held = stack.enter_context(where.open("rb"))
            except FileNotFoundError:
                return None
            except OSError as error:
                raise StorageError(f"{where}: cannot be read: {error.strerror or error}") from error
            status = os.fstat(held.fileno())
            if (status.st_dev, status.st_ino) != inode:
                return None
        generation = LogFile(where, held, is_current=where == path)
        if not generation.is_compressed:
            _ = generation.is_rewritten()  # As it is now, so that a truncation from here on shows.
        opened.append(generation)
    return opened


def _is_copied(newest_first: list[LogFile]) -> bool:
    """Whether the newest rotation is a copy of the current file, which is not truncated yet.

    Then the current file begins with all that the rotation holds.
    """
    if len(newest_first) < 2 or not newest_first[0].is_current or newest_first[1].is_compressed:
        return False
    with newest_first[1].reading() as file, newest_first[0].reading() as other:
        while chunk := file.read(_COMPARED_BYTES):
            if other.read(len(chunk)) != chunk:
                return False
    return True


def _head(first_bytes: bytes) -> str | None:
    first, newline, _ = first_bytes.partition(b"\n")
    if not newline and len(first) < HEAD_BYTES:
        return None
    return hashlib.blake2b(first + newline, digest_size=_DIGEST_BYTES).hexdigest()


def line_digest(head: str, start: int, line: bytes) -> str:
    """Names one line for ever: 16 hex digits over its file, its place there and its bytes (without newline)."""
    salt = bytes.fromhex(head) + start.to_bytes(8, "little")
    return hashlib.blake2b(line, digest_size=_DIGEST_BYTES, salt=salt).hexdigest()
