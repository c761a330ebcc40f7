"""Replays as a backfill: a partition for each month, in a fleet for each executor and month.

A partition is replayed under every configuration in `config/replay`, or under those that the run names. A backfill over
many partitions is many runs, on the same workers as all others.

The table is an asset that a job writes, and the months are partitions of that job. If the asset were executable,
"Materialize all" would ask for months in a dialog, because one of its assets would have partitions.
"""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
from pydantic import Field

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.fleet.partitions import EXECUTORS
from pipeline_v6_dagster.defs.keys import EXECUTOR_DIMENSION, OWNERS, REPLAY_RESULTS_JOB, TRIED_AGAIN_WHOLE
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.logs.replay_rows import CHANGE_COLUMNS, FLIP_COLUMNS, replay_table
from pipeline_v6_dagster.stages.replay.results import Month, MonthReplay, list_configurations, list_rows, replay_month

ASSET = "replay_results"
# Earlier than any log that v6 is compared on; a month without logs is an empty partition that nobody launches.
FIRST_MONTH = "2024-01-01"
_MONTH_DIMENSION = "month"
_COLUMNS = {
    "configuration": "string",
    "rule": "string",
    "decisions": "int",
    **dict.fromkeys(FLIP_COLUMNS, "float"),
    **dict.fromkeys(CHANGE_COLUMNS, "float"),
}


class ReplaysConfig(dg.Config):
    """The `configurations` to replay: names of folders in `config/replay`; all of them if none is named."""

    configurations: list[str] = Field(default_factory=list)


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The asset, with the partitions that fit the settings."""
    months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, timezone="UTC", end_offset=1)
    partitions: dg.PartitionsDefinition[str] = months
    if settings.fleet_file is not None:
        partitions = dg.MultiPartitionsDefinition({EXECUTOR_DIMENSION: EXECUTORS, _MONTH_DIMENSION: months})
    return dg.Definitions(assets=[_describe_asset(partitions)], jobs=[_build_job(partitions)])


def _describe_asset(partitions: dg.PartitionsDefinition[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        ASSET,
        deps=["order_attempts", "orders_executed", "compare_diffs"],
        group_name="report",
        owners=OWNERS,
        kinds={"python", "deltalake"},
        tags={"written_by": "pipeline_v6"},
        partitions_def=partitions,
        description=(
            "What other limits would have changed, in decisions and dollars: a row for each executor, month,"
            f" configuration in config/replay and rule. Launch a backfill of {REPLAY_RESULTS_JOB} for the partitions"
            " that matter; ask with pipeline-v6 history replays or limits. Needs the optional package deltalake."
        ),
    )


def _build_job(partitions: dg.PartitionsDefinition[str]) -> dg.JobDefinition:
    @dg.job(
        name=REPLAY_RESULTS_JOB,
        partitions_def=partitions,
        tags=TRIED_AGAIN_WHOLE,
        description=(
            f"Replay a month under the configurations in config/replay, into {ASSET}. Launch a backfill for the months"
            " that matter."
        ),
    )
    def replay_results_job() -> None:
        _replay_month()

    return replay_results_job


@dg.op(name="replay_month", description="Replay a month under each configuration, and append the answers.")
def _replay_month(context: dg.OpExecutionContext, config: ReplaysConfig, pipeline: dg.ResourceParam[Pipeline]) -> None:
    names = config.configurations or list_configurations(pipeline.settings)
    replays = replay_month(pipeline.settings, _read_month(context), names, pipeline.clock)
    context.log_event(_materialization(context.partition_key, replay_table(pipeline.settings), replays))


def _read_month(context: dg.OpExecutionContext) -> Month:
    key = context.partition_key
    name = key.keys_by_dimension[_MONTH_DIMENSION] if isinstance(key, dg.MultiPartitionKey) else key
    months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, timezone="UTC", end_offset=1)
    window = months.time_window_for_partition_key(name)
    last = window.end - timedelta(microseconds=1)
    return Month(name[:7], window.start.timestamp(), last.timestamp())


def _materialization(partition: str, location: str, replays: list[MonthReplay]) -> dg.AssetMaterialization:
    rows = [{"configuration": each.configuration, **row} for each in replays for row in list_rows(each.answer)]
    return dg.AssetMaterialization(
        asset_key=ASSET,
        partition=partition,
        metadata={
            "location": location,
            "configurations": len(replays),
            "decisions": max((each.answer.decisions for each in replays), default=0),
            "attempts_decided": sum(each.answer.decided for each in replays),
            "results": table(_COLUMNS, rows),
        },
    )
