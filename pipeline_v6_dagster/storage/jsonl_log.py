"""An append-only JSONL log of ours: blocks appended whole and chained, torn ends cut, rotated, read backward."""

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from itertools import count
from pathlib import Path
from shutil import copyfileobj

from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.storage import disk
from pipeline_v6_dagster.storage.backward import lines_backward, unpacked_lines_backward, whole_lines_backward
from pipeline_v6_dagster.storage.chain import ORIGIN, Link, chain_block, read_link
from pipeline_v6_dagster.storage.files import FILE_MODE, make_folder, replacing, sync_folder, write_whole
from pipeline_v6_dagster.storage.log_files import open_log_files
from pipeline_v6_dagster.storage.log_names import (
    archive_path,
    archives,
    rotated_path,
    rotations,
    waiting_archive_path,
    waiting_archives,
)
from pipeline_v6_dagster.storage.placed_lines import PlacedLines

MAX_BYTES = 10_000_000
KEPT_ROTATIONS = 5
# The fastest level halves the time of the next, for archives that are a fifth larger.
_COMPRESSION = 1
# What a torn line of ours begins with: an object, or the zeros that a power failure leaves.
_TORN_STARTS = (b"{", b"\0")


class LineKind(Enum):
    """What a whole line of a log is to its block."""

    INNER = "inner"
    BLOCK_END = "block_end"
    FOREIGN = "foreign"


class JsonlLog:
    """One log. Only one process may write at a time (`storage.lock`); any may read.

    `classify_line` classifies a whole line (without its newline). What follows the last end of a block was not
    written to its end and is cut by `recover`; a line that is not ours is never cut. Each line is a JSON object and
    gets its link to the line before it, across rotations (`storage.chain`). Whoever appends gives the `key` of the
    chain, if it has one.
    """

    def __init__(
        self,
        path: Path,
        classify_line: Callable[[bytes], LineKind],
        max_bytes: int = MAX_BYTES,
        *,
        key: bytes | None = None,
    ) -> None:
        self.path = path
        self._key = key
        self._classify_line = classify_line
        self._max_bytes = max_bytes
        self._newest: Link | None = None  # None where it has to be read from the log.

    def recover(self) -> int:
        """Cut what a killed writer left behind; returns the number of bytes cut.

        Raises:
            DataError: the file ends in lines that are not ours; nothing is changed.
            StorageError: it cannot be read or cut.
        """
        self._newest = None
        try:
            with self.path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                end = size
                for line_end, line in lines_backward(file, size):
                    end = line_end
                    kind = self._classify_end(line)
                    if kind is LineKind.BLOCK_END:
                        break
                    if kind is LineKind.FOREIGN:
                        raise DataError(f"{self.path}: holds lines of another program; move it elsewhere")
                    end -= len(line)
                if end < size:
                    disk.cut(file.fileno(), end)
                    disk.sync(file.fileno())
                return size - end
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be recovered: {error.strerror or error}") from error

    def _classify_end(self, line: bytes) -> LineKind:
        if line.endswith(b"\n"):
            return self._classify_line(line[:-1])
        return LineKind.INNER if line.startswith(_TORN_STARTS) else LineKind.FOREIGN

    def append(self, lines: Sequence[bytes]) -> None:
        """Append one block: one write, one fsync. Rotates first where the file has reached its size.

        Raises:
            StorageError: it cannot be written. What is there of the block is cut by the next `recover`.
        """
        if not lines:
            return
        newest = self._newest or self.newest_link() or ORIGIN
        self._newest = None  # Until the block is on the disk.
        block, newest = chain_block(lines, newest, self._key)
        try:
            is_new = self._is_absent_or_rotated()
            if is_new:
                make_folder(self.path.parent)
            log = disk.open_to_append(self.path, FILE_MODE)
            try:
                if is_new:
                    disk.set_mode(log, FILE_MODE)
                write_whole(log, block)
                disk.sync(log)
            finally:
                os.close(log)
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        self._newest = newest

    def newest_link(self) -> Link | None:
        """The link of the newest whole line; None if there is no line, or one that is not chained.

        Raises:
            StorageError: a file cannot be read.
        """
        line = next(self.backward(), None)
        return None if line is None else read_link(line)

    def backward(self) -> Iterator[bytes]:
        """Every whole line, newest first, through rotations and archives.

        Raises:
            StorageError: a file cannot be read.
        """
        with open_log_files(self.path, with_archives=True) as log_files:
            for log_file in reversed(log_files):
                with log_file.reading() as file:
                    lines = unpacked_lines_backward(file) if log_file.is_compressed else whole_lines_backward(file)
                    for _, line in lines:
                        yield line

    def placed_lines(self) -> PlacedLines:
        """The lines of the log, newest first, to be read again by their places; to be closed."""
        return PlacedLines(self.path)

    def remove(self) -> None:
        """Delete the log with its rotations and archives, the newest last, so that a kill leaves no gap.

        Raises:
            StorageError: a file cannot be deleted.
        """
        self._newest = None
        try:
            for number, _ in archives(self.path):
                _remove(archive_path(self.path, number))
                _remove(waiting_archive_path(self.path, number))
            for _, where in reversed(rotations(self.path)):
                _remove(where)
            _remove(self.path)
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be deleted: {error.strerror or error}") from error

    def replace_with(self, fresh: "JsonlLog") -> None:
        """Put the files of `fresh` in the place of ours. A kill half-way leaves a log that can be rebuilt again.

        Raises:
            StorageError: a file cannot be moved.
        """
        fresh._newest = None
        try:
            fresh._compress_waiting()
            self.remove()
            for number, where in archives(fresh.path):
                disk.rename(where, archive_path(self.path, number))
            for number, where in reversed(rotations(fresh.path)):
                disk.rename(where, rotated_path(self.path, number))
            if fresh.path.exists():
                disk.rename(fresh.path, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be replaced: {error.strerror or error}") from error

    def _is_absent_or_rotated(self) -> bool:
        """Whether there is no current file, also because it was full and has just become a rotation."""
        try:
            if os.stat(self.path).st_size < self._max_bytes:
                return False
        except FileNotFoundError:
            return True
        self._rotate()
        return True

    def _rotate(self) -> None:
        rotated = dict(rotations(self.path))
        # Only as many move on as stand in a row: a kill half-way leaves a gap, which the next rotation fills.
        free = next(number for number in count(1) if number not in rotated)
        is_archiving = free > KEPT_ROTATIONS
        if is_archiving:
            beyond = (where for number, where in reversed(rotated.items()) if number >= KEPT_ROTATIONS)
            archived = max((number for number, _ in archives(self.path)), default=0)
            for number, where in enumerate(beyond, archived + 1):
                disk.rename(where, waiting_archive_path(self.path, number))
            free = KEPT_ROTATIONS
        for number in range(free, 1, -1):
            disk.rename(rotated_path(self.path, number - 1), rotated_path(self.path, number))
        disk.rename(self.path, rotated_path(self.path, 1))
        if is_archiving:
            self._compress_waiting()

    def _compress_waiting(self) -> None:
        """Compress the archives that wait for it, also those that a killed run left, half done or done."""
        for number, where in waiting_archives(self.path):
            with (
                where.open("rb") as plain,
                replacing(archive_path(self.path, number)) as compressed,
                gzip.GzipFile("", "wb", _COMPRESSION, compressed, mtime=0) as packed,
            ):
                copyfileobj(plain, packed)
            disk.remove(where)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        disk.remove(path)
