"""The fleet at a glance: the newest report of every executor in one asset, and whether none of them needs attention."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.reporting import check_spec
from pipeline_v6_dagster.defs.dagster_internals import latest_observations
from pipeline_v6_dagster.defs.fleet.reporting import ROW
from pipeline_v6_dagster.defs.keys import (
    EXECUTOR_ALERTS,
    EXECUTOR_STATUS,
    FLEET_JOB,
    FLEET_SCHEDULE,
    FLEET_SCOPE,
    FLEET_SUMMARY,
    OWNERS,
    TRIED_AGAIN_WHOLE,
)
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.stages.outputs.fleet_status import (
    ExecutorStatus,
    FleetStatus,
    decode_row,
    judge_reported,
    write_fleet_summary,
)
from pipeline_v6_dagster.stages.outputs.rows import utc_text
from pipeline_v6_dagster.stages.outputs.status import EXIT_AGAINST, EXIT_NO_DATA

CHECK = "fleet_within_limits"
_GROUP = "fleet"
# The summary of a fleet is as old as this at most, and a run of it takes a second.
_EVERY_5_MINUTES = "*/5 * * * *"
_COLUMNS = {
    "executor": "string",
    "host": "string",
    "status": "string",
    "verdict": "string",
    "exit_code": "int",
    "as_of": "string",
    "problem": "string",
}
_STATUS = dg.AssetSpec(
    EXECUTOR_STATUS,
    deps=["compare_summary", "shadow_head"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"json"},
    tags={"written_by": "pipeline_v6"},
    description="What the newest comparison of an executor reported to the fleet: status, verdict, exit code.",
)
_ALERTS = dg.AssetSpec(
    EXECUTOR_ALERTS,
    deps=["compare_summary", "shadow_head"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"json"},
    tags={"written_by": "pipeline_v6"},
    description="The alerts that the runs of an executor handed to the fleet, which groups and delivers them.",
)
_SUMMARY = dg.AssetSpec(
    FLEET_SUMMARY,
    deps=[EXECUTOR_STATUS],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6", **FLEET_SCOPE},
    description="The status and the verdict of every executor in one table, as their newest comparisons reported them.",
)


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The asset with its check, job and schedule, if there is a fleet."""
    if settings.fleet_file is None:
        return dg.Definitions()
    job = dg.define_asset_job(
        FLEET_JOB,
        selection=dg.AssetSelection.assets(FLEET_SUMMARY),
        tags=TRIED_AGAIN_WHOLE,
        description="Write the fleet summary, and check that no executor needs attention.",
    )
    schedule = dg.ScheduleDefinition(
        name=FLEET_SCHEDULE,
        job_name=FLEET_JOB,
        cron_schedule=_EVERY_5_MINUTES,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every five minutes: the fleet summary.",
    )
    return dg.Definitions(assets=[_STATUS, _ALERTS, _fleet_step()], jobs=[job], schedules=[schedule])


def _fleet_step() -> dg.AssetsDefinition:
    @dg.multi_asset(name=_GROUP, specs=[_SUMMARY], check_specs=[check_spec(CHECK, FLEET_SUMMARY)])
    def fleet(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        now = pipeline.clock()
        found = read_reported(context.instance, pipeline.settings, now)
        write_fleet_summary(pipeline.settings, found.executors, now)
        yield dg.MaterializeResult(asset_key=FLEET_SUMMARY, metadata=_metadata(pipeline.settings, found))
        yield _check(found)

    return fleet


def read_reported(instance: dg.DagsterInstance, settings: Settings, now: float) -> FleetStatus:
    """What the executors have reported, judged as of `now` (epoch s).

    Raises:
        ConfigError: the fleet file cannot be used.
    """
    observed = (each.metadata.get(ROW) for each in latest_observations(instance, dg.AssetKey(EXECUTOR_STATUS)))
    rows = (decode_row(str(value.value)) for value in observed if value is not None)
    reported = {row.name: row for row in rows if row is not None}
    executors = load_fleet(settings).executors.values()
    return FleetStatus(executors=tuple(judge_reported(executor, reported, now) for executor in executors))


def _metadata(settings: Settings, found: FleetStatus) -> Mapping[str, Any]:
    codes = [row.exit_code for row in found.executors]
    return {
        "path": dg.MetadataValue.path(settings.fleet_summary),
        "executors": table(_COLUMNS, map(_row, found.executors)),
        "exit_code": found.exit_code,
        **{f"exit_code_{code}": codes.count(code) for code in range(4)},
    }


def _check(found: FleetStatus) -> dg.AssetCheckResult:
    """Each executor alerts by itself: this check shows where to look, and sends nothing."""
    broken = [row for row in found.executors if row.exit_code == EXIT_AGAINST]
    silent = [row for row in found.executors if row.exit_code == EXIT_NO_DATA]
    failing = [*broken, *silent]
    names = f": {', '.join(row.name for row in failing)}" if failing else ""
    return dg.AssetCheckResult(
        asset_key=FLEET_SUMMARY,
        check_name=CHECK,
        passed=not failing,
        severity=dg.AssetCheckSeverity.ERROR if broken else dg.AssetCheckSeverity.WARN,
        description=f"{len(failing)} of {len(found.executors)} executors need attention{names}",
        metadata={
            "count": len(failing),
            **(
                {"executors": table(_COLUMNS, map(_row, failing)), "what_to_do": GUIDANCE[CHECK].todo}
                if failing
                else {}
            ),
        },
    )


def _row(status: ExecutorStatus) -> dict[str, Any]:
    return {
        "executor": status.name,
        "host": status.host,
        "status": status.status.value,
        "verdict": status.verdict.value,
        "exit_code": status.exit_code,
        "as_of": None if status.as_of_ts is None else utc_text(status.as_of_ts),
        "problem": status.problem,
    }
