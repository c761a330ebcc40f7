"""The router's own record of one symbol or of all: how orders went over the trailing seven days.

Kept sorted as orders end, so that asking for it costs nothing that grows. Slippage is signed, positive = cost.
"""

from bisect import bisect_left, insort

from pipeline_v6_dagster.domain.account import Measured, RoutingRecord

WINDOW_S = 7 * 86_400.0
# The newest orders of the window: enough for a 90 % quantile, few enough to write down.
MAX_ORDERS = 200


class FillStats:
    """Statistics over `measured`, which it owns: oldest first, at most `MAX_ORDERS` of them."""

    def __init__(self, measured: list[Measured]) -> None:
        self._measured = measured
        self._taker_bps: list[float] = []
        self._maker_bps: list[float] = []
        self._record: RoutingRecord | None = None  # None once an order was counted
        self._takers = self._takers_filled = self._makers = self._makers_filled = self._fallbacks = 0
        for one in measured:
            self._count(one, 1)

    def add(self, one: Measured) -> None:
        """An order has ended."""
        self._measured.append(one)
        self._count(one, 1)
        if len(self._measured) > MAX_ORDERS:
            self._count(self._measured.pop(0), -1)

    def record(self, as_of: float) -> RoutingRecord:
        """The record as of `as_of` (epoch s)."""
        measured = self._measured
        while measured and measured[0].ts < as_of - WINDOW_S:
            self._count(measured.pop(0), -1)
        if self._record is None:
            self._record = self._summarise()
        return self._record

    def _summarise(self) -> RoutingRecord:
        takers, makers = self._takers, self._makers
        return RoutingRecord(
            taker_orders=takers,
            taker_fill_share=self._takers_filled / takers if takers else None,
            maker_orders=makers,
            maker_fill_share=self._makers_filled / makers if makers else None,
            fallback_share=min(self._fallbacks / makers, 1.0) if makers else None,
            maker_slippage_p50_bps=quantile(self._maker_bps, 0.5),
            taker_slippage_p50_bps=quantile(self._taker_bps, 0.5),
            taker_slippage_p90_bps=quantile(self._taker_bps, 0.9),
        )

    def _count(self, one: Measured, step: int) -> None:
        self._record = None
        if one.is_maker:
            self._makers += step
            self._makers_filled += step * one.is_filled
        else:
            self._takers += step
            self._takers_filled += step * one.is_filled
            self._fallbacks += step * one.is_fallback
        if one.slippage_bps is None:
            return
        slippages = self._maker_bps if one.is_maker else self._taker_bps
        if step > 0:
            insort(slippages, one.slippage_bps)
        else:
            del slippages[bisect_left(slippages, one.slippage_bps)]


def quantile(ordered: list[float], share: float) -> float | None:
    """The linear quantile (numpy's default) of sorted values; None of nothing."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    if below + 1 == len(ordered):
        return ordered[below]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])
