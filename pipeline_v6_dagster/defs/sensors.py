"""The sensors in the place of the heartbeat and compare daemons: one run per interval each, on by default.

A run also starts before its interval ends, once new rows are there and the last run is long enough ago. A tick asks
the storage and the folder, and reads no log.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import msgspec

from pipeline_v6_dagster.config.settings import INTERVAL_FLOOR_S, Settings, ShadowSource
from pipeline_v6_dagster.defs.dagster_internals import is_schedule_on
from pipeline_v6_dagster.defs.keys import COMPARE_JOB, COMPARE_SCHEDULE, EARLY_TAG, SHADOW_JOB, SHADOW_SCHEDULE
from pipeline_v6_dagster.defs.run_slots import (
    CLOCK_TOLERANCE_S,
    MIN_RUN_SPACING_S,
    RunInterval,
    request_or_skip,
    run_in_flight,
    seconds_since_last_run,
)
from pipeline_v6_dagster.defs.schedules import why_no_schedule
from pipeline_v6_dagster.stages.doctor.inputs import combine_versions
from pipeline_v6_dagster.storage.file_info import stat_file

# A tick only asks whether a run is due; asking more often than this buys nothing.
_LONGEST_POLL_S = 15
_POLLS_PER_INTERVAL = 4
# While a schedule is on, the slot is left to it for so long: both would otherwise ask at the same instant.
_SCHEDULE_HEAD_START_S = 30.0


def paces(settings: Settings) -> tuple[RunInterval, RunInterval]:
    """How often `shadow_job` and `compare_job` run."""
    return (
        RunInterval(SHADOW_JOB, settings.heartbeat_interval_s, settings.run_timeout_s),
        RunInterval(COMPARE_JOB, settings.compare_interval_s, settings.run_timeout_s),
    )


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The sensors of this module. A fleet has its own."""
    return dg.Definitions(sensors=list(sensors(settings, clock)) if settings.fleet_file is None else [])


def sensors(settings: Settings, clock: Callable[[], float]) -> Iterator[dg.SensorDefinition]:
    """`shadow_heartbeat_sensor` and `compare_sensor`."""
    shadow, compare = paces(settings)
    orders, vetoes = settings.orders_executed, settings.risk_vetoes
    if settings.shadow_source is ShadowSource.EXTERNAL:
        decided = EarlyTrigger((settings.shadow_log,), MIN_RUN_SPACING_S)
        compared = EarlyTrigger((settings.shadow_log, orders, vetoes), MIN_RUN_SPACING_S)
    else:
        decided = EarlyTrigger((settings.order_attempts,), MIN_RUN_SPACING_S)
        compared = EarlyTrigger(
            (settings.shadow_log, orders, vetoes), MIN_RUN_SPACING_S, (shadow, settings.order_attempts)
        )
    yield _interval_sensor("shadow_heartbeat_sensor", shadow, SHADOW_SCHEDULE, decided, clock)
    yield _interval_sensor("compare_sensor", compare, COMPARE_SCHEDULE, compared, clock)


@dataclass(frozen=True)
class EarlyTrigger:
    """When a job may run before its interval ends: `watched` changed, the last run is `spacing_s` ago.

    `after`: another job whose input changed is about to run first; what it writes is then watched here.
    """

    watched: tuple[Path, ...]
    spacing_s: float
    after: tuple[RunInterval, Path] | None = None


class _Cursor(msgspec.Struct):
    """`next_due_ts`: when the next slot begins. `seen`: the watched files when the last run was asked for."""

    next_due_ts: float
    seen: str | None = None


def _interval_sensor(
    name: str, pace: RunInterval, schedule_name: str, early: EarlyTrigger, clock: Callable[[], float]
) -> dg.SensorDefinition:
    head_start_s = min(_SCHEDULE_HEAD_START_S, pace.interval_s / 2)

    @dg.sensor(
        name=name,
        job_name=pace.job_name,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_poll_s(pace, early),
        description=(
            f"Starts {pace.job_name} once every {pace.interval_s:g} s, never while one is in flight; earlier where new"
            f" rows are there and the last run is {early.spacing_s:g} s ago. {why_no_schedule(pace.interval_s)}"
        ).strip(),
    )
    def interval_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        slot_age_s = now - pace.slot(now) * pace.interval_s
        seen = _seen(context.cursor)
        version = combine_versions(early.watched)
        if slot_age_s < head_start_s and is_schedule_on(context.instance, schedule_name):
            outcome: dg.RunRequest | dg.SkipReason = dg.SkipReason(
                f"left to {schedule_name}, which is on, for the first {head_start_s:g} s; {pace.due_in(now)}"
            )
        else:
            outcome = request_or_skip(context.instance, pace, now)
            if isinstance(outcome, dg.SkipReason):
                outcome = _early_or_skip(context.instance, pace, early, now, seen, version, outcome)
        is_asked = isinstance(outcome, dg.RunRequest)
        cursor = _Cursor(pace.next_due_ts(now), version if is_asked else seen)
        return dg.SensorResult(
            run_requests=[outcome] if isinstance(outcome, dg.RunRequest) else [],
            skip_reason=outcome if isinstance(outcome, dg.SkipReason) else None,
            cursor=msgspec.json.encode(cursor).decode(),
        )

    return interval_sensor


def _early_or_skip(
    instance: dg.DagsterInstance,
    pace: RunInterval,
    early: EarlyTrigger,
    now: float,
    seen: str | None,
    version: str,
    skipped: dg.SkipReason,
) -> dg.RunRequest | dg.SkipReason:
    """A run before its time, or why there is none."""
    if run_in_flight(instance, pace, now) is not None:
        return skipped
    if version == seen:
        return dg.SkipReason(f"{skipped.skip_message}; no new rows since")
    ago_s = seconds_since_last_run(instance, pace.job_name, now)
    if ago_s is not None and ago_s < early.spacing_s:
        return dg.SkipReason(f"{skipped.skip_message}, or in {early.spacing_s - ago_s:.0f} s for new rows")
    if early.after is not None and _goes_first(instance, *early.after, early.spacing_s, now):
        return dg.SkipReason(f"{skipped.skip_message}, or for new rows once {early.after[0].job_name} has decided them")
    # The slot and what is new name the request, so that the same tick tried again asks for the same run.
    return dg.RunRequest(
        run_key=f"{pace.job_name}/early/{pace.slot(now)}/{version}", tags={EARLY_TAG: f"{pace.slot(now)}"}
    )


def _goes_first(instance: dg.DagsterInstance, pace: RunInterval, source: Path, spacing_s: float, now: float) -> bool:
    """Whether the other job runs, or is about to."""
    if run_in_flight(instance, pace, now) is not None:
        return True
    found, ago_s = stat_file(source), seconds_since_last_run(instance, pace.job_name, now)
    if found is None:
        return False
    if ago_s is None:
        return True
    # A file from the future says nothing about what is new.
    return ago_s >= spacing_s and -CLOCK_TOLERANCE_S <= now - found.modified_ts < ago_s


def _poll_s(pace: RunInterval, early: EarlyTrigger) -> int:
    shortest = min(pace.interval_s, max(early.spacing_s, INTERVAL_FLOOR_S))
    return max(1, min(_LONGEST_POLL_S, int(shortest / _POLLS_PER_INTERVAL)))


def _seen(cursor: str | None) -> str | None:
    """What the last cursor saw. One of an older version, or of hand, counts as none: a run more, none less."""
    try:
        return msgspec.json.decode(cursor or "", type=_Cursor).seen
    except msgspec.DecodeError:
        return None
