"""The rows of several logs in the order of their times, a batch at a time.

Each log is nearly in order by itself. A row of whose clock the rows after it tell that it ran ahead is put right as
long as it is among the newest `LOOKAHEAD_ROWS`; where rows are cut into batches changes nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from math import inf
from operator import itemgetter, le
from typing import Any

LOOKAHEAD_ROWS = 64
_BATCH_ROWS = 512

# [time (epoch s), what else]: a list, because its time may be put right.
Timed = list[Any]
_time_of = itemgetter(0)


class OrderedRows:
    """One log's rows. Rows up to `until` (epoch s) are at hand; those that are not yet, are not earlier."""

    def __init__(self, rows: Iterator[Timed]) -> None:
        self.until = -inf
        self.is_ended = False
        self._rows = rows
        self._ahead: list[Timed] = []  # the newest, which a row to come may still put right
        self._at_hand: list[Timed] = []

    def read_on(self) -> None:
        """Read another batch."""
        ahead = self._ahead
        known = len(ahead)
        ahead.extend(islice(self._rows, _BATCH_ROWS))
        self.is_ended = len(ahead) - known < _BATCH_ROWS
        times = list(map(_time_of, ahead))
        is_ordered = all(map(le, times, islice(times, 1, None)))
        if not is_ordered:
            _put_right(ahead, max(known, 1))
        settled = len(ahead) if self.is_ended else len(ahead) - LOOKAHEAD_ROWS
        if settled <= 0:
            return
        rows = ahead[:settled]
        del ahead[:settled]
        if not is_ordered or rows[0][0] < self.until:
            for row in rows:  # One that is too far behind those before it counts as of them.
                row[0] = self.until = max(row[0], self.until)
        self.until = rows[-1][0]
        self._at_hand += rows

    def take(self, until: float, *, with_equal: bool) -> list[Timed]:
        """The rows at hand before `until` (epoch s), or up to it."""
        cut = (bisect_right if with_equal else bisect_left)(self._at_hand, until, key=_time_of)
        rows = self._at_hand[:cut]
        del self._at_hand[:cut]
        return rows


def _put_right(rows: list[Timed], first_new: int) -> None:
    """Let no row count as later than those after it, as far back as they may still change it."""
    newest = rows[first_new - 1][0]
    for place in range(first_new, len(rows)):
        ts = rows[place][0]
        if ts < newest:
            for earlier in range(place - 1, max(place - LOOKAHEAD_ROWS, 0) - 1, -1):
                if rows[earlier][0] <= ts:
                    break
                rows[earlier][0] = ts
        newest = ts


def in_time_order(logs: Sequence[OrderedRows]) -> Iterator[Timed]:
    """All rows by time; of equal times those of the first log come first."""
    while True:
        until, last = min(((log.until, rank) for rank, log in enumerate(logs) if not log.is_ended), default=(inf, 0))
        rows: list[Timed] = []
        for rank, log in enumerate(logs):
            # A row to come of the last log may be of its last time: it stands before those of the logs after it.
            rows += log.take(until, with_equal=rank <= last)
        rows.sort(key=_time_of)
        yield from rows
        if until == inf:
            return
        logs[last].read_on()
