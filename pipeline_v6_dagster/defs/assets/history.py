"""The history of the diffs and summaries in a Delta table, with its job and schedule.

It follows the compare log in runs of its own, once an hour: a compare does not wait for it, and the log keeps what is
not appended yet.
"""

from collections.abc import Callable, Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import HISTORY_JOB, HISTORY_SCHEDULE, OWNERS, TRIED_AGAIN_WHOLE
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.stages.history.append import append_history
from pipeline_v6_dagster.storage.delta_table import is_delta_installed

_ASSET = "parity_history"
_HOURLY = "23 * * * *"


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The job of this asset and its schedule, which is on where the optional package is installed."""
    job = dg.define_asset_job(
        HISTORY_JOB,
        selection=dg.AssetSelection.assets(_ASSET),
        tags=TRIED_AGAIN_WHOLE,
        description="Append to the history what the compare log holds beyond it.",
    )
    is_on = is_delta_installed()
    schedule = dg.ScheduleDefinition(
        name=HISTORY_SCHEDULE,
        job_name=HISTORY_JOB,
        cron_schedule=_HOURLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED,
        description="Every hour: append what was settled since."
        + ("" if is_on else " Off: the package deltalake is not installed."),
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])


@dg.asset(
    name=_ASSET,
    deps=["compare_diffs", "compare_summary"],
    group_name="history",
    owners=OWNERS,
    kinds={"python", "deltalake"},
    tags={"written_by": "pipeline_v6"},
    output_required=False,  # Otherwise a run cannot skip it.
    description=(
        "Every diff and every summary in one Delta table, each once, for questions over months: pipeline-v6 history."
        " Needs the optional package deltalake."
    ),
)
def parity_history(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[None]]:
    """Append the blocks of the compare log that the table does not hold."""
    if not is_delta_installed() and len(context.job_def.asset_layer.selected_asset_keys) > 1:
        context.log.warning("Skipped: the history is optional, and the package deltalake is not installed.")
        return
    run = append_history(pipeline.settings)
    yield dg.MaterializeResult(
        metadata={
            "location": run.location,
            "new_diffs": run.diffs,
            "new_summaries": run.summaries,
            "commits": run.commits,
            "missing_lines": run.missing_lines,
            "is_replaced": run.is_replaced,
        }
    )
