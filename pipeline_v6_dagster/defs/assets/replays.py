"""Replays as a backfill: a partition for each month, in a fleet for each executor and month.

A partition is replayed under every configuration in `config/replay`, or under those that the run names. A backfill over
many partitions is many runs, on the same workers as all others.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

import dagster as dg
from pydantic import Field

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.fleet.partitions import EXECUTORS
from pipeline_v6_dagster.defs.keys import EXECUTOR_DIMENSION, OWNERS
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
    if settings.fleet_file is None:
        return dg.Definitions(assets=[_build_asset(months)])
    per_executor = dg.MultiPartitionsDefinition({EXECUTOR_DIMENSION: EXECUTORS, _MONTH_DIMENSION: months})
    return dg.Definitions(assets=[_build_asset(per_executor)])


def _build_asset(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=ASSET,
        specs=[
            dg.AssetSpec(
                ASSET,
                deps=["order_attempts", "orders_executed", "compare_diffs"],
                group_name="report",
                owners=OWNERS,
                kinds={"python", "deltalake"},
                tags={"written_by": "pipeline_v6"},
                description=(
                    "What other limits would have changed, in decisions and dollars: a row for each executor, month,"
                    " configuration in config/replay and rule. Launch a backfill for the partitions that matter; ask"
                    " with pipeline-v6 history replays or limits. Needs the optional package deltalake."
                ),
            )
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(),
        can_subset=True,  # Otherwise a run cannot skip it.
    )
    def replay_results(
        context: dg.AssetExecutionContext, config: ReplaysConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None]]:
        if not context.has_partition_key:
            context.log.warning("Skipped: a replay is about a month. Launch a backfill for the months that matter.")
            return
        names = config.configurations or list_configurations(pipeline.settings)
        replays = replay_month(pipeline.settings, _read_month(context), names, pipeline.clock)
        yield _materialization(replay_table(pipeline.settings), replays)

    return replay_results


def _read_month(context: dg.AssetExecutionContext) -> Month:
    key = context.partition_key
    name = key.keys_by_dimension[_MONTH_DIMENSION] if isinstance(key, dg.MultiPartitionKey) else key
    months = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, timezone="UTC", end_offset=1)
    window = months.time_window_for_partition_key(name)
    last = window.end - timedelta(microseconds=1)
    return Month(name[:7], window.start.timestamp(), last.timestamp())


def _materialization(location: str, replays: list[MonthReplay]) -> dg.MaterializeResult[None]:
    rows = [{"configuration": each.configuration, **row} for each in replays for row in list_rows(each.answer)]
    return dg.MaterializeResult(
        asset_key=ASSET,
        metadata={
            "location": location,
            "configurations": len(replays),
            "decisions": max((each.answer.decisions for each in replays), default=0),
            "attempts_decided": sum(each.answer.decided for each in replays),
            "results": table(_COLUMNS, rows),
        },
    )
