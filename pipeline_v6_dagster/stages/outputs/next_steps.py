"""What an operator reads beside the verdict: what changed since the run before, and what to do next.

Only the text: the criteria decide what is broken, and each names its own remedy. docs/runbook.md explains it at length.
"""

from collections.abc import Sequence

from pipeline_v6_dagster.domain.summary import Status, Summary, Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState

# One screen: the criteria after these wait until these are dealt with.
MOST_STEPS = 5


def describe_changes(before: Summary | None, after: Summary) -> tuple[str, ...]:
    """What the newest run says differently from the one before it; nothing if there is none."""
    if before is None:
        return ()
    pairs = [
        ("status", before.status.value, after.status.value),
        ("verdict", before.verdict.value, after.verdict.value),
        ("configuration", before.config_hash, after.config_hash),
    ]
    pairs += [(name, _format_figure(old), _format_figure(new)) for name, old, new in _figures(before, after)]
    changes = [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]
    states = {each.name: each.state for each in before.criteria}
    for each in after.criteria:
        old_state = states.get(each.name)
        if old_state is not None and old_state is not each.state:
            changes.append(f"{each.name} {old_state.value} -> {each.state.value}")
    return tuple(changes)


def choose_steps(
    status: Status, verdict: Verdict, stale: Sequence[str], criteria: Sequence[Criterion]
) -> tuple[str, ...]:
    """The next steps, the most urgent first."""
    steps: list[str] = []
    if stale:
        steps.append("the figures are old: check that the Dagster daemon runs, or run the named command by hand")
    if status is Status.NO_DATA:
        steps.append("run pipeline-v6 doctor: it says which logs are missing and what blocks a run")
        return tuple(steps)
    broken = [each for each in criteria if each.state is CriterionState.BROKEN and each.counts_against]
    steps += [f"{each.name}: {each.to_do}" for each in broken[:MOST_STEPS]]
    if len(broken) > MOST_STEPS:
        steps.append(f"then the other {len(broken) - MOST_STEPS} broken criteria: pipeline-v6 status --json lists them")
    if not broken and status is Status.WARMUP:
        steps.append("wait for more decisions; until then switch nothing on")
    elif not broken and verdict is Verdict.INCONCLUSIVE:
        steps.append("keep v6 off until every criterion holds; the table says what is missing")
    elif not broken and status in (Status.RED, Status.AMBER):
        steps.append(
            "keep v6 off: sizes of the newest orders are far from v6's; run pipeline-v6 report for the largest"
        )
    elif verdict is Verdict.PASS and not stale:
        steps.append("nothing: every criterion holds")
    return tuple(steps)


def answer_question(status: Status, verdict: Verdict, stale: Sequence[str], steps: Sequence[str]) -> str:
    """One line: may v6 go live, and if not, the one thing to do next."""
    if verdict is Verdict.PASS and status is Status.GREEN and not stale:
        return "v6 may go live: every criterion holds."
    reason = {
        Verdict.PASS: "the newest figures do not support the PASS",
        Verdict.FAIL: "the evidence speaks against it",
        Verdict.INCONCLUSIVE: "the evidence does not decide it yet",
        Verdict.NO_DATA: "nothing was compared yet",
    }[verdict]
    following = f" Next: {steps[0]}" if steps else ""
    return f"v6 may not go live: {reason}.{following}"


def order_criteria(criteria: Sequence[Criterion]) -> list[Criterion]:
    """What is broken first, then what is open, then what holds; within each in the order of the table."""
    ranks = (CriterionState.BROKEN, CriterionState.NOT_YET, CriterionState.UNMEASURED, CriterionState.HOLDS)
    return sorted(criteria, key=lambda each: ranks.index(each.state))


def mismatch_ratio(summary: Summary) -> float | None:
    """The share of the newest decisions on which v6 and live disagree, as a ratio; None if not measured."""
    return None if summary.veto_mismatch_pct is None else summary.veto_mismatch_pct / 100


def _figures(before: Summary, after: Summary) -> tuple[tuple[str, object, object], ...]:
    old, new = before, after
    return (
        ("upsizes", old.sizing_diff_stats.upsize_count, new.sizing_diff_stats.upsize_count),
        ("decisions compared", old.sample_size, new.sample_size),
        ("veto mismatch %", old.veto_mismatch_pct, new.veto_mismatch_pct),
        ("sizing p95", old.sizing_diff_stats.p95, new.sizing_diff_stats.p95),
        ("slippage p95 bps", old.slippage_diff_bps.p95, new.slippage_diff_bps.p95),
        ("live orders without a decision", old.coverage.live_only, new.coverage.live_only),
        ("decisions without a live outcome", old.coverage.unresolved, new.coverage.unresolved),
    )


def _format_figure(value: object) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
