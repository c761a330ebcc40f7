"""The files that make up one log, as they are at one instant: the current one, its rotations, its archives.

How they are named is `storage.log_names`.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import BinaryIO, cast

from pipeline_v6_dagster.config.regular_file import open_regular
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.log_names import (
    OPENERS,
    UNPACKING_ERRORS,
    archives_among,
    list_names,
    rotations_among,
)

# A file is known by the hash of its first line, of which at most so many bytes count.
HEAD_BYTES = 4096
_DIGEST_BYTES = 8
_COMPARED_BYTES = 1 << 16
# How long the files are opened again because one moved meanwhile. A rotation moves a few, within milliseconds.
_PATIENCE_S = 10.0

_Listing = list[tuple[Path, tuple[int, int] | None]]


class LogFile:
    """One file of a log.

    It is held open, so that it stays the same file whatever name a rotation gives it. Only an archive of ours, of
    which there may be hundreds, never moves and is opened only while it is read.
    """

    def __init__(self, path: Path, held: BinaryIO | None, *, is_current: bool) -> None:
        self.path = path
        self.is_current = is_current
        self.is_compressed = not is_current and path.suffix in OPENERS
        self._held = held
        self._seen_bytes = 0

    @property
    def is_rotated_packed(self) -> bool:
        """Whether another program compressed it. Such a file may be damaged, as one is that a full disk cut short."""
        return self.is_compressed and self._held is not None

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
    def keeping_position(self) -> Iterator[None]:
        """Lets it be read in between, and puts whoever was reading it back to where that was."""
        position = None if self._held is None else self._held.tell()
        yield
        if self._held is not None and position is not None:
            self._held.seek(position)

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
                return
            with ExitStack() as stack:
                packed = self._held or stack.enter_context(open(self.path, "rb", opener=open_regular))
                yield stack.enter_context(OPENERS[self.path.suffix](packed))
        except UNPACKING_ERRORS as error:
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
    names = list_names(path)  # Once for all: between two listings a file may slip from what is asked later to earlier.
    moving = [path] * (path.name in names) + rotations_among(path, names)
    archived = [where for _, where in reversed(archives_among(path, names))] if with_archives else []
    found: _Listing = []
    for index, where in enumerate(moving + archived):
        if index >= len(moving) and where.suffix == ".gz":
            found.append((where, None))
            continue
        try:
            status = where.stat()
        except FileNotFoundError:
            if where.is_symlink():  # To nowhere, as when a volume is not mounted.
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
                held = stack.enter_context(open(where, "rb", opener=open_regular))
            except FileNotFoundError:
                return None
            except OSError as error:
                raise StorageError(f"{where}: cannot be read: {error.strerror or error}") from error
            status = os.fstat(held.fileno())
            if (status.st_dev, status.st_ino) != inode:
                return None
        log_file = LogFile(where, held, is_current=where == path)
        if not log_file.is_compressed:
            _ = log_file.is_rewritten()  # As it is now, so that a truncation from here on shows.
        opened.append(log_file)
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
