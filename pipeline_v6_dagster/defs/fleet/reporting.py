"""What a run reports about its executor to the fleet: in Dagster's event log, since its host may be any."""

import dagster as dg

from pipeline_v6_dagster.defs.keys import EXECUTOR_ALERTS, EXECUTOR_STATUS
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext
from pipeline_v6_dagster.stages.outputs.fleet_alerts import HandOver, encode_messages
from pipeline_v6_dagster.stages.outputs.fleet_status import encode_row, executor_status
from pipeline_v6_dagster.stages.outputs.status import build_report

ROW = "row"
MESSAGES = "messages"


def report_status(context: dg.AssetExecutionContext, pipeline: Pipeline, evidence: CheckContext) -> None:
    """Report the executor's row of the fleet summary. Without a fleet nothing is reported."""
    name = pipeline.settings.executor
    if name is None:
        return
    now = pipeline.clock()
    row = executor_status(name, pipeline.host, build_report(pipeline.settings, evidence.gate, now), now)
    context.log_event(
        dg.AssetObservation(
            EXECUTOR_STATUS,
            partition=name,
            description=row.answer,
            metadata={
                "status": row.status.value,
                "verdict": row.verdict.value,
                "exit_code": row.exit_code,
                ROW: encode_row(row),
            },
        )
    )


def hand_over_alerts(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Report the alerts of the executor that the fleet was not given yet. Without a fleet nothing is reported.

    What was recorded is reported first and marked as taken after that, so a run that is killed loses none.
    """
    name = pipeline.settings.executor
    if name is None:
        return
    hand_over = HandOver(pipeline.settings, pipeline.clock)
    messages = hand_over.waiting()
    if not messages:
        return
    subjects = ", ".join(dict.fromkeys(message.subject for message in messages))
    context.log_event(
        dg.AssetObservation(
            EXECUTOR_ALERTS, partition=name, description=subjects, metadata={MESSAGES: encode_messages(messages)}
        )
    )
    hand_over.record_taken(messages)
