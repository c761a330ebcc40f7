"""What an operator is told besides the verdict: what changed since the run before, and what to do now.

Only the text: `verdict` and `stages.outputs.status` decide what is red or stale; docs/runbook.md explains each check.
"""

from collections.abc import Sequence
from typing import Any

from pipeline_v6_dagster.domain.summary import Status, Verdict

# Figures by their place in the summary, and how they are written.
_FIGURES = (
    ("upsizes", ("sizing_diff_stats", "upsize_count"), "{:.0f}"),
    ("decisions compared", ("sample_size",), "{:.0f}"),
    ("veto mismatch", ("veto_mismatch_pct",), "{:.2f} %"),
    ("sizing p95", ("sizing_diff_stats", "p95"), "{:.4f}"),
    ("slippage p95", ("slippage_diff_bps", "p95"), "{:.2f} bps"),
    ("live orders without a decision", ("coverage", "live_only"), "{:.0f}"),
    ("decisions without a live outcome", ("coverage", "unresolved"), "{:.0f}"),
)


def changes_between(before: dict[str, Any] | None, after: dict[str, Any]) -> tuple[str, ...]:
    """What the newest run says otherwise than the one before it; nothing where there is none."""
    if before is None:
        return ()
    changes = [
        f"{name} {before.get(name)} -> {after.get(name)}"
        for name in ("status", "verdict", "config_hash")
        if before.get(name) != after.get(name)
    ]
    for name, path, form in _FIGURES:
        old, new = _written(_figure(before, path), form), _written(_figure(after, path), form)
        if old != new:
            changes.append(f"{name} {old} -> {new}")
    return tuple(changes)


def what_to_do(
    status: Status, verdict: Verdict, stale: Sequence[str], summary: dict[str, Any] | None
) -> tuple[str, ...]:
    """The next steps, the most urgent first."""
    steps: list[str] = []
    if stale:
        steps.append("the figures are old: see that the Dagster daemon runs, or run the named command by hand")
    if status is Status.NO_DATA:
        steps.append("run pipeline-v6 doctor: it says which logs are missing and what stands in the way")
    elif status is Status.WARMUP:
        steps.append("wait for more decisions; until then flip no flag on this")
    upsizes = summary["upsizes"] if summary is not None else ()
    if upsizes:
        steps.append("keep v6 off and stop the executor from opening: it orders more than it is asked to")
        newest = upsizes[0]
        explained = f", pipeline-v6 explain {newest['decision_id']}" if newest["decision_id"] else ""
        steps.append(f"look at the newest upsize: intent {newest['intent_id'] or 'without id'}{explained}")
    elif status in (Status.RED, Status.AMBER):
        steps.append("keep v6 off: order sizes are far from v6's; run pipeline-v6 report for the worst cases")
    if verdict is Verdict.FAIL and status is Status.GREEN:
        steps.append("keep v6 off: sizes agree, decisions do not; run pipeline-v6 report for the causes")
    elif verdict is Verdict.INCONCLUSIVE and status is Status.GREEN:
        steps.append("keep v6 off until what is missing was measured; the reasons above name it")
    elif verdict is Verdict.PASS and not stale:
        steps.append("nothing: the evidence is for v6")
    return tuple(steps)


def _figure(summary: dict[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = summary
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, int | float) else None


def _written(value: float | None, form: str) -> str:
    return "not measured" if value is None else form.format(value)
