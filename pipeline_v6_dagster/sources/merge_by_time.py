"""The rows of several logs in the order of their times, a batch at a time.

Each log is nearly in order by itself. Where a row is earlier than those before it, either they ran ahead or it is
behind, with those after it. The fewer are put right, as far as `LOOKAHEAD_ROWS` to both sides tell; where rows are cut
into batches changes nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from math import inf
from operator import itemgetter, le
from typing import Any

LOOKAHEAD_ROWS = 64
_BATCH_ROWS = 512

# [time (epoch s), what else]: a list, because its time may be put right.
Timed = list[Any]
_read_time = itemgetter(0)


class OrderedRows:
    """One log's rows. Rows up to `until` (epoch s) are at hand; those that are not yet, are not earlier.

    A row that is earlier than the one before it by `slack_s` or less is no sign of a wrong clock: it counts as of that
    one, and nothing before it is moved.
    """

    def __init__(self, rows: Iterator[Timed], slack_s: float = 0.0) -> None:
        self.until = -inf
        self._slack_s = slack_s
        self.is_ended = False
        self._rows = rows
        self._ahead: list[Timed] = []  # the newest, which a row to come may still put right
        self._judged = 0  # how many of them have been compared with those on both sides
        self._at_hand: list[Timed] = []

    def read_on(self) -> None:
        """Read another batch."""
        ahead = self._ahead
        known = len(ahead)
        ahead.extend(islice(self._rows, _BATCH_ROWS))
        self.is_ended = len(ahead) - known < _BATCH_ROWS
        times = list(map(_read_time, ahead))
        is_ordered = all(map(le, times, islice(times, 1, None)))
        first, self._judged = self._judged, len(ahead) if self.is_ended else max(len(ahead) - LOOKAHEAD_ROWS, 0)
        if not is_ordered:
            _put_right(ahead, max(first, 1), self._judged, self._slack_s)
        settled = self._judged if self.is_ended else self._judged - LOOKAHEAD_ROWS
        if settled <= 0:
            return
        self._judged -= settled
        rows = ahead[:settled]
        del ahead[:settled]
        if not is_ordered or rows[0][0] < self.until:
            for row in rows:  # One that is too far behind those before it counts as of them.
                row[0] = self.until = max(row[0], self.until)
        self.until = rows[-1][0]
        self._at_hand += rows

    def take(self, until: float, *, with_equal: bool) -> list[Timed]:
        """The rows at hand before `until` (epoch s), or up to it."""
        cut = (bisect_right if with_equal else bisect_left)(self._at_hand, until, key=_read_time)
        rows = self._at_hand[:cut]
        del self._at_hand[:cut]
        return rows


def _put_right(rows: list[Timed], first: int, stop: int, slack_s: float) -> None:
    """Let no row from `first` to `stop` count as earlier than the one before it, as far back as that may change."""
    for place in range(first, stop):
        ts, newest = rows[place][0], rows[place - 1][0]
        if ts >= newest:
            continue
        before = rows[max(place - LOOKAHEAD_ROWS, 0) : place]
        ahead = _leading(row[0] > ts + slack_s for row in reversed(before))
        behind = _leading(row[0] < newest for row in rows[place : place + LOOKAHEAD_ROWS])
        if behind < ahead:
            for row in rows[place : place + behind]:
                row[0] = newest
        elif ahead:
            for row in rows[place - ahead : place]:
                row[0] = ts
        else:
            rows[place][0] = newest


def _leading(truths: Iterable[bool]) -> int:
    """How many are true before the first that is not."""
    return sum(1 for _ in takewhile(bool, truths))


def in_time_order(logs: Sequence[OrderedRows]) -> Iterator[Timed]:
    """All rows by time; of equal times those of the first log come first."""
    while True:
        until, last = min(((log.until, rank) for rank, log in enumerate(logs) if not log.is_ended), default=(inf, 0))
        rows: list[Timed] = []
        for rank, log in enumerate(logs):
            # A row to come of the last log may be of its last time: it stands before those of the logs after it.
            rows += log.take(until, with_equal=rank <= last)
        rows.sort(key=_read_time)
        yield from rows
        if until == inf:
            return
        logs[last].read_on()
