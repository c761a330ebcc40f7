"""The traffic light and the verdict of a summary. What was not measured is never a pass."""

from collections.abc import Sequence

from pipeline_v6_dagster.domain.comparison import MismatchKind
from pipeline_v6_dagster.domain.summary import Judgement, Status, Summary, Verdict
from pipeline_v6_dagster.domain.verdict import SequentialOutcome, SequentialReport

RED_SIZING_P95_RATIO = 0.10
AMBER_SIZING_P95_RATIO = 0.05


def status_of(summary: Summary) -> Status:
    """Warmup wins over the colours. Green needs order sizes to have been measured at all."""
    sizing = summary.sizing_diff_stats
    if summary.sample_size == 0:
        return Status.NO_DATA
    if summary.is_warmup:
        return Status.WARMUP
    if sizing.upsize_count > 0 or (sizing.p95 is not None and sizing.p95 > RED_SIZING_P95_RATIO):
        return Status.RED
    if sizing.p95 is None or sizing.p95 > AMBER_SIZING_P95_RATIO:
        return Status.AMBER
    return Status.GREEN


def judge(summary: Summary, status: Status, gaps: Sequence[str], test: SequentialReport) -> Judgement:
    """Whether the evidence supports flipping v6 on, with every reason that stands against it.

    In this order: too little to judge; what may never happen; evidence that cannot carry a verdict (`gaps`); sizes and
    decisions that disagree; what is not decided yet.
    """
    if status is Status.NO_DATA:
        return Judgement(Verdict.NO_DATA, ("no settled decision to compare yet", *gaps))
    critical = _critical(summary)
    against = _against(summary, test)
    doubts = _doubts(summary, test)
    if status is Status.WARMUP:
        missing = summary.min_sample_size - summary.sample_size
        warmup = f"warmup: {summary.sample_size} of {summary.min_sample_size} decisions, {missing} more needed"
        return Judgement(Verdict.INCONCLUSIVE, (warmup, *critical, *gaps, *against, *doubts))
    if critical:
        return Judgement(Verdict.FAIL, (*critical, *gaps, *against))
    if gaps:
        return Judgement(Verdict.INCONCLUSIVE, (*gaps, *against, *doubts))
    if against:
        return Judgement(Verdict.FAIL, against)
    if doubts:
        return Judgement(Verdict.INCONCLUSIVE, doubts)
    return Judgement(Verdict.PASS, (f"sizes and decisions agree: {_rate(test)}",))


def _critical(summary: Summary) -> tuple[str, ...]:
    """What fails by itself, however seldom."""
    reasons = []
    upsizes = summary.sizing_diff_stats.upsize_count
    if upsizes:
        reasons.append(f"{_orders(upsizes)} placed larger than asked for")
    denied = summary.mismatch_kinds[MismatchKind.SHADOW_VETOED_LIVE_EXECUTED]
    if denied:
        reasons.append(f"{_orders(denied)} placed that v6 denied")
    return tuple(reasons)


def _against(summary: Summary, test: SequentialReport) -> tuple[str, ...]:
    sizing = summary.sizing_diff_stats
    reasons = []
    if sizing.p95 is not None and sizing.p95 > RED_SIZING_P95_RATIO:
        reasons.append(f"sizing p95 {sizing.p95:.1%} is above {RED_SIZING_P95_RATIO:.0%}")
    if test.outcome is SequentialOutcome.REJECTED:
        # After a long good past the rate of all decisions says little of what has begun.
        when = "" if (test.mismatch_pct or 0.0) > test.acceptable_pct else " of late"
        reasons.append(
            f"shadow and live disagree too often{when}: {_rate(test)}, {test.acceptable_pct:g} % is acceptable"
        )
    return tuple(reasons)


def _doubts(summary: Summary, test: SequentialReport) -> tuple[str, ...]:
    sizing = summary.sizing_diff_stats
    reasons = []
    if sizing.p95 is None:
        reasons.append("no order size was measured")
    elif AMBER_SIZING_P95_RATIO < sizing.p95 <= RED_SIZING_P95_RATIO:
        reasons.append(f"sizing p95 {sizing.p95:.1%} is above {AMBER_SIZING_P95_RATIO:.0%}")
    if test.outcome is SequentialOutcome.UNDECIDED:
        rates = f"{test.acceptable_pct:g} % from {test.unacceptable_pct:g} % of mismatches"
        needed = f"{test.clean_decisions_needed} more without a mismatch are a PASS"
        reasons.append(f"too early to tell {rates}: {_rate(test)}; {needed}")
    return tuple(reasons)


def _rate(test: SequentialReport) -> str:
    if test.mismatch_pct is None or test.interval_95_pct is None:
        return "no decision with a known live outcome"
    low, high = test.interval_95_pct
    return (
        f"{test.mismatches} mismatches in {test.decisions} decisions, {test.mismatch_pct:.2f} %"
        f" (95 % interval {low:.2f} to {high:.2f} %)"
    )


def _orders(count: int) -> str:
    return f"{count} order{'s' * (count != 1)}"
