"""The check of the rollout: whether the executor's file allows no more than history and evidence support."""

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation
from pipeline_v6_dagster.stages.rollout.status import RolloutReport

NAME = "rollout_within_evidence"


def rollout_within_evidence(report: RolloutReport) -> Evaluation:
    """What the report says of it. A plan that cannot be used is a warning: v6 may do no more for it."""
    allowed = f"v6 is {report.state}" + (f" in stage {report.stage}" if report.stage else "")
    text = "; ".join(report.problems) if report.problems else f"{allowed}, which the evidence supports"
    rows = (*report.problems, *report.plan_problems)
    return Evaluation(
        name=NAME,
        asset="rollout_state",
        has_passed=not rows,
        severity=Severity.ERROR if report.problems else Severity.WARN,
        description="; ".join((text, *report.notes, *report.plan_problems)),
        to_do=GUIDANCE[NAME].todo,
        count=len(rows),
        columns={"problem": "string"},
        sample=[{"problem": each} for each in rows],
        figures={"notional_share": report.notional_share, "symbols": len(report.symbols)},
    )
