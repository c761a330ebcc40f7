"""Pairing decisions with orders by time alone: one to one, order-preserving, the most pairs, the least gap.

Both lists are sorted by time. Because pairs may not cross, this is the alignment of two sequences, solved
exactly by dynamic programming over prefixes (as in Needleman and Wunsch 1970), where pairing two items scores
(one pair, minus their gap) and is allowed only within the tolerance. Only the band of pairs within the tolerance is
computed, and only up to the first pause longer than it: what comes after such a pause changes nothing before it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

_Score = tuple[int, float]
_NONE: _Score = (0, 0.0)


def _always(_decision: int, _order: int) -> bool:
    return True


def pair_by_time(
    decisions: Sequence[float],
    orders: Sequence[float],
    tolerance_s: float,
    lead_s: float,
    fits: Callable[[int, int], bool] = _always,
) -> list[tuple[int, int]]:
    """The best pairing as (index of decision, index of order), both increasing. `fits` tells which may pair at all.

    An order may follow its decision by at most `tolerance_s` and precede it by at most `lead_s` (seconds).
    Of several best pairings the one that gives the earliest decisions the earliest orders is returned.
    """
    spans = [_span(decision, orders, tolerance_s, lead_s) for decision in decisions]
    best = _best_scores(decisions, orders, spans, fits)
    pairing: list[tuple[int, int]] = []
    free = 0
    for i, (first, end) in enumerate(spans):
        scores = best[i]
        for j in range(max(free, first), end):
            score = scores[j - first]
            if score != scores[max(free, first) - first]:
                break  # Without the orders before this one no pairing is a best one any more.
            if fits(i, j) and score == _paired(best, spans, i, j, abs(orders[j] - decisions[i])):
                pairing.append((i, j))
                free = j + 1
                break
    return pairing


def first_partner(
    decisions: Sequence[float],
    orders: Sequence[float],
    tolerance_s: float,
    lead_s: float,
    fits: Callable[[int, int], bool] = _always,
) -> int | None:
    """The index of the order that the best pairing gives the first decision; None where it gives it none."""
    pause_s = max(tolerance_s, lead_s)
    start = _span(decisions[0], orders, tolerance_s, lead_s)[0]
    i, j, newest = 1, start, decisions[0]
    while i < len(decisions) or j < len(orders):
        is_decision = j == len(orders) or (i < len(decisions) and decisions[i] <= orders[j])
        ts = decisions[i] if is_decision else orders[j]
        if ts - newest > pause_s:
            break
        newest = max(newest, ts)
        i, j = i + is_decision, j + (not is_decision)
    pairs = pair_by_time(decisions[:i], orders[start:j], tolerance_s, lead_s, lambda i, j: fits(i, start + j))
    return start + pairs[0][1] if pairs and pairs[0][0] == 0 else None


def _span(decision: float, orders: Sequence[float], tolerance_s: float, lead_s: float) -> tuple[int, int]:
    """(first, end) of the orders that the decision may pair with: those whose gap is within the bounds."""
    first = bisect_left(orders, -lead_s, key=lambda order: order - decision)
    return first, bisect_right(orders, tolerance_s, key=lambda order: order - decision)


def _best_scores(
    decisions: Sequence[float],
    orders: Sequence[float],
    spans: Sequence[tuple[int, int]],
    fits: Callable[[int, int], bool],
) -> list[list[_Score]]:
    """best[i][j - first]: (pairs, -gap) of the suffixes decisions[i:] and orders[j:], for first <= j <= end."""
    best: list[list[_Score]] = [[] for _ in spans]
    for i in range(len(spans) - 1, -1, -1):
        first, end = spans[i]
        score = _score(best, spans, i + 1, end)
        scores = [score] * (end - first + 1)
        decision = decisions[i]
        for j in range(end - 1, first - 1, -1):
            score = max(score, _score(best, spans, i + 1, j))
            if fits(i, j):
                score = max(score, _paired(best, spans, i, j, abs(orders[j] - decision)))
            scores[j - first] = score
        best[i] = scores
    return best


def _paired(best: Sequence[Sequence[_Score]], spans: Sequence[tuple[int, int]], i: int, j: int, gap_s: float) -> _Score:
    pairs, less_gap = _score(best, spans, i + 1, j + 1)
    return pairs + 1, less_gap - gap_s


def _score(best: Sequence[Sequence[_Score]], spans: Sequence[tuple[int, int]], i: int, j: int) -> _Score:
    """Of the suffixes from i and j on, where j is at most one past the span of i - 1."""
    if i == len(spans):
        return _NONE
    first, end = spans[i]
    return best[i][max(j, first) - first] if j <= end else _NONE
