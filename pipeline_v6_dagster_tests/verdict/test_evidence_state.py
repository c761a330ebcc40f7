"""The evidence of an epoch: the same however a history is split, never negative, never of another epoch."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.comparison import Diff, ReduceLabel
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster_tests.builders import unhurried
from pipeline_v6_dagster_tests.live_builders import T0, live
from pipeline_v6_dagster_tests.verdict.evidence_builders import (
    EVERY_S,
    absent,
    live_only,
    settled,
    unresolved,
    with_label,
)

NUMBERS = st.integers(0, 30)
KINDS = (
    settled,
    absent,
    unresolved,
    lambda number: settled(number, is_upsize=True, sizing_diff_pct=1.0, impact_usd=500.0),
    lambda number: settled(number, ignored_by="rule"),
    lambda number: settled(number, sizing_diff_pct=float("nan"), slippage_diff_bps=float("inf")),
    lambda number: settled(number, live=live(executed_qty=1e300, gross_usd=1e300)),
    lambda number: with_label(number, ReduceLabel.EXCEEDED),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Diff | None, Diff]]:
    """(before, after) pairs: decisions that settle once, and revisions of those that have."""
    known: dict[int, Diff] = {}
    found: list[tuple[Diff | None, Diff]] = []
    for number, kind in draw(st.lists(st.tuples(NUMBERS, st.sampled_from(KINDS)), max_size=60)):
        after = kind(number)
        found.append((known.get(number), after))
        known[number] = after
    return found


def fold(evidence: EpochEvidence, history: list[tuple[Diff | None, Diff]]) -> EpochEvidence:
    for before, after in history:
        if before is None:
            evidence.add(after)
        else:
            evidence.revise(before, after)
    return evidence


def stored(evidence: EpochEvidence) -> EpochEvidence:
    return msgspec.json.decode(msgspec.json.encode(evidence), type=EpochEvidence)


def additive(evidence: EpochEvidence) -> dict[str, object]:
    names = [name for name in EpochEvidence.__slots__ if isinstance(getattr(evidence, name), int)]
    counts: dict[str, object] = {name: getattr(evidence, name) for name in names}
    counts["slices"] = {name: (part.trials, part.hits) for name, part in evidence.slices.by_name.items() if part.trials}
    counts["symbols"] = {
        name: (symbol.decisions, symbol.executed) for name, symbol in evidence.symbols.items() if symbol.decisions
    }
    counts["failing_orders"] = {name: found.count for name, found in evidence.failing_orders.items() if found.count}
    counts["histograms"] = (evidence.slippage_bps, evidence.delay_s)
    return counts


@given(histories(), st.integers(0, 60))
@unhurried
def test_it_is_the_same_however_a_history_is_split_into_runs(history: list[tuple[Diff | None, Diff]], cut: int) -> None:
    whole = fold(EpochEvidence(since_ts=T0), history)
    split = fold(stored(fold(EpochEvidence(since_ts=T0), history[:cut])), history[cut:])
    assert stored(split) == stored(whole)


@given(histories())
@unhurried
def test_revisions_leave_the_counts_of_the_final_states(history: list[tuple[Diff | None, Diff]]) -> None:
    final = {after.number: after for _, after in history}
    expected = fold(EpochEvidence(since_ts=T0), [(None, after) for after in final.values()])
    assert additive(fold(EpochEvidence(since_ts=T0), history)) == additive(expected)


@given(st.lists(st.tuples(st.booleans(), NUMBERS, st.sampled_from(KINDS), st.sampled_from(KINDS)), max_size=40))
@unhurried
def test_counts_stay_possible_whatever_a_revision_claims(changes: list[tuple[bool, int, object, object]]) -> None:
    evidence = EpochEvidence(since_ts=T0)
    for is_first, number, before, after in changes:
        if is_first:
            evidence.add(after(number))  # type: ignore[operator]
        else:
            evidence.revise(before(number), after(number))  # type: ignore[operator]
    assert all(value >= 0 for value in additive(evidence).values() if isinstance(value, int))
    assert evidence.mismatches <= evidence.samples <= evidence.decisions
    assert evidence.different_sizes <= evidence.sized
    assert evidence.filled_units <= evidence.asked_units
    assert all(0 <= part.hits <= part.trials for part in evidence.slices.by_name.values())
    assert all(found.count >= 0 for found in evidence.failing_orders.values())


def test_nothing_of_another_epoch_counts() -> None:
    evidence = EpochEvidence(first_number=10, since_ts=T0 + 10 * EVERY_S)
    evidence.add(settled(9, is_upsize=True))
    evidence.add(live_only(9))
    evidence.revise(unresolved(8), absent(8))
    assert evidence == EpochEvidence(first_number=10, since_ts=T0 + 10 * EVERY_S)
    evidence.add(settled(10))
    evidence.add(live_only(10))
    assert (evidence.decisions, evidence.live_only) == (1, 1)


def test_membership_is_by_number_so_a_wild_time_moves_nothing() -> None:
    evidence = EpochEvidence(first_number=10, since_ts=T0)
    evidence.add(settled(11, ts=T0 - 1e9))
    evidence.add(settled(12, ts=1e300))
    evidence.add(settled(3, ts=T0 + 1e9))
    assert evidence.decisions == 2


def test_only_symbols_in_scope_count_and_orders_that_live_sends_there() -> None:
    evidence = EpochEvidence(since_ts=T0, scope=("BTCUSDT",))
    evidence.add(settled(0))
    evidence.add(settled(1, is_upsize=True))
    assert (evidence.decisions, evidence.outside, evidence.samples) == (1, 1, 1)
    assert not evidence.failing_orders
    astray = settled(3)
    assert astray.live is not None
    astray.live.symbol = "BTCUSDT"
    evidence.add(astray)
    assert evidence.count_failing("same_symbol") == 1


def test_an_unresolved_decision_takes_its_place_when_its_outcome_is_known() -> None:
    evidence = EpochEvidence(since_ts=T0)
    evidence.add(unresolved(0))
    evidence.add(settled(1))
    assert (evidence.samples, evidence.bet.trials) == (1, 1)
    evidence.revise(unresolved(0), absent(0))
    assert (evidence.samples, evidence.mismatches, evidence.bet.trials) == (2, 1, 2)
    assert evidence.symbols["BTCUSDT"].first_divergence == "d0"


def test_the_state_is_bounded() -> None:
    evidence = EpochEvidence(since_ts=T0)
    for number in range(3000):
        evidence.add(settled(number, symbol=f"S{number}", is_upsize=True, ts=T0 + number * 1e6, impact_usd=number))
    assert len(msgspec.json.encode(evidence)) < 80_000
    failing_orders = evidence.failing_orders["no_upsizes"]
    assert failing_orders.count == 3000
    assert len(failing_orders.ids) <= 50
    assert len(evidence.symbols) <= 301
    assert len(evidence.slices.by_name) <= 301


def test_of_no_sample_there_is_no_bound_and_no_whole_block_bounds_nothing() -> None:
    assert EpochEvidence().mismatch_bound_pct(0.025) is None
    assert EpochEvidence(samples=1).mismatch_bound_pct(0.025) == 100.0
