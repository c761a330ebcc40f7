"""The sensors in the place of the heartbeat and compare daemons: one run per interval each, on by default."""

from collections.abc import Callable, Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.guard import request_or_skip, slot_of
from pipeline_v6_dagster.defs.keys import COMPARE_JOB, COMPARE_SCHEDULE, SHADOW_JOB, SHADOW_SCHEDULE

# A tick only asks whether a run is due; asking more often than this buys nothing.
_LONGEST_POLL_S = 30
_POLLS_PER_INTERVAL = 4
# While a schedule is on, the slot is left to it for so long: both would otherwise ask at the same instant.
_SCHEDULE_HEAD_START_S = 30.0


def sensors(settings: Settings, clock: Callable[[], float]) -> Iterator[dg.SensorDefinition]:
    """`shadow_heartbeat_sensor` and `compare_sensor`."""
    heartbeat_s, compare_s = settings.heartbeat_interval_s, settings.compare_interval_s
    yield _interval_sensor("shadow_heartbeat_sensor", SHADOW_JOB, SHADOW_SCHEDULE, heartbeat_s, clock)
    yield _interval_sensor("compare_sensor", COMPARE_JOB, COMPARE_SCHEDULE, compare_s, clock)


def _interval_sensor(
    name: str, job_name: str, schedule_name: str, interval_s: float, clock: Callable[[], float]
) -> dg.SensorDefinition:
    head_start_s = min(_SCHEDULE_HEAD_START_S, interval_s / 2)

    @dg.sensor(
        name=name,
        job_name=job_name,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=max(1, min(_LONGEST_POLL_S, int(interval_s / _POLLS_PER_INTERVAL))),
        description=f"Starts {job_name} once every {interval_s:g} s, never while one is in flight.",
    )
    def interval_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = clock()
        slot_age_s = now - slot_of(now, interval_s) * interval_s
        if slot_age_s < head_start_s and _is_schedule_on(context.instance, schedule_name):
            return dg.SkipReason(f"left to {schedule_name}, which is on, for the first {head_start_s:g} s")
        return request_or_skip(context.instance, job_name, now, interval_s)

    return interval_sensor


def _is_schedule_on(instance: dg.DagsterInstance, schedule_name: str) -> bool:
    if instance.schedule_storage is None:  # An instance in memory has no switches.
        return False
    states = instance.all_instigator_state()
    return any(state.is_running and state.instigator_name == schedule_name for state in states)
