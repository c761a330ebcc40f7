"""What is due and when, in an order that no history changes.

An entry is never taken back: whoever takes one asks whether it still holds.
"""

from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

# What is due. Of equal times in this order.
DECISION, ORDER, VETO, ERROR = range(4)


class Due(NamedTuple):
    """One entry: when it is due, what it is, its own time (both epoch s), its id (decisions, orders) or number."""

    due_ts: float
    what: int
    own_ts: float
    key: str
    number: int


class DueQueue:
    """Entries by the time at which they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, float, str, int]] = []
        # When the first entry is due (epoch s); infinity where there is none.
        self.first_ts = inf

    def push(self, due_ts: float, what: int, own_ts: float, key: str = "", number: int = 0) -> None:
        """Add an entry."""
        heappush(self._heap, (due_ts, what, own_ts, key, number))
        if due_ts < self.first_ts:
            self.first_ts = due_ts

    def is_due(self, until: float) -> bool:
        """Whether anything is due before `until` (epoch s)."""
        return self.first_ts < until

    def pop(self) -> Due:
        """Take the first entry.

        Raises:
            IndexError: there is none.
        """
        first = Due(*heappop(self._heap))
        self.first_ts = self._heap[0][0] if self._heap else inf
        return first
