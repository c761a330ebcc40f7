"""The check of the rollout: whether the executor's file allows no more than history and evidence support."""

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation
from pipeline_v6_dagster.stages.rollout.status import RolloutReport

NAME = "rollout_within_evidence"


def rollout_within_evidence(report: RolloutReport) -> Evaluation:
    """What the report says of it."""
    allowed = f"v6 is {report.state}" + (f" in stage {report.stage}" if report.stage else "")
    text = "; ".join(report.problems) if report.problems else f"{allowed}, which the evidence supports"
    return Evaluation(
        name=NAME,
        asset="rollout_state",
        has_passed=not report.problems,
        severity=Severity.ERROR,
        description="; ".join((text, *report.notes)),
        to_do=GUIDANCE[NAME].todo,
        count=len(report.problems),
        columns={"problem": "string"},
        sample=[{"problem": each} for each in report.problems],
        figures={"notional_share": report.notional_share, "symbols": len(report.symbols)},
    )
