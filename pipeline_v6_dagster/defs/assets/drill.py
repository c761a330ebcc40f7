"""The drill as an asset: once a week, whether the verdict sees known faults in a copy of the logs."""

from collections.abc import Callable, Iterator

import dagster as dg
from pydantic import Field

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.reporting import check_spec, report_checks
from pipeline_v6_dagster.defs.keys import DRILL_JOB, DRILL_SCHEDULE, OWNERS, TRIED_AGAIN_WHOLE
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.stages.drill.check import ASSET, CHECK, FAULT_COLUMNS, evaluate_drill, fault_rows
from pipeline_v6_dagster.stages.drill.result import DrillReport, Outcome
from pipeline_v6_dagster.stages.drill.run import DEFAULT_DAYS, run_drill

_WEEKLY = "17 4 * * 0"


class DrillConfig(dg.Config):
    """What a drill is run with: the newest `days` of the logs; `faults` by name, all if there is none."""

    days: float = DEFAULT_DAYS
    faults: list[str] = Field(default_factory=list)


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The job of this asset and its schedule."""
    job = dg.define_asset_job(
        DRILL_JOB,
        selection=dg.AssetSelection.assets(ASSET),
        # Copies of weeks of logs, one for each fault: longer than a run of the other jobs may take.
        tags={"dagster/max_runtime": 6 * 3600, **TRIED_AGAIN_WHOLE},
        description="Inject known faults into copies of the logs, and demand that the verdict sees each of them.",
    )
    schedule = dg.ScheduleDefinition(
        name=DRILL_SCHEDULE,
        job_name=DRILL_JOB,
        cron_schedule=_WEEKLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every Sunday at 04:17 UTC: the drill.",
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])


@dg.multi_asset(
    name=ASSET,
    specs=[
        dg.AssetSpec(
            ASSET,
            deps=["order_attempts", "orders_executed", "order_metrics", "risk_vetoes", "position_state"],
            group_name="drill",
            owners=OWNERS,
            kinds={"python", "json"},
            tags={"written_by": "pipeline_v6"},
            description=(
                "Whether the verdict sees known faults: each is injected into a copy of the newest logs, and the"
                " criterion named for it must break. Only reads the home. Takes minutes."
            ),
        )
    ],
    check_specs=[check_spec(CHECK, ASSET)],
    can_subset=True,  # Otherwise a run cannot skip it.
)
def drill(
    context: dg.AssetExecutionContext, config: DrillConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult | dg.AssetCheckEvaluation]:
    """Run the drill and report it. In a run of other assets as well it is skipped."""
    if len(context.job_def.asset_layer.selected_asset_keys) > 1:
        context.log.warning(f"Skipped: a drill takes minutes, so it is no part of a larger run. Launch {DRILL_JOB}.")
        return
    report = run_drill(pipeline.settings, pipeline.clock(), config.days, config.faults or None)
    if context.selected_asset_keys:
        yield _materialization(report)
    yield from report_checks(
        context, pipeline, {dg.AssetCheckKey(dg.AssetKey(ASSET), CHECK): lambda: evaluate_drill(report)}
    )


def _materialization(report: DrillReport) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=ASSET,
        metadata={
            **{outcome.value: len(report.named(outcome)) for outcome in Outcome},
            "attempts": report.attempts,
            **({"from": dg.MetadataValue.timestamp(report.first_ts)} if report.first_ts is not None else {}),
            **({"to": dg.MetadataValue.timestamp(report.last_ts)} if report.last_ts is not None else {}),
            **({"faults": table(FAULT_COLUMNS, fault_rows(report))} if report.results else {}),
        },
    )
