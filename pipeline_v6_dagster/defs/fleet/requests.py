"""A run for one executor of the fleet, and schedules that request one for each of them."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from pipeline_v6_dagster.config.fleet import Executor, load_fleet
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.defs.keys import (
    EXECUTOR_PARTITIONS,
    LABEL_TAG_PREFIX,
    QUEUE_TAG,
    SHADOW_JOB,
)


def executors_with_partition(instance: dg.DagsterInstance, settings: Settings) -> Iterator[Executor]:
    """The executors of the fleet file for which a run can be requested: those that have their partition already.

    Raises:
        ConfigError: the fleet file cannot be used.
    """
    known = set(instance.get_dynamic_partitions(EXECUTOR_PARTITIONS))
    return (executor for executor in load_fleet(settings).executors.values() if executor.name in known)


def request_run(executor: Executor, job_name: str, run_key: str, tags: Mapping[str, str]) -> dg.RunRequest:
    """A run of the job for one executor, on the queue of its host."""
    return dg.RunRequest(
        run_key=run_key,
        partition_key=executor.name,
        tags={**tags, **executor_tags(executor)},
        asset_selection=_selection(executor, job_name),
    )


def executor_tags(executor: Executor) -> dict[str, str]:
    """The queue, and the labels, so that the list of runs can be filtered by them."""
    labels = {f"{LABEL_TAG_PREFIX}{label}": value for label, value in executor.labels.items() if value}
    return {QUEUE_TAG: executor.queue, **labels}


def _selection(executor: Executor, job_name: str) -> Sequence[dg.AssetKey] | None:
    """All of the job, but for a shadow log that the executor writes itself."""
    if job_name == SHADOW_JOB and executor.settings.shadow_source is ShadowSource.EXTERNAL:
        return [dg.AssetKey("shadow_head")]
    return None


def schedule_per_executor(schedule: dg.ScheduleDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """The schedule with a run per executor at each of its times."""
    name, job_name = schedule.name, schedule.job_name

    def request_runs(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        at = f"{context.scheduled_execution_time.timestamp():.0f}"
        for executor in executors_with_partition(context.instance, settings):
            yield request_run(executor, job_name, f"{name}/{executor.name}/{at}", schedule.tags)

    return dg.ScheduleDefinition(
        name=name,
        job_name=job_name,
        cron_schedule=schedule.cron_schedule,
        execution_timezone=schedule.execution_timezone,
        default_status=schedule.default_status,
        description=f"For each executor: {schedule.description}",
        execution_fn=request_runs,
    )
