"""Following a log from where one left off, across rotation, truncation and replacement.

A position names a line by content, not by file name: the head of its file and the digest of the line itself.
So it is found again wherever a rotation put the file, and a file that was rewritten is not taken for it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.storage.generations import Generation, line_digest, open_generations

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """The last line that was read: its file's head, where it starts and ends there, its digest."""

    head: str
    start: int
    end: int
    digest: str


class Line(NamedTuple):
    """One whole line without its newline, and where it stands."""

    raw: bytes
    head: str
    start: int
    end: int

    def position(self) -> Position:
        """What to resume from once this line is dealt with."""
        return Position(self.head, self.start, self.end, line_digest(self.head, self.start, self.raw))


class Follower:
    """Reads the lines after `position`, oldest first.

    A context manager: it holds the files open.

    Lines that are blank, too long or torn (the unfinished end of a file that was rotated away) are not yielded
    but counted in `rejected`. An unfinished last line of the current file is left for the next time.

    `is_position_lost` tells that the position was in none of the files: what was logged around it cannot be
    known. Reading then goes on after the first of the `earlier` positions (newest first) that is still there,
    so that what was read before a truncation is not read again; without one it starts at the oldest line.
    """

    def __init__(
        self,
        path: Path,
        position: Position | None,
        *,
        earlier: Iterable[Position] = (),
        with_archives: bool = False,
    ) -> None:
        self.path = path
        self.rejected: Counter[str] = Counter()
        self.is_position_lost = False
        self._start = position
        self._earlier = earlier
        self._with_archives = with_archives
        self._stack = ExitStack()
        self._generations: list[Generation] = []

    def __enter__(self) -> Self:
        self._generations = self._stack.enter_context(open_generations(self.path, with_archives=self._with_archives))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def is_missing(self) -> bool:
        """Whether there is no file of that name, neither current nor rotated."""
        return not self._generations

    def lines(self) -> Iterator[Line]:
        """The lines after the position, to the end of what is there now.

        Raises:
            StorageError: a file cannot be read.
        """
        generations = self._generations
        offset = 0
        if self._start is not None:
            index, start = self._find(self._start), self._start
            if index is None:
                if not self._is_current_intact():
                    return  # It may be in the file that is away or was truncated just now: the next time tells.
                self.is_position_lost = True
                for start in self._earlier:
                    index = self._find(start)
                    if index is not None:
                        break
            if index is not None:
                generations = generations[index:]
                offset = start.end
        for generation in generations:
            with generation.reading() as file:
                if generation.head is not None:
                    yield from self._read(generation, generation.head, file, offset)
                elif not generation.is_current and file.read(1):
                    self.rejected[Rejection.TORN] += 1
            offset = 0

    def _find(self, position: Position) -> int | None:
        length = position.end - position.start - 1
        if position.start < 0 or not 0 <= length <= MAX_LINE_BYTES:
            return None
        for index, generation in reversed(list(enumerate(self._generations))):
            if generation.head != position.head:
                continue
            with generation.reading() as file:
                file.seek(position.start)
                line = file.read(length)
            if line_digest(position.head, position.start, line) == position.digest:
                return index
        return None

    def _is_current_intact(self) -> bool:
        newest = self._generations[-1] if self._generations else None
        return newest is not None and newest.is_current and not newest.is_rewritten

    def _read(self, generation: Generation, head: str, file: BinaryIO, offset: int) -> Iterator[Line]:
        file.seek(offset)
        carry = b""
        is_skipping = False  # inside a line that is too long to hold
        while chunk := file.read(CHUNK_BYTES):
            if generation.is_current and generation.is_rewritten:
                return  # This chunk may be of another file than `head` says. The next time reads it.
            pieces = chunk.split(b"\n")
            pieces[0] = carry + pieces[0]
            carry = pieces.pop()
            for piece in pieces:
                start, offset = offset, offset + len(piece) + 1
                if is_skipping or len(piece) > MAX_LINE_BYTES:
                    self.rejected[Rejection.TOO_LONG] += 1
                    is_skipping = False
                elif not piece or piece.isspace():
                    self.rejected[Rejection.BLANK] += 1
                else:
                    yield Line(piece, head, start, offset)
            if len(carry) > MAX_LINE_BYTES:
                offset += len(carry)
                carry = b""
                is_skipping = True
        if (carry or is_skipping) and not generation.is_current:
            self.rejected[Rejection.TORN] += 1
