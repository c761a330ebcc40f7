"""What people cause: each command of the rollout is one line of the history, or is refused."""

from collections.abc import Callable

from pipeline_v6_dagster.config.rollout_plan import load_rollout_plan
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ArgumentError, BusyError, DataError, RefusedError, StorageError
from pipeline_v6_dagster.domain.formatting import format_time
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutPlan, RolloutRecord
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.rollout.machine import TRADING_STATES, Rollout, alphabets, normal_name
from pipeline_v6_dagster.rollout.moves import Actor, RolloutEvidence, approve, make_record, resume
from pipeline_v6_dagster.stages.rollout.downward import HEARTBEAT, find_gap, pause_after_gap
from pipeline_v6_dagster.stages.rollout.evidence import NO_EVIDENCE, read_evidence, read_stored_evidence
from pipeline_v6_dagster.stages.rollout.state import HISTORY, rollout_desk
from pipeline_v6_dagster.stages.rollout.unrecorded_stop import UnrecordedStop, stop_without_history
from pipeline_v6_dagster.verdict.criteria import CRITERIA

COMPARE = "compare"
ROLLOUT_SENSOR = "rollout_sensor"
# These take exposure away and never wait. The others are decided on the evidence and on the state that the person saw.
STOPS = frozenset({RolloutEvent.PAUSE, RolloutEvent.ROLLBACK, RolloutEvent.HALT, RolloutEvent.REDUCE})


def read_plan(settings: Settings) -> RolloutPlan:
    """The stages as configured.

    Raises:
        ConfigError: config/rollout.json is not understood.
        StorageError: it cannot be read.
    """
    return load_rollout_plan(settings.rollout_plan, [each.name for each in CRITERIA])


def act(
    settings: Settings, event: RolloutEvent, by: str, why: str, clock: Callable[[], float]
) -> RolloutRecord | UnrecordedStop:
    """Do what a person asks for, and tell the executor. A stop is made also if the history cannot record it.

    Raises:
        ArgumentError: `by` or `why` is empty, or `by` is not the name of a person.
        RefusedError: it is not allowed as things stand.
        BusyError: somebody else changed the rollout meanwhile, or holds its lock.
        ConfigError, DataError, StorageError: a file cannot be used.
    """
    if event in STOPS:
        return _stop(settings, event, by, why, clock)  # Whatever the name is: it approves nothing.
    _check_person(by, why)
    plan, seen = read_plan(settings), read_rollout_now(settings)
    evidence = read_evidence(settings, clock())
    with rollout_desk(settings, clock()) as desk:
        _refuse_if_moved(seen, desk.rollout)
        if event is not RolloutEvent.BEGIN and read_stored_evidence(settings).compare_ts != evidence.compare_ts:
            raise BusyError(
                "compare was first: there is newer evidence; look at pipeline-v6 rollout status and try again"
            )
        now = clock()
        pause_after_gap(desk, evidence, now, by)
        record = _upward(desk.rollout, event, plan, evidence, Actor(by=by, why=why, ts=now))
        desk.append(record, now)
    return record


def _stop(
    settings: Settings, event: RolloutEvent, by: str, why: str, clock: Callable[[], float]
) -> RolloutRecord | UnrecordedStop:
    try:
        evidence = read_stored_evidence(settings)
    except StorageError:
        evidence = None
    try:
        with rollout_desk(settings, clock()) as desk:
            now = clock()
            gap = None if evidence is None else find_gap(desk, evidence, now)
            if gap is not None and event in TRADING_STATES:
                pause_after_gap(desk, evidence or NO_EVIDENCE, now, by)
            served_until_ts = gap.served_until_ts if gap is not None and event is RolloutEvent.PAUSE else None
            actor = Actor(by=by, why=why, ts=now)
            record = make_record(desk.rollout, event, actor, evidence or NO_EVIDENCE, served_until_ts=served_until_ts)
            desk.append(record, now)
            return record
    except RefusedError:
        raise
    except (DataError, StorageError) as error:
        return stop_without_history(settings, event, Actor(by=by, why=why, ts=clock()), error)


def _upward(
    rollout: Rollout, event: RolloutEvent, plan: RolloutPlan, evidence: RolloutEvidence, actor: Actor
) -> RolloutRecord:
    if event is RolloutEvent.APPROVE:
        return approve(rollout, plan, actor, evidence)
    if event is RolloutEvent.RESUME:
        return resume(rollout, actor, evidence)
    return make_record(rollout, event, actor, evidence)


def _check_person(by: str, why: str) -> None:
    if not by.strip() or not why.strip():
        raise ArgumentError("the rollout needs a name (--by) and a reason (--why)")
    if not normal_name(by):
        raise ArgumentError(f"--by {by}: a name takes letters")
    if len(alphabets(by)) > 1:
        raise ArgumentError(
            f"--by {by}: letters of {' and '.join(sorted(alphabets(by)))} look alike; write it in one of them"
        )
    if normal_name(by) in map(normal_name, (COMPARE, ROLLOUT_SENSOR, HEARTBEAT, HISTORY)):
        raise ArgumentError(f"--by {by}: this name stands for a part of the pipeline; give the name of a person")


def _refuse_if_moved(seen: Rollout, found: Rollout) -> None:
    if found.newest != seen.newest:
        newest = found.newest
        what = "it changed" if newest is None else f"{newest.by} did {newest.event} on {format_time(newest.ts)}"
        raise BusyError(f"somebody else was first: {what}; look at pipeline-v6 rollout status and try again")
