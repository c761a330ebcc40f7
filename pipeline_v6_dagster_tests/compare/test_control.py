"""Live against itself."""

import pytest

from pipeline_v6_dagster.compare.control import control_sizes, measure_control
from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.settlement import Settled
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MatchMethod
from pipeline_v6_dagster_tests.live_builders import ack, decision, denied, fill, policy, settled

CANCELED = "CANCELED"


def compared(asked: float, filled: float) -> Diff:
    """Live asked for so much where v6 would have 5, and so much of it was filled."""
    return compare_sides(settled(decision(), ack(qty=asked), fill(qty=filled)), policy())


def test_an_order_that_was_filled_is_what_was_asked_for_also_where_v6_would_have_asked_for_less() -> None:
    doubled = compared(10.0, 10.0)
    assert (doubled.size_pct_diff, doubled.sizing_diff_pct, doubled.is_upsize) == (100.0, 1.0, True)
    control = control_sizes(doubled, policy())
    assert control is not None
    assert (control.size_pct_diff, control.sizing_diff_pct, control.is_upsize) == (0.0, 0.0, False)


def test_what_was_not_filled_is_the_noise_that_it_shows() -> None:
    control = control_sizes(compared(5.0, 4.0), policy())
    assert control is not None
    assert (control.size_pct_diff, control.sizing_diff_pct) == pytest.approx((-20.0, -0.2))


def test_an_order_that_v6_denied_is_live_all_the_same() -> None:
    found = compare_sides(settled(denied(), ack(), fill()), policy())
    control = control_sizes(found, policy())
    assert control is not None
    assert control.size_pct_diff == 0.0


def test_what_was_not_executed_or_not_measured_has_none() -> None:
    unresolved = Settled(decision=decision(), outcome=LiveOutcome.UNRESOLVED)
    assert control_sizes(compare_sides(unresolved, policy()), policy()) is None
    vetoed = Settled(decision=decision(), outcome=LiveOutcome.VETOED, method=MatchMethod.INTENT_ID, reason="bucket_cap")
    assert control_sizes(compare_sides(vetoed, policy()), policy()) is None
    assert control_sizes(compare_sides(settled(decision(), ack()), policy()), policy()) is None


def test_the_measure_control_a_window_has_its_statistics() -> None:
    found = measure_control([compared(5.0, 5.0), compared(10.0, 10.0), compared(5.0, 4.0)], policy())
    assert (found.sample_size, found.veto_mismatch_pct) == (3, 0.0)
    assert (found.size_diff_stats.p50, found.sizing_diff_stats.upsize_count) == (0.0, 0)
    nothing = measure_control([], policy())
    assert (nothing.sample_size, nothing.veto_mismatch_pct, nothing.size_diff_stats.p50) == (0, None, None)
