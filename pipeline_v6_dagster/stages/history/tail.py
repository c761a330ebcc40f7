"""What the compare log holds beyond some line of it, oldest first, in memory that does not grow with the log."""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Self

import msgspec

from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.compare_log import classify_line
from pipeline_v6_dagster.storage.chain import Link, read_link
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

# Decisions whose clock was wrong may be older than all others of the log. More than so many are not.
_STRAY_DIFFS = 100
_DIGEST_DIGITS = 15


class _Settled(msgspec.Struct):
    ts: float = 0.0
    decision_id: str | None = None


_settled_decoder = msgspec.json.Decoder(_Settled)


@dataclass(frozen=True, slots=True)
class Place:
    """The end of a block in a compare log: how often the log was replaced before, the line's number and its digest.

    The number 0 stands before the first line.
    """

    generation: int = 0
    number: int = 0
    digest: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """What the diffs of a log are about: those from `since_ts` (epoch s) on, and few that are older, by their ids."""

    since_ts: float
    older_ids: tuple[str, ...]


def shorten_hash(link: Link) -> int:
    """A line's hash as a number of 60 bits, which a transaction version can hold."""
    return int(link.hash[:_DIGEST_DIGITS], 16)


class LogTail:
    """The whole blocks of a compare log after a place. A context manager: it holds the files open.

    `is_replaced` tells that the place is in no line of the log, because the log was rebuilt; the tail is then all of
    it. `missing_lines` stood between the place and the oldest line that is left.
    """

    def __init__(self, log: JsonlLog, after: Place) -> None:
        self._log = log
        self._after = after
        self._lines = log.placed_lines()
        self._stack = ExitStack()
        self._places = array("q")  # newest first
        self.is_replaced = False
        self.missing_lines = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._lines)
            self._find()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[tuple[bytes, Link]]:
        """Each line with its link, oldest first. The last one ends a block."""
        for place in reversed(self._places):
            line = self._lines.read(place)
            yield line, self._link(line)

    def span(self) -> Span | None:
        """What the diffs are about; None where there is none."""
        settled = [_settled_decoder.decode(line) for line, _ in self if classify_line(line) is LineKind.INNER]
        if not settled:
            return None
        times = sorted(row.ts for row in settled)
        since_ts = times[min(_STRAY_DIFFS, len(times) // 100)]
        return Span(since_ts, tuple(row.decision_id for row in settled if row.ts < since_ts and row.decision_id))

    def _find(self) -> None:
        with closing(self._lines.backward()) as newest_first:
            oldest = self._read_back(newest_first)
        if self._places:
            self.missing_lines = oldest - 1 - (0 if self.is_replaced else self._after.number)

    def _read_back(self, newest_first: Iterable[tuple[int, bytes]]) -> int:
        """Note where the lines are that come after the place; returns the number of the oldest."""
        after = self._after
        oldest = after.number + 1
        for place, line in newest_first:
            if not self._places and classify_line(line) is not LineKind.BLOCK_END:
                continue  # Of a block that is being written, or that was torn.
            link = self._link(line)
            if not self._places and link.number < after.number:
                self.is_replaced = True
            if link.number == after.number and not self.is_replaced:
                if shorten_hash(link) == after.digest:
                    break
                self.is_replaced = True
            self._places.append(place)
            oldest = link.number
        return oldest

    def _link(self, line: bytes) -> Link:
        link = read_link(line)
        if link is None:
            raise DataError(f"{self._log.path}: a line has no link of the chain; run pipeline-v6 compare --rebuild")
        return link
