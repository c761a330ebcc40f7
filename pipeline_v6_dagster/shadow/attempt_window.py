"""The newest attempts: how many there were in a window, and whether an intent or an order comes again.

Only what a limit asks for is remembered, since the shadow log holds them all, and of the newest `MAX_ATTEMPTS`.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent

# How many of the newest attempts are known again by their ids, and how many a burst is counted over.
MAX_ATTEMPTS = 5000
_SameOrder = tuple[str, Side | None, float | None]


class AttemptWindow:
    """Attempts in the order in which they were decided. Times are as-of times in epoch seconds."""

    def __init__(self, limits: Limits) -> None:
        self._burst_window_s = limits.burst_window_s
        self._duplicate_window_s = limits.duplicate_window_s
        self._recent: deque[tuple[float, str | None, _SameOrder, bool]] = deque()
        self._times: list[float] = []
        self._ids: dict[str, int] = {}
        self._same: dict[_SameOrder, list[float]] = {}

    def add(
        self,
        as_of: float,
        symbol: str,
        side: Side | None,
        qty: float | None,
        intent_id: str | None,
        *,
        is_allowed: bool = True,
    ) -> None:
        """Remember an attempt. A burst counts those that v6 allowed: what was denied is not sent."""
        same = (symbol, side, qty)
        self._recent.append((as_of, intent_id, same, is_allowed))
        if self._burst_window_s is not None and is_allowed:
            insort(self._times, as_of)
        if intent_id is not None:
            self._ids[intent_id] = self._ids.get(intent_id, 0) + 1
        if self._duplicate_window_s is not None:
            self._same.setdefault(same, []).append(as_of)
        if len(self._recent) > MAX_ATTEMPTS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        as_of, intent_id, same, is_allowed = self._recent.popleft()
        if self._burst_window_s is not None and is_allowed:
            del self._times[bisect_left(self._times, as_of)]
        if intent_id is not None:
            self._ids[intent_id] -= 1
            if not self._ids[intent_id]:
                del self._ids[intent_id]
        if self._duplicate_window_s is not None:
            times = self._same[same]
            del times[0]
            if not times:
                del self._same[same]

    def count(self, as_of: float) -> int:
        """How many allowed ones are in the burst window before `as_of`, 0 without a burst limit.

        As little after it counts as well: an attempt further ahead had a wrong clock.
        """
        window_s = self._burst_window_s
        if window_s is None:
            return 0
        return bisect_right(self._times, as_of + window_s) - bisect_right(self._times, as_of - window_s)

    def is_known(self, intent_id: str | None) -> bool:
        """Whether an attempt of this intent is remembered."""
        return intent_id is not None and intent_id in self._ids

    def same_order_ts(self, intent: OrderIntent, as_of: float) -> float | None:
        """When the same symbol, side and quantity was last asked for; None where it was not, or no limit asks."""
        window_s = self._duplicate_window_s
        if window_s is None:
            return None
        same = self._same.get((intent.symbol, intent.side, intent.qty), ())
        return max((ts for ts in same if ts <= as_of + window_s), default=None)
