"""The same runs on a clock instead of a sensor: off by default, in the same run slots. And what no sensor starts.

Cron speaks of whole minutes within an hour and whole hours within a day. An interval that it cannot say evenly is
ticked every minute and skipped in between; one that is not whole minutes is refused with a sentence when the
definitions load: it has no schedule, only its sensor.
"""

import logging
from collections.abc import Callable, Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import (
    COMPARE_JOB,
    COMPARE_SCHEDULE,
    MAINTENANCE_JOB,
    MAINTENANCE_SCHEDULE,
    REPORT_JOB,
    REPORT_SCHEDULE,
    SHADOW_JOB,
    SHADOW_SCHEDULE,
)
from pipeline_v6_dagster.defs.run_slots import RunInterval, request_or_skip

# Where Dagster's processes show what happens while they load us.
_logger = logging.getLogger("dagster.pipeline_v6")

_MINUTE_S = 60
_HOUR_MIN = 60
_DAY_MIN = 24 * 60
_NIGHTLY = "17 3 * * *"
# By default a decision is settled half an hour after its attempt and compared a quarter later: yesterday is whole.
_MORNING = "0 1 * * *"


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The schedules of this module."""
    return dg.Definitions(schedules=list(schedules(settings)))


def schedules(settings: Settings) -> Iterator[dg.ScheduleDefinition]:
    """`shadow_heartbeat_schedule` and `compare_schedule`, where cron can say their interval; the daily ones, on.

    In a fleet each executor has its own intervals, which the sensors serve.
    """
    intervals = (
        (SHADOW_SCHEDULE, SHADOW_JOB, settings.heartbeat_interval_s),
        (COMPARE_SCHEDULE, COMPARE_JOB, settings.compare_interval_s),
    )
    for name, job_name, interval_s in intervals if settings.fleet_file is None else ():
        refusal = why_no_schedule(interval_s)
        if refusal:
            _logger.warning("%s is not made. %s", name, refusal)
        else:
            yield _interval_schedule(name, RunInterval(job_name, interval_s, settings.run_timeout_s))
    yield dg.ScheduleDefinition(
        name=MAINTENANCE_SCHEDULE,
        job_name=MAINTENANCE_JOB,
        cron_schedule=_NIGHTLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every night: prune what is older than {settings.retention_days:g} days.",
    )
    yield dg.ScheduleDefinition(
        name=REPORT_SCHEDULE,
        job_name=REPORT_JOB,
        cron_schedule=_MORNING,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every day at 01:00 UTC, when yesterday is settled: write the parity report.",
    )


def why_no_schedule(interval_s: float) -> str:
    """Why cron cannot say an interval; empty where it can."""
    if interval_s % _MINUTE_S == 0:
        return ""
    return (
        f"A schedule cannot say {interval_s:g} s: cron knows whole minutes only. The sensor serves it; for a schedule"
        " give the interval as a multiple of 60."
    )


def build_cron(minutes: int) -> str | list[str]:
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


def _interval_schedule(name: str, pace: RunInterval) -> dg.ScheduleDefinition:
    interval_s = pace.interval_s

    @dg.schedule(
        name=name,
        job_name=pace.job_name,
        cron_schedule=build_cron(int(interval_s // _MINUTE_S)),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Starts {pace.job_name} at every multiple of {interval_s:g} s since the epoch (UTC).",
    )
    def interval_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        ts = context.scheduled_execution_time.timestamp()
        if ts % interval_s:
            return dg.SkipReason(f"not a multiple of {interval_s:g} s; {pace.due_in(ts)}")
        return request_or_skip(context.instance, pace, ts)

    return interval_schedule
