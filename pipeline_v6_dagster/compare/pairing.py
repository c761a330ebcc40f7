"""Pairing decisions with orders by time alone: one to one, order-preserving, the most pairs, the least gap.

Both lists are sorted by time. Because pairs may not cross, this is the alignment of two sequences (Needleman and Wunsch
1970), where pairing two items scores (one pair, minus their gap) and is allowed only within the tolerance. It is solved
exactly by dynamic programming, decision by decision, and only as far as the first decision's partner needs it: as in
Viterbi's algorithm (1967) the search ends as soon as all ways that are still open agree on that partner.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple


def _always(_decision: int, _order: int) -> bool:
    return True


class _Way(NamedTuple):
    """The best pairing so far that leaves the orders from `free` on. `partner` is the first decision's order.

    A partner that is no order's index, but greater than any, stands for none.
    """

    free: int
    pairs: int
    less_gap: float
    partner: int

    def is_better_than(self, other: "_Way") -> bool:
        """More pairs, then a smaller gap, then the earlier order for the first decision."""
        if self.pairs != other.pairs:
            return self.pairs > other.pairs
        if self.less_gap != other.less_gap:
            return self.less_gap > other.less_gap
        return self.partner < other.partner


def first_partner(
    decisions: Sequence[float],
    orders: Sequence[float],
    tolerance_s: float,
    lead_s: float,
    fits: Callable[[int, int], bool] = _always,
) -> int | None:
    """The index of the order that the best pairing gives the first decision; None where it gives it none.

    An order may follow its decision by at most `tolerance_s` and precede it by at most `lead_s` (seconds). `fits` tells
    which (decision, order) may pair at all. Of several best pairings the one counts that gives the first decision the
    earliest order.
    """
    nobody = len(orders)
    # Each way leaves fewer orders than the one before and is better: the others can lead to nothing better.
    ways = [_Way(0, 0, 0.0, nobody)]
    for i, decision in enumerate(decisions):
        first, end = _span(decision, orders, tolerance_s, lead_s)
        # Orders before `first` are out of reach from here on: of the ways that differ in these alone the best is left.
        while len(ways) > 1 and ways[1].free <= first:
            del ways[0]
        if i and all(way.partner == ways[0].partner for way in ways):
            break
        found = []
        for place, way in enumerate(ways):
            until = min(end, ways[place + 1].free) if place + 1 < len(ways) else end
            nearest = tolerance_s + lead_s + 1.0
            for j in range(max(first, way.free), until):
                gap_s = abs(orders[j] - decision)
                if gap_s < nearest and fits(i, j):
                    nearest = gap_s
                    found.append(_Way(j + 1, way.pairs + 1, way.less_gap - gap_s, way.partner if i else j))
                if orders[j] >= decision and nearest <= gap_s:
                    break  # Those that follow are farther away and leave fewer.
        ways = _improving(sorted([*ways, *found], key=_count_free))
    partner = ways[-1].partner
    return None if partner == nobody else partner


def _count_free(way: _Way) -> int:
    return way.free


def _improving(ways: Sequence[_Way]) -> list[_Way]:
    """Those that are better than all that leave as many orders or more."""
    kept: list[_Way] = []
    for way in ways:
        if kept and not way.is_better_than(kept[-1]):
            continue
        if kept and kept[-1].free == way.free:
            kept.pop()
        kept.append(way)
    return kept


def _span(decision: float, orders: Sequence[float], tolerance_s: float, lead_s: float) -> tuple[int, int]:
    """(first, end) of the orders that the decision may pair with: those whose gap is within the bounds."""
    first = bisect_left(orders, -lead_s, key=lambda order: order - decision)
    return first, bisect_right(orders, tolerance_s, key=lambda order: order - decision)
