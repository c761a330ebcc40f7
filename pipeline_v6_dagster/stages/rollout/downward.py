"""What the evidence demands: whoever sees first that a stage is no longer supported takes it away."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutRecord, RolloutState
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import (
    Actor,
    Move,
    RolloutEvidence,
    find_compare_gap,
    find_critical_move,
    find_downward_move,
    make_record,
)
from pipeline_v6_dagster.stages.rollout.announce import announce_moves
from pipeline_v6_dagster.stages.rollout.evidence import NO_EVIDENCE, max_compare_age_s, read_stored_evidence
from pipeline_v6_dagster.stages.rollout.state import RolloutDesk, is_known, rollout_desk

HEARTBEAT = "heartbeat"


def has_stage(rollout: Rollout) -> bool:
    """Whether there is anything that the evidence could take away."""
    return rollout.state in PLACING or rollout.state is RolloutState.PAUSED


def roll_back_if_critical(settings: Settings, now: float, by: str) -> RolloutRecord | None:
    """Roll back if the newest summary has a broken critical criterion: nothing else is read, so that nothing delays it.

    Returns what was recorded at `now` (epoch s), None if there was nothing to do.

    Raises:
        BusyError, DataError, StorageError: the history or the compare log cannot be used.
    """
    if not is_known(settings):
        return None
    with rollout_desk(settings, now) as desk:
        if not has_stage(desk.rollout):
            return None
        evidence = read_stored_evidence(settings)
        return _record(desk, find_critical_move(desk.rollout, evidence), evidence, now, by)


def follow_evidence(
    settings: Settings,
    evidence: RolloutEvidence,
    now: float,
    by: str,
    *,
    refreshes: bool = True,
    host: str | None = None,
    run_id: str | None = None,
) -> RolloutRecord | None:
    """Take away what the evidence as of `now` (epoch s) no longer supports, or note a doubt; tell executor and people.

    Returns what was recorded, None if there was nothing to do. Messages are recorded in the outbox, not sent. Unless
    it `refreshes` the executor's file, that is written only where it does not say what the history says.

    Raises:
        BusyError, DataError, StorageError: the history cannot be used.
    """
    if not is_known(settings):
        return None
    with rollout_desk(settings, now) as desk:
        move = find_downward_move(desk.rollout, evidence, now, max_compare_age_s(settings))
        record = _record(desk, move, evidence, now, by)
        if record is None and (refreshes or not desk.is_told):
            desk.write_file(now)
    announce_moves(settings, now, host=host, run_id=run_id)
    return record


def refresh_rollout(
    settings: Settings, now: float, *, host: str | None = None, run_id: str | None = None
) -> RolloutRecord | None:
    """Write the executor's file again at `now` (epoch s), so that it stays valid; pause if no compare came in time.

    Returns the pause that was recorded, None if there is none.

    Raises:
        BusyError, DataError, StorageError: as `rollout_desk`, or the file cannot be written.
    """
    if not is_known(settings):
        return None
    with rollout_desk(settings, now) as desk:
        evidence = read_stored_evidence(settings) if desk.rollout.state in PLACING else NO_EVIDENCE
        record = pause_after_gap(desk, evidence, now, HEARTBEAT)
        if record is None:
            desk.write_file(now)
    if record is not None:
        announce_moves(settings, now, host=host, run_id=run_id)
    return record


def find_gap(desk: RolloutDesk, evidence: RolloutEvidence, now: float) -> Move | None:
    """The pause that a gap between compares demands at `now` (epoch s)."""
    return find_compare_gap(desk.rollout, evidence, now, max_compare_age_s(desk.settings))


def pause_after_gap(desk: RolloutDesk, evidence: RolloutEvidence, now: float, by: str) -> RolloutRecord | None:
    """Pause at `now` (epoch s) if no compare came in time, before anything else is written; returns what was recorded.

    Raises:
        StorageError: the history or the file cannot be written.
    """
    return _record(desk, find_gap(desk, evidence, now), evidence, now, by)


def _record(
    desk: RolloutDesk, move: Move | None, evidence: RolloutEvidence, now: float, by: str
) -> RolloutRecord | None:
    if move is None:
        return None
    actor = Actor(by=by, why=move.why, ts=now, is_automatic=True)
    record = make_record(
        desk.rollout, move.event, actor, evidence, broken=move.broken, served_until_ts=move.served_until_ts
    )
    desk.append(record, now)
    return record
