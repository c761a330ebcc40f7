"""Following a log from where one left off, across rotation, truncation and replacement.

A position names a line by content, not by file name: the head of its file and the digest of the line itself.
So it is found again wherever a rotation put the file, and a file that was rewritten is not taken for it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, chain, islice, repeat
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.storage.log_files import LogFile, line_digest, open_log_files

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LogOffset:
    """The last line that was read: its file's head, where it starts and ends there, its digest."""

    head: str
    start: int
    end: int
    digest: str


class Line(msgspec.Struct, frozen=True, gc=False):
    """One whole line without its newline, and where it stands. A struct, because one is made for every line read."""

    raw: bytes
    head: str
    start: int
    end: int

    def offset(self) -> LogOffset:
        """What to resume from once this line is dealt with."""
        return LogOffset(self.head, self.start, self.end, line_digest(self.head, self.start, self.raw))


class Follower:
    """Reads the lines after `position`, oldest first.

    A context manager: it holds the files open.

    Lines that are blank, too long or torn (the unfinished end of a file that was rotated away) are not yielded
    but counted in `rejected`. An unfinished last line of the current file is left for the next time.

    `is_offset_lost` tells that the position was in none of the files: what was logged around it cannot be
    known, and `lost_bytes` of the log are gone that had been there up to it. Reading then goes on after the first of
    the `earlier` positions (newest first) that is still there, so that what was read before a truncation is not read
    again; without one it starts at the oldest line.
    """

    def __init__(
        self,
        path: Path,
        position: LogOffset | None,
        *,
        earlier: Iterable[LogOffset] = (),
        with_archives: bool = False,
    ) -> None:
        self.path = path
        self.rejected: Counter[str] = Counter()
        self.is_offset_lost = False
        self.lost_bytes = 0
        self._start = position
        self._earlier = earlier
        self._with_archives = with_archives
        self._stack = ExitStack()
        self._files: list[LogFile] = []

    def __enter__(self) -> Self:
        self._files = self._stack.enter_context(open_log_files(self.path, with_archives=self._with_archives))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def is_missing(self) -> bool:
        """Whether there is no file of that name, neither current nor rotated."""
        return not self._files

    def lines(self) -> Iterator[Line]:
        """The lines after the position, to the end of what is there now.

        Raises:
            StorageError: a file cannot be read.
        """
        return chain.from_iterable(self._batches())  # Which passes each line on without a frame of Python's own.

    def _batches(self) -> Iterator[Iterable[Line]]:
        generations = self._files
        offset = 0
        if self._start is not None:
            found = self._resume(self._start)
            if self.is_offset_lost:
                self.lost_bytes = _gone(self._start, found[1] if found else None)
            elif found is None:
                return  # It may be in the file that is away or was truncated just now: the next time tells.
            if found is not None:
                generations, offset = generations[found[0] :], found[1].end
        for generation in generations:
            head = generation.head  # Before the file is read, for both are one descriptor.
            with generation.reading() as file:
                if head is not None:
                    yield from self._read(generation, head, file, offset)
                elif not generation.is_current and file.read(1):
                    self.rejected[Rejection.TORN] += 1
            offset = 0

    def _resume(self, position: LogOffset) -> tuple[int, LogOffset] | None:
        """Where to go on: the file and the position in it, which may be an earlier one."""
        index = self._find(position)
        if index is not None:
            return index, position
        if not self._is_current_intact():
            return None
        self.is_offset_lost = True
        for earlier in self._earlier:
            index = self._find(earlier)
            if index is not None:
                return index, earlier
        return None

    def _find(self, position: LogOffset) -> int | None:
        length = position.end - position.start - 1
        if position.start < 0 or not 0 <= length <= MAX_LINE_BYTES:
            return None
        for index, generation in reversed(list(enumerate(self._files))):
            if generation.head != position.head:
                continue
            with generation.reading() as file:
                file.seek(position.start)
                line = file.read(length)
            if line_digest(position.head, position.start, line) == position.digest:
                return index
        return None

    def _is_current_intact(self) -> bool:
        newest = self._files[-1] if self._files else None
        return newest is not None and newest.is_current and not newest.is_rewritten()

    def _read(self, generation: LogFile, head: str, file: BinaryIO, offset: int) -> Iterator[Iterable[Line]]:
        file.seek(offset)
        carry = b""
        is_skipping = False  # inside a line that is too long to hold
        while chunk := file.read(CHUNK_BYTES):
            if generation.is_current and generation.is_rewritten():
                return  # This chunk may be of another file than `head` says. The next time reads it.
            pieces = chunk.split(b"\n")
            pieces[0] = carry + pieces[0]
            carry = pieces.pop()
            starts = list(accumulate(map(_ONE_MORE, map(len, pieces)), initial=offset))
            offset = starts[-1]
            lines = map(Line, pieces, repeat(head), starts, islice(starts, 1, None))
            yield self._usable(lines, is_skipping) if is_skipping or _is_unusable(pieces) else lines
            is_skipping = is_skipping and not pieces
            if len(carry) > MAX_LINE_BYTES:
                offset += len(carry)
                carry = b""
                is_skipping = True
        if (carry or is_skipping) and not generation.is_current:
            self.rejected[Rejection.TORN] += 1

    def _usable(self, lines: Iterable[Line], is_skipping: bool) -> Iterator[Line]:
        """The lines but those that are not used, which are counted as they are met."""
        for line in lines:
            if is_skipping or len(line.raw) > MAX_LINE_BYTES:
                self.rejected[Rejection.TOO_LONG] += 1
                is_skipping = False
            elif not line.raw or line.raw.isspace():
                self.rejected[Rejection.BLANK] += 1
            else:
                yield line


# Called for every line, without a frame of Python's own.
_ONE_MORE = (1).__add__


def _is_unusable(pieces: list[bytes]) -> bool:
    """Whether one of the lines is blank or may be too long; only the first may be longer than a chunk."""
    if not pieces:
        return False
    is_long = len(pieces[0]) > MAX_LINE_BYTES or CHUNK_BYTES > MAX_LINE_BYTES
    return is_long or b"" in pieces or any(map(bytes.isspace, pieces))


def _gone(position: LogOffset, found: LogOffset | None) -> int:
    """How many bytes of the file that was read up to a position are in none of the files now."""
    return position.end - (found.end if found is not None and found.head == position.head else 0)
