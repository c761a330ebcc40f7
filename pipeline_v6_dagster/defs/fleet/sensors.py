"""The interval sensors of a fleet: one tick decides for all executors, and requests one run for each that is due.

A tick costs two queries however many executors there are: which have a partition, and which have a run in flight. Which
slot each was given last stands in the cursor; where that is lost, the run keys keep a slot from being run twice. After
a clock that stepped back the slots come again: how often it did is a part of the run keys. Runs do not start early
because of new rows: the logs may be on another host, and a run a minute for each executor would be most of the load.
"""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.fleet.requests import executors_with_partition, request_run
from pipeline_v6_dagster.defs.keys import COMPARE_JOB, PARTITION_TAG, SHADOW_JOB, SLOT_TAG
from pipeline_v6_dagster.defs.run_slots import RunInterval, runs_in_flight

_POLL_S = 5


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """`shadow_heartbeat_sensor` and `compare_sensor`, if there is a fleet."""
    return dg.Definitions(sensors=[] if settings.fleet_file is None else list(fleet_sensors(settings, clock)))


def fleet_sensors(settings: Settings, clock: Callable[[], float]) -> Iterator[dg.SensorDefinition]:
    """The two sensors."""
    yield _fleet_sensor("shadow_heartbeat_sensor", SHADOW_JOB, lambda own: own.heartbeat_interval_s, settings, clock)
    yield _fleet_sensor("compare_sensor", COMPARE_JOB, lambda own: own.compare_interval_s, settings, clock)


def _fleet_sensor(
    name: str,
    job_name: str,
    interval_of: Callable[[Settings], float],
    settings: Settings,
    clock: Callable[[], float],
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job_name=job_name,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_POLL_S,
        description=(
            f"Starts {job_name} for each executor once per interval of its own, on the queue of its host, never while"
            " one of that executor is in flight."
        ),
    )
    def fleet_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        executors = {each.name: each for each in executors_with_partition(context.instance, settings)}
        paces = {
            each.name: RunInterval(job_name, interval_of(each.settings), each.settings.run_timeout_s)
            for each in executors.values()
        }
        busy = executors_in_flight(context.instance, job_name, paces, now)
        given = _read_cursor(context.cursor)
        tags = {each: pace.slot_tags(now) for each, pace in paces.items()}
        slots = {each: _mark_step_back(tags[each][SLOT_TAG], given.get(each)) for each in paces}
        due = [each for each in executors if each not in busy and given.get(each) != slots[each]]
        requests = [
            request_run(executors[each], job_name, f"{job_name}/{each}/{slots[each]}", tags[each]) for each in due
        ]
        kept = {each: given[each] for each in executors if each in given} | {each: slots[each] for each in due}
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _skip_text(paces, busy, now),
            cursor=msgspec.json.encode(kept).decode(),
        )

    return fleet_sensor


def _mark_step_back(slot: str, given: str | None) -> str:
    """A slot, marked with how often the clock has stepped back, as the one that was given last tells."""
    if given is None:
        return slot
    before, _, steps = given.partition("~")
    interval, number = slot.split("/")
    before_interval, _, before_number = before.partition("/")
    count = int(steps) if steps.isdecimal() else 0
    if interval == before_interval and before_number.isdecimal() and int(number) < int(before_number):
        count += 1
    return f"{slot}~{count}" if count else slot


def executors_in_flight(
    instance: dg.DagsterInstance, job_name: str, paces: Mapping[str, RunInterval], now: float
) -> set[str]:
    """The executors that have a run of the job in flight. Dead runs are reported as failed and do not count."""
    longest_s = max((pace.timeout_s for pace in paces.values()), default=0.0)

    def timeout_of(run: dg.DagsterRun) -> float:
        pace = paces.get(run.tags.get(PARTITION_TAG, ""))
        return longest_s if pace is None else pace.timeout_s

    return {run.tags.get(PARTITION_TAG, "") for run in runs_in_flight(instance, job_name, timeout_of, now)}


def _skip_text(paces: Mapping[str, RunInterval], busy: set[str], now: float) -> str:
    if not paces:
        return "no executor has a partition yet; executors_sensor adds them"
    next_s = min(pace.next_due_ts(now) - now for pace in paces.values())
    return f"no executor is due; {len(busy)} of {len(paces)} have a run in flight; next due in {next_s:.0f} s"


def _read_cursor(cursor: str | None) -> dict[str, str]:
    """The slot that each executor was given last. One that is not understood counts as none: run keys are unique."""
    try:
        return msgspec.json.decode(cursor or "", type=dict[str, str])
    except msgspec.DecodeError:
        return {}
