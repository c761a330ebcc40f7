"""One partition per executor: of all assets and checks but those of the whole fleet, kept equal to the fleet file.

An executor that is taken out of the file loses its partition and gets no more runs. Its logs stay, and so do its runs
and events, until the retention removes them.
"""

from collections.abc import Callable

import dagster as dg

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.dagster_internals import with_partitions
from pipeline_v6_dagster.defs.fleet.requests import schedule_per_executor
from pipeline_v6_dagster.defs.keys import EXECUTOR_PARTITIONS, FLEET_SCOPE, JOBS_OF_THE_FLEET
from pipeline_v6_dagster.defs.run_slots import fail_dead_runs

EXECUTORS = dg.DynamicPartitionsDefinition(name=EXECUTOR_PARTITIONS)
_POLL_S = 15


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """`executors_sensor`, if there is a fleet."""
    return dg.Definitions(sensors=[] if settings.fleet_file is None else [_executors_sensor(settings, clock)])


def partition_by_executor(defs: dg.Definitions, settings: Settings) -> dg.Definitions:
    """The same definitions for a fleet: assets and checks have a partition per executor, schedules start a run each."""
    return dg.Definitions(
        assets=[_partitioned(asset) for asset in defs.assets or ()],
        asset_checks=[with_partitions(each, EXECUTORS) for each in defs.asset_checks or ()],
        jobs=defs.jobs,
        schedules=[_per_executor(schedule, settings) for schedule in defs.schedules or ()],
        sensors=defs.sensors,
        resources=defs.resources,
    )


def _partitioned(asset: object) -> dg.AssetsDefinition | dg.AssetSpec:
    assert isinstance(asset, dg.AssetsDefinition | dg.AssetSpec)  # noqa: S101 -- `loading` loads nothing else
    specs = [asset] if isinstance(asset, dg.AssetSpec) else asset.specs
    # Partitions of its own name the executor already.
    if any(FLEET_SCOPE.items() <= spec.tags.items() or spec.partitions_def is not None for spec in specs):
        return asset
    if isinstance(asset, dg.AssetSpec):
        return asset.replace_attributes(partitions_def=EXECUTORS)
    return with_partitions(asset, EXECUTORS)


def _per_executor(schedule: object, settings: Settings) -> dg.ScheduleDefinition:
    assert isinstance(schedule, dg.ScheduleDefinition)  # noqa: S101 -- `loading` loads nothing else
    return schedule if schedule.job_name in JOBS_OF_THE_FLEET else schedule_per_executor(schedule, settings)


def _executors_sensor(settings: Settings, clock: Callable[[], float]) -> dg.SensorDefinition:
    """`executors_sensor`."""

    @dg.sensor(
        name="executors_sensor",
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_POLL_S,
        description=(
            f"Keeps the partitions equal to the executors that {settings.fleet_file} lists. An executor that is taken"
            " out gets no more runs; its history stays. Ends runs that do not end by themselves. Starts no run."
        ),
    )
    def executors_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        listed = load_fleet(settings).executors
        longest_s = max(each.settings.run_timeout_s for each in listed.values())
        fail_dead_runs(context.instance, longest_s, clock())
        known = set(context.instance.get_dynamic_partitions(EXECUTOR_PARTITIONS))
        added = [name for name in listed if name not in known]
        removed = sorted(known - set(listed))
        requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
        if added:
            requests.append(EXECUTORS.build_add_request(added))
        if removed:
            requests.append(EXECUTORS.build_delete_request(removed))
        changes = [*(f"{name} added" for name in added), *(f"{name} removed" for name in removed)]
        text = f"{len(listed)} executors; {', '.join(changes) or 'none added or removed'}"
        return dg.SensorResult(dynamic_partitions_requests=requests, skip_reason=text)

    return executors_sensor
