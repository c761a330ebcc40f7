"""The traffic light and the verdict."""

from dataclasses import replace
from math import nextafter
from typing import Any

import pytest
from pipeline_v6_dagster.verdict.sequential import SequentialTest

from pipeline_v6_dagster.compare.summary import summarise
from pipeline_v6_dagster.domain.comparison import MismatchKind
from pipeline_v6_dagster.domain.summary import SizingStats, Status, Summary, Verdict
from pipeline_v6_dagster.domain.verdict import SequentialOutcome, SequentialPlan, SequentialReport, SequentialState
from pipeline_v6_dagster.verdict.status import judge, status_of
from pipeline_v6_dagster_tests.live_builders import diff

PLAN = SequentialPlan(acceptable_ratio=0.005, unacceptable_ratio=0.02, false_fail_ratio=0.05, false_pass_ratio=0.05)
GAPS = ("12.0% of decisions have no live outcome, 5% at most",)
DENIED = {"mismatch_kind": MismatchKind.SHADOW_VETOED_LIVE_EXECUTED, "veto_mismatch": True}


def summary(p95: float | None = 0.0, upsizes: int = 0, size: int = 100, min_sample: int = 100) -> Summary:
    """Of `size` matches, with these sizing statistics."""
    found = summarise([diff(number) for number in range(size)], 500, min_sample)
    return replace(found, sizing_diff_stats=SizingStats(p95, p95, upsizes, 0 if p95 is None else size))


def report(outcome: SequentialOutcome = SequentialOutcome.ACCEPTED, **changes: Any) -> SequentialReport:
    return replace(
        SequentialTest(PLAN, SequentialState(decisions=400, mismatches=1)).report(), outcome=outcome, **changes
    )


def verdict_of(found: Summary, *gaps: str, outcome: SequentialOutcome = SequentialOutcome.ACCEPTED) -> Verdict:
    return judge(found, status_of(found), gaps, report(outcome)).verdict


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
@pytest.mark.parametrize("outcome", SequentialOutcome)
def test_warmup_wins_over_everything(found: Summary, outcome: SequentialOutcome) -> None:
    assert status_of(found) is Status.WARMUP
    assert verdict_of(found, outcome=outcome) is Verdict.INCONCLUSIVE


def test_nothing_to_compare_is_no_data() -> None:
    assert status_of(summary(size=0)) is Status.NO_DATA
    assert verdict_of(summary(size=0), *GAPS, outcome=SequentialOutcome.REJECTED) is Verdict.NO_DATA


def test_agreement_is_a_pass_and_says_how_sure_it_is() -> None:
    judgement = judge(summary(), Status.GREEN, (), report())
    assert judgement.verdict is Verdict.PASS
    assert judgement.reasons == (
        "sizes and decisions agree: 1 mismatches in 400 decisions, 0.25 % (95 % interval 0.01 to 1.38 %)",
    )


@pytest.mark.parametrize("outcome", SequentialOutcome)
@pytest.mark.parametrize("gaps", [(), GAPS])
def test_one_upsize_fails_by_itself(outcome: SequentialOutcome, gaps: tuple[str, ...]) -> None:
    judgement = judge(summary(upsizes=1), Status.RED, gaps, report(outcome))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reasons[0] == "1 order placed larger than asked for"
    assert set(gaps) <= set(judgement.reasons)


@pytest.mark.parametrize("outcome", SequentialOutcome)
@pytest.mark.parametrize("gaps", [(), GAPS])
def test_one_live_order_that_v6_denied_fails_by_itself(outcome: SequentialOutcome, gaps: tuple[str, ...]) -> None:
    diffs = [diff(number, sizing_diff_pct=0.0, **(DENIED if number == 7 else {})) for number in range(400)]
    found = summarise(diffs, 500, 200)
    judgement = judge(found, status_of(found), gaps, report(outcome))
    assert (judgement.verdict, judgement.reasons[0]) == (Verdict.FAIL, "1 order placed that v6 denied")


def test_evidence_that_cannot_carry_a_verdict_gives_none_either_way() -> None:
    for found in (summary(), summary(0.2)):
        for outcome in SequentialOutcome:
            assert verdict_of(found, *GAPS, outcome=outcome) is Verdict.INCONCLUSIVE
    assert judge(summary(), Status.GREEN, GAPS, report()).reasons == GAPS


def test_sizes_far_apart_fail_and_sizes_apart_are_inconclusive() -> None:
    assert verdict_of(summary(0.2)) is Verdict.FAIL
    assert verdict_of(summary(0.07)) is Verdict.INCONCLUSIVE


def test_sizes_that_nobody_measured_never_pass() -> None:
    assert verdict_of(summary(None)) is Verdict.INCONCLUSIVE


def test_the_sequential_test_decides_where_sizes_agree() -> None:
    assert verdict_of(summary(), outcome=SequentialOutcome.REJECTED) is Verdict.FAIL
    undecided = judge(summary(), Status.GREEN, (), report(SequentialOutcome.UNDECIDED, clean_decisions_needed=17))
    assert undecided.verdict is Verdict.INCONCLUSIVE
    assert "17 more without a mismatch are a PASS" in undecided.reasons[0]


def test_a_change_after_a_long_good_past_is_said_to_be_new() -> None:
    late = judge(summary(), Status.GREEN, (), report(SequentialOutcome.REJECTED))
    early = judge(summary(), Status.GREEN, (), report(SequentialOutcome.REJECTED, mismatches=20, mismatch_pct=5.0))
    assert "too often of late" in late.reasons[0]
    assert "too often:" in early.reasons[0]


def test_warmup_says_how_many_decisions_are_missing_and_what_is_bad_already() -> None:
    reasons = judge(summary(upsizes=1, size=60), Status.WARMUP, GAPS, report()).reasons
    assert reasons == ("warmup: 60 of 100 decisions, 40 more needed", "1 order placed larger than asked for", *GAPS)
