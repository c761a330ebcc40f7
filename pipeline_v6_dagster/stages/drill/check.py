"""The check of a drill: a fault that went by unseen fails it."""

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.stages.drill.result import DrillReport, Outcome
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation

ASSET = "drill"
CHECK = "drill_catches_faults"
NOTHING_TO_DRILL = "nothing to drill: the logs hold no order attempt to inject faults into"
FAULT_COLUMNS = {
    "fault": "string",
    "group": "string",
    "criterion": "string",
    "outcome": "string",
    "before": "string",
    "after": "string",
    "detail": "string",
}
# Worst first.
_RANKS = {Outcome.MISSED: 0, Outcome.NOT_TESTED: 1, Outcome.CAUGHT: 2}


def evaluate_drill(report: DrillReport) -> Evaluation:
    """What the check of a drill says. A drill that could test no fault has measured nothing."""
    missed, caught = report.named(Outcome.MISSED), report.named(Outcome.CAUGHT)
    untested = report.named(Outcome.NOT_TESTED)
    names = ": " + ", ".join(result.name for result in missed) if missed else ""
    outcome = f"{len(caught)} faults caught, {len(untested)} could not be tested, {len(missed)} missed{names}"
    return Evaluation(
        name=CHECK,
        asset=ASSET,
        has_passed=not missed,
        is_measured=bool(missed or caught),
        severity=Severity.ERROR if missed else Severity.WARN,
        description=outcome if report.attempts else NOTHING_TO_DRILL,
        to_do=GUIDANCE[CHECK].todo,
        count=len(missed),
        # A home that nobody trades in is no event.
        is_quiet=not report.attempts,
        columns=FAULT_COLUMNS,
        sample=fault_rows(report),
        figures={"caught": len(caught), "missed": len(missed), "not_tested": len(untested)},
    )


def fault_rows(report: DrillReport) -> list[dict[str, str | None]]:
    """Each fault in a row, those that were missed first."""
    return [
        {
            "fault": result.name,
            "group": result.group.value,
            "criterion": result.criterion,
            "outcome": result.outcome.value,
            "before": result.before,
            "after": result.after,
            "detail": result.detail,
        }
        for result in sorted(report.results, key=lambda result: _RANKS[result.outcome])
    ]
