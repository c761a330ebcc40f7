"""The traffic light and the verdict of a summary. What was not measured is never a pass."""

from pipeline_v6_dagster.domain.summary import Judgement, Status, Summary, Verdict

RED_SIZING_P95_RATIO = 0.10
AMBER_SIZING_P95_RATIO = 0.05
# A pass needs the share of decisions on which shadow and live disagree to be at most this; also the share of those
# whose live outcome nobody logged, and the share of live orders that no decision explains.
MAX_VETO_MISMATCH_PCT = 2.0
MAX_UNRESOLVED_RATIO = 0.05
MAX_LIVE_ONLY_RATIO = 0.05


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


def judge(summary: Summary, status: Status) -> Judgement:
    """Whether the evidence supports flipping v6 on, with every reason that stands against it."""
    if status is Status.NO_DATA:
        return Judgement(Verdict.NO_DATA, ("no settled decision to compare yet",))
    against = (*_size_reasons(summary), *_mismatch_reasons(summary))
    if status is Status.WARMUP:
        missing = summary.min_sample_size - summary.sample_size
        return Judgement(
            Verdict.INCONCLUSIVE,
            (f"warmup: {summary.sample_size} of {summary.min_sample_size} decisions, {missing} more needed", *against),
        )
    if against:
        return Judgement(Verdict.FAIL, against)
    doubts = _doubts(summary)
    if doubts:
        return Judgement(Verdict.INCONCLUSIVE, doubts)
    return Judgement(Verdict.PASS, ("sizes and decisions agree",))


def _size_reasons(summary: Summary) -> tuple[str, ...]:
    sizing = summary.sizing_diff_stats
    reasons = []
    if sizing.upsize_count:
        reasons.append(f"{sizing.upsize_count} orders placed larger than asked for")
    if sizing.p95 is not None and sizing.p95 > RED_SIZING_P95_RATIO:
        reasons.append(f"sizing p95 {sizing.p95:.1%} is above {RED_SIZING_P95_RATIO:.0%}")
    return tuple(reasons)


def _mismatch_reasons(summary: Summary) -> tuple[str, ...]:
    mismatch = summary.veto_mismatch_pct
    if mismatch is None or mismatch <= MAX_VETO_MISMATCH_PCT:
        return ()
    return (f"shadow and live disagree on {mismatch:.1f} % of decisions, {MAX_VETO_MISMATCH_PCT:g} % at most",)


def _doubts(summary: Summary) -> tuple[str, ...]:
    sizing = summary.sizing_diff_stats
    reasons = []
    if sizing.p95 is None:
        reasons.append("no order size was measured")
    elif sizing.p95 > AMBER_SIZING_P95_RATIO:
        reasons.append(f"sizing p95 {sizing.p95:.1%} is above {AMBER_SIZING_P95_RATIO:.0%}")
    unresolved = summary.coverage.unresolved / summary.sample_size
    if unresolved > MAX_UNRESOLVED_RATIO:
        reasons.append(f"{unresolved:.1%} of decisions have no live outcome, {MAX_UNRESOLVED_RATIO:.0%} at most")
    live_only = summary.coverage.live_only / (summary.sample_size + summary.coverage.live_only)
    if live_only > MAX_LIVE_ONLY_RATIO:
        reasons.append(f"{live_only:.1%} of live orders have no decision, {MAX_LIVE_ONLY_RATIO:.0%} at most")
    return tuple(reasons)
