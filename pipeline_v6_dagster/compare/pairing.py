"""Pairing decisions with orders by time alone: one to one, order-preserving, the most pairs, the least gap.

Both lists are sorted by time. Because pairs may not cross, this is the alignment of two sequences, solved
exactly by dynamic programming over prefixes (as in Needleman and Wunsch 1970), where pairing two items scores
(one pair, minus their gap) and is allowed only within the tolerance.
"""

from collections.abc import Sequence


def pair_by_time(
    decisions: Sequence[float], orders: Sequence[float], tolerance_s: float, lead_s: float
) -> list[tuple[int, int]]:
    """The best pairing as (index of decision, index of order), both increasing.

    An order may follow its decision by at most `tolerance_s` and precede it by at most `lead_s` (seconds).
    Of several best pairings the one that gives the earliest decisions the earliest orders is returned.
    """
    rows, columns = len(decisions), len(orders)
    # best[i][j]: (pairs, -gap) of the suffixes decisions[i:] and orders[j:].
    best = [[(0, 0.0)] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            score = max(best[i + 1][j], best[i][j + 1])
            gap = orders[j] - decisions[i]
            if -lead_s <= gap <= tolerance_s:
                pairs, less_gap = best[i + 1][j + 1]
                score = max(score, (pairs + 1, less_gap - abs(gap)))
            best[i][j] = score
    pairing: list[tuple[int, int]] = []
    free = 0
    for i in range(rows):
        for j in range(free, columns):
            if best[i][j] != best[i][free]:
                break  # Without the orders before this one no pairing is a best one any more.
            gap = orders[j] - decisions[i]
            pairs, less_gap = best[i + 1][j + 1]
            if -lead_s <= gap <= tolerance_s and best[i][j] == (pairs + 1, less_gap - abs(gap)):
                pairing.append((i, j))
                free = j + 1
                break
    return pairing
