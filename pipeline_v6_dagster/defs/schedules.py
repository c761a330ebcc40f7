"""The same runs on a clock instead of a sensor: off by default, sharing the sensors' guard.

Cron speaks of whole minutes within an hour and whole hours within a day. An interval that it cannot say evenly is
ticked every minute and skipped in between; one that is not whole minutes has no schedule, only its sensor.
"""

from collections.abc import Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.guard import request_or_skip
from pipeline_v6_dagster.defs.keys import COMPARE_JOB, COMPARE_SCHEDULE, SHADOW_JOB, SHADOW_SCHEDULE

_MINUTE_S = 60
_HOUR_MIN = 60
_DAY_MIN = 24 * 60


def schedules(settings: Settings) -> Iterator[dg.ScheduleDefinition]:
    """`shadow_heartbeat_schedule` and `compare_schedule`, where their interval is whole minutes."""
    for name, job_name, interval_s in (
        (SHADOW_SCHEDULE, SHADOW_JOB, settings.heartbeat_interval_s),
        (COMPARE_SCHEDULE, COMPARE_JOB, settings.compare_interval_s),
    ):
        if interval_s % _MINUTE_S == 0:
            yield _interval_schedule(name, job_name, interval_s)


def cron_of(minutes: int) -> str | list[str]:
    """The cron (UTC) that ticks at every multiple of `minutes` since the epoch; every minute where none does."""
    if minutes < _HOUR_MIN and _HOUR_MIN % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    if _DAY_MIN % minutes == 0:
        if minutes % _HOUR_MIN == 0:
            hours = minutes // _HOUR_MIN
            return {1: "0 * * * *", 24: "0 0 * * *"}.get(hours, f"0 */{hours} * * *")
        return _day_crons(minutes)
    return "* * * * *"


def _day_crons(minutes: int) -> list[str]:
    """One cron per minute of the hour that occurs among the multiples of `minutes` in a day."""
    hours_of: dict[int, list[int]] = {}
    for minute_of_day in range(0, _DAY_MIN, minutes):
        hour, minute = divmod(minute_of_day, _HOUR_MIN)
        hours_of.setdefault(minute, []).append(hour)
    return [f"{minute} {','.join(map(str, hours))} * * *" for minute, hours in sorted(hours_of.items())]


def _interval_schedule(name: str, job_name: str, interval_s: float) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job_name=job_name,
        cron_schedule=cron_of(int(interval_s // _MINUTE_S)),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Starts {job_name} at every multiple of {interval_s:g} s since the epoch (UTC).",
    )
    def interval_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        ts = context.scheduled_execution_time.timestamp()
        if ts % interval_s:
            return dg.SkipReason(f"not a multiple of {interval_s:g} s")
        return request_or_skip(context.instance, job_name, ts, interval_s)

    return interval_schedule
