"""The newest decisions: by as-of time, of this epoch alone, whatever was ignored left out."""

from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.window import window_evidence
from pipeline_v6_dagster_tests.live_builders import T0
from pipeline_v6_dagster_tests.verdict.evidence_builders import absent, live_only, settled, unresolved

EVIDENCE = EpochEvidence(first_number=10, since_ts=T0)


def test_it_takes_the_newest_by_as_of_time_however_they_are_ordered() -> None:
    diffs = [absent(20), *[settled(number) for number in range(40, 20, -1)]]
    assert window_evidence(diffs, EVIDENCE, 20).mismatches == 0
    found = window_evidence(reversed(diffs), EVIDENCE, 21)
    assert (found.samples, found.mismatches, found.mismatch_ids) == (21, 1, ("d20",))
    assert found.gate_decisions == 21


def test_other_epochs_ignored_ones_and_orders_without_a_decision_are_left_out() -> None:
    diffs = [absent(9), settled(11, ignored_by="rule"), live_only(12), unresolved(13), settled(14)]
    found = window_evidence(diffs, EVIDENCE, 500)
    assert (found.samples, found.mismatches, found.gate_decisions, found.filled_orders) == (1, 0, 2, 1)


def test_of_nothing_it_is_empty() -> None:
    found = window_evidence([], EVIDENCE, 500)
    assert (found.samples, found.gate_decisions, found.v6_reason, found.live_reason) == (0, 0, None, None)
