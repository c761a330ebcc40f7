"""The traffic light and the verdict."""

from dataclasses import replace
from math import nextafter

import pytest

from pipeline_v6_dagster.compare.summary import summarise
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind
from pipeline_v6_dagster.domain.summary import SizingStats, Status, Summary, Verdict
from pipeline_v6_dagster.verdict.status import judge, status_of
from pipeline_v6_dagster_tests.live_builders import diff

ABSENT = {"mismatch_kind": MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT, "veto_mismatch": True}


def summary(p95: float | None = 0.0, upsizes: int = 0, size: int = 100, min_sample: int = 100) -> Summary:
    """Of `size` matches, with these sizing statistics."""
    found = summarise([diff(number) for number in range(size)], 500, min_sample)
    return replace(found, sizing_diff_stats=SizingStats(p95, p95, upsizes, 0 if p95 is None else size))


def summary_of(*diffs: Diff, min_sample: int = 100) -> Summary:
    return summarise(diffs, 500, min_sample)


def verdict_of(found: Summary) -> Verdict:
    return judge(found, status_of(found)).verdict


@pytest.mark.parametrize(
    ("p95", "status"),
    [
        (0.0, Status.GREEN),
        (0.05, Status.GREEN),
        (nextafter(0.05, 1), Status.AMBER),
        (0.10, Status.AMBER),
        (nextafter(0.10, 1), Status.RED),
        (None, Status.AMBER),
    ],
)
def test_the_colour_changes_exactly_at_its_threshold(p95: float | None, status: Status) -> None:
    assert status_of(summary(p95)) is status


def test_one_upsize_is_red_whatever_the_quantile() -> None:
    assert status_of(summary(0.0, upsizes=1)) is Status.RED
    assert status_of(summary(None, upsizes=1)) is Status.RED


@pytest.mark.parametrize("found", [summary(0.5, size=99), summary(0.0, upsizes=3, size=99), summary(0.07, size=99)])
def test_warmup_wins_over_red_and_amber(found: Summary) -> None:
    assert status_of(found) is Status.WARMUP
    assert verdict_of(found) is Verdict.INCONCLUSIVE


def test_nothing_to_compare_is_no_data() -> None:
    assert status_of(summary(size=0)) is Status.NO_DATA
    assert verdict_of(summary(size=0)) is Verdict.NO_DATA


def test_agreement_is_a_pass() -> None:
    assert verdict_of(summary()) is Verdict.PASS


def test_an_upsize_fails_and_is_named_as_the_reason() -> None:
    found = summary(upsizes=2)
    assert verdict_of(found) is Verdict.FAIL
    assert judge(found, Status.RED).reasons == ("2 orders placed larger than asked for",)


def test_sizes_far_apart_fail_and_sizes_apart_are_inconclusive() -> None:
    assert verdict_of(summary(0.2)) is Verdict.FAIL
    assert verdict_of(summary(0.07)) is Verdict.INCONCLUSIVE


def test_sizes_that_nobody_measured_never_pass() -> None:
    assert verdict_of(summary(None)) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("mismatches", "verdict"), [(2, Verdict.INCONCLUSIVE), (3, Verdict.FAIL)])
def test_more_than_two_percent_of_mismatches_fail(mismatches: int, verdict: Verdict) -> None:
    diffs = [diff(number, **(ABSENT if number < mismatches else {})) for number in range(100)]
    assert verdict_of(summary_of(*diffs)) is verdict  # Without mismatches it would be inconclusive for its sizes.


@pytest.mark.parametrize(("unresolved", "verdict"), [(5, Verdict.PASS), (6, Verdict.INCONCLUSIVE)])
def test_more_than_five_percent_without_a_live_outcome_are_inconclusive(unresolved: int, verdict: Verdict) -> None:
    both_denied = {"mismatch_kind": MismatchKind.MATCH_VETO, "live_outcome": LiveOutcome.UNRESOLVED}
    diffs = [diff(number, sizing_diff_pct=0.0, **(both_denied if number < unresolved else {})) for number in range(100)]
    assert verdict_of(summary_of(*diffs)) is verdict


@pytest.mark.parametrize(("live_only", "verdict"), [(5, Verdict.PASS), (6, Verdict.INCONCLUSIVE)])
def test_more_than_five_percent_of_orders_without_a_decision_are_inconclusive(live_only: int, verdict: Verdict) -> None:
    diffs = [diff(number, sizing_diff_pct=0.0) for number in range(100)]
    orders = [diff(number, decision_id=None, mismatch_kind=MismatchKind.LIVE_ONLY) for number in range(live_only)]
    assert verdict_of(summary_of(*diffs, *orders)) is verdict


def test_warmup_says_how_many_decisions_are_missing_and_what_is_bad_already() -> None:
    reasons = judge(summary(upsizes=1, size=60), Status.WARMUP).reasons
    assert reasons == (
        "warmup: 60 of 100 decisions, 40 more needed",
        "1 orders placed larger than asked for",
    )
