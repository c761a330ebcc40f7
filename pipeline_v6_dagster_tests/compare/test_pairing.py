"""Pairing by time alone, against every pairing there is."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.compare.pairing import first_partner

TOLERANCE_S = 10.0
LEAD_S = 2.0

Pairs = list[tuple[int, int]]


def pair_by_time(decisions: Sequence[float], orders: Sequence[float]) -> Pairs:
    """The whole pairing: each decision in turn is the first of those that are left, with the orders that are left."""
    pairs: Pairs = []
    free = 0
    for i in range(len(decisions)):
        partner = first_partner(decisions[i:], orders[free:], TOLERANCE_S, LEAD_S)
        if partner is not None:
            pairs.append((i, free + partner))
            free += partner + 1
    return pairs


def all_pairings(decisions: Sequence[float], orders: Sequence[float]) -> Iterator[Pairs]:
    """Every one-to-one, order-preserving pairing within tolerance and lead."""
    for count in range(min(len(decisions), len(orders)) + 1):
        for chosen in combinations(range(len(decisions)), count):
            for partners in combinations(range(len(orders)), count):
                pairs = list(zip(chosen, partners, strict=True))
                if all(-LEAD_S <= orders[j] - decisions[i] <= TOLERANCE_S for i, j in pairs):
                    yield pairs


def worth(pairs: Pairs, decisions: Sequence[float], orders: Sequence[float]) -> tuple[int, float]:
    """The more the better: first the number of pairs, then the least total gap."""
    return len(pairs), -sum(abs(orders[j] - decisions[i]) for i, j in pairs)


# Quarters are exact in binary, so that sums of gaps compare exactly.
times = st.lists(st.integers(0, 120).map(lambda quarter: quarter / 4), max_size=5).map(sorted)


@given(times, times)
def test_no_pairing_is_better(decisions: list[float], orders: list[float]) -> None:
    found = pair_by_time(decisions, orders)
    pairings = list(all_pairings(decisions, orders))
    assert found in pairings
    assert worth(found, decisions, orders) == max(worth(pairs, decisions, orders) for pairs in pairings)


@given(times, times)
def test_the_earliest_decision_gets_the_earliest_order_that_a_best_pairing_allows(
    decisions: list[float], orders: list[float]
) -> None:
    pairings = list(all_pairings(decisions, orders))
    best = max(worth(pairs, decisions, orders) for pairs in pairings)
    equals = [pairs for pairs in pairings if worth(pairs, decisions, orders) == best]
    assert pair_by_time(decisions, orders) == min(equals)


@pytest.mark.parametrize(
    ("decisions", "orders", "pairs"),
    [
        ([], [], []),
        ([0.0], [], []),
        ([], [0.0], []),
        ([0.0], [10.0], [(0, 0)]),
        ([0.0], [10.1], []),
        ([2.0], [0.0], [(0, 0)]),
        ([2.1], [0.0], []),
    ],
)
def test_an_order_may_follow_by_the_tolerance_and_precede_by_the_lead(
    decisions: list[float], orders: list[float], pairs: Pairs
) -> None:
    assert pair_by_time(decisions, orders) == pairs


def test_more_pairs_win_over_a_smaller_gap() -> None:
    # The nearest order of the second decision is the only one that the first can have.
    assert pair_by_time([0.0, 9.0], [9.5, 18.0]) == [(0, 0), (1, 1)]


def test_of_as_many_pairs_the_smaller_gap_wins() -> None:
    assert pair_by_time([0.0, 9.0], [9.5]) == [(1, 0)]
    assert pair_by_time([2.0], [0.5, 2.5]) == [(0, 1)]


def test_pairs_do_not_cross() -> None:
    assert pair_by_time([0.0, 1.0], [1.5, 1.6]) == [(0, 0), (1, 1)]


@given(times, times, st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_what_does_not_fit_is_never_paired_and_stands_in_the_way_of_nothing(
    decisions: list[float], orders: list[float], misfits: frozenset[tuple[int, int]]
) -> None:
    if not decisions:
        return
    pairings = [pairs for pairs in all_pairings(decisions, orders) if not misfits & set(pairs)]
    best = max(worth(pairs, decisions, orders) for pairs in pairings)
    partners = [dict(pairs).get(0) for pairs in pairings if worth(pairs, decisions, orders) == best]
    found = first_partner(decisions, orders, TOLERANCE_S, LEAD_S, lambda i, j: (i, j) not in misfits)
    assert found == min((partner for partner in partners if partner is not None), default=None)


def test_a_stream_that_never_pauses_is_looked_at_only_as_far_as_it_matters() -> None:
    looked_at: set[tuple[int, int]] = set()

    def fits(i: int, j: int) -> bool:
        looked_at.add((i, j))
        return True

    decisions = [float(second) for second in range(5000)]
    assert first_partner(decisions, [ts + 0.3 for ts in decisions], 900.0, LEAD_S, fits) == 0
    assert len(looked_at) < 20
    # Whether the first has none is known only at the end: then each looks at its neighbours.
    looked_at.clear()
    assert first_partner(decisions, [ts + 0.3 for ts in decisions[1:]], 900.0, LEAD_S, fits) is None
    assert len(looked_at) < 5 * len(decisions)
