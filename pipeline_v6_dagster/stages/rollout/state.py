"""The rollout as the history says it, and the file that tells the executor: written under the lock of the history."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutEvent, RolloutFile, RolloutRecord, RolloutState
from pipeline_v6_dagster.logs.rollout_file import encode_rollout_file, read_rollout_file, says_the_same
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log, read_rollout_now
from pipeline_v6_dagster.rollout.machine import Rollout, apply
from pipeline_v6_dagster.rollout.moves import Actor, make_record
from pipeline_v6_dagster.stages.rollout.evidence import NO_EVIDENCE, max_compare_age_s, read_stored_evidence
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.files import remove_file, replace_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.storage.log_names import all_rotations, archives

# The file outlives one heartbeat that is missed or late, and not two.
_HEARTBEATS_VALID = 2
_LATE_S = 60.0
# Who takes away what lines of the history allowed that were followed by others which are lost.
HISTORY = "history"


@dataclass
class RolloutDesk:
    """The rollout while its lock is held: where it stands, and the way to change it."""

    settings: Settings
    rollout: Rollout
    _log: JsonlLog

    @property
    def is_told(self) -> bool:
        """Whether the executor's file says what the history says."""
        found = read_rollout_file(self.settings)
        return isinstance(found, RolloutFile) and says_the_same(self.rollout, found)

    def append(self, record: RolloutRecord, now: float) -> Rollout:
        """Add a line to the history, then tell the executor at `now` (epoch s).

        Raises:
            StorageError: the history or the file cannot be written.
        """
        after = apply(self.rollout, record)
        self._log.append([encode_record(record)])
        self.rollout = after
        self.write_file(now)
        return after

    def recover(self, moves: Sequence[tuple[RolloutEvent, Actor]], now: float) -> None:
        """Add what the history lacks in one write: a kill in between must not make the file look whole.

        Raises:
            StorageError: the history or the file cannot be written.
        """
        records = []
        for event, actor in moves:
            records.append(make_record(self.rollout, event, actor, NO_EVIDENCE))
            self.rollout = apply(self.rollout, records[-1])
        if records:
            self._log.append([encode_record(record) for record in records])
            self.write_file(now)

    def write_file(self, now: float) -> RolloutFile | None:
        """Tell the executor at `now` (epoch s) what the history says; None if no rollout was ever begun.

        Raises:
            StorageError: the file cannot be written.
        """
        if self.rollout.sequence == 0:
            return None
        content = project(self.settings, self.rollout, now)
        replace_file(self.settings.rollout_state, encode_rollout_file(content))
        return content


@contextmanager
def rollout_desk(settings: Settings, now: float) -> Iterator[RolloutDesk]:
    """Hold the lock of the history at `now` (epoch s), with what it adds up to. If it cannot be used, v6 is turned off.

    Where the executor's file is ahead of the history, lines were lost, and what they stopped is stopped again.

    Raises:
        BusyError: another process held the lock for too long.
        DataError: the history is not one. The executor's file then says that v6 is off.
        StorageError: the history cannot be read.
    """
    with locked(settings.rollout_log):
        log = open_rollout_log(settings, key=read_chain_key(settings.chain_key_file))
        try:
            log.recover()
            rollout = read_rollout_now(settings)
        except DataError:
            _turn_off(settings, now)
            raise
        desk = RolloutDesk(settings, rollout, log)
        _follow_file(desk, now)
        yield desk


def is_known(settings: Settings) -> bool:
    """Whether there is anything of a rollout: its history, a rotation of it, or the executor's file."""
    log = settings.rollout_log
    return log.exists() or settings.rollout_state.exists() or bool(all_rotations(log) or archives(log))


def project(settings: Settings, rollout: Rollout, now: float) -> RolloutFile:
    """What the executor is told at `now` (epoch s).

    While v6 places orders the file is valid no longer than its newest compare supports it: if nothing compares, v6
    goes off by itself, and at once if the compare log cannot be read.
    """
    valid_until = latest_validity(settings, now)
    if rollout.state in PLACING:
        compare_ts = _read_compare_ts(settings)
        valid_until = min(valid_until, now if compare_ts is None else compare_ts + max_compare_age_s(settings))
    changed = rollout.changed or rollout.newest
    reason = "no rollout was begun"
    if changed is not None:
        # Of two approvals the first changes nothing that v6 may do.
        waits = "waits for another approval: " if rollout.changed is None else ""
        reason = f"{waits}{changed.why}"
    return RolloutFile(
        state=rollout.state,
        stage=None if rollout.stage is None else rollout.stage.name,
        symbols=rollout.symbols,
        notional_share=rollout.notional_share,
        trading_state=rollout.trading_state,
        valid_until=valid_until,
        sequence=rollout.sequence,
        reason=reason,
        since_ts=now if changed is None else changed.ts,
        by="-" if changed is None else changed.by,
        generated_ts=now,
    )


def latest_validity(settings: Settings, now: float) -> float:
    """Until when (epoch s) a file that is written at `now` is valid, whatever compare finds."""
    return now + _HEARTBEATS_VALID * settings.heartbeat_interval_s + _LATE_S


def _read_compare_ts(settings: Settings) -> float | None:
    try:
        return read_stored_evidence(settings).compare_ts
    except StorageError:
        return None  # A halt has to reach the executor whatever is wrong with the compare log.


def _follow_file(desk: RolloutDesk, now: float) -> None:
    """Where the file is ahead of the history, go on from its sequence, and stop what it may have told to stop.

    It is written after the line that it follows from: a file that is ahead has outlived lines, or was edited.
    """
    found, rollout = read_rollout_file(desk.settings), desk.rollout
    if not isinstance(found, RolloutFile) or found.sequence <= rollout.sequence:
        return
    desk.rollout = replace(rollout, sequence=found.sequence + (not says_the_same(rollout, found)))
    if says_the_same(rollout, found):
        return
    lost = f"the executor's file is at {found.sequence:,} and the history at {rollout.sequence:,}: lines of it are lost"
    moves = []
    if rollout.trading_state.stricter(found.trading_state) is not rollout.trading_state:
        stopped = RolloutEvent.HALT if found.trading_state is TradingState.HALTED else RolloutEvent.REDUCE
        actor = Actor(by=found.by, why=f"{found.reason} ({lost})", ts=now)
        moves.append((stopped, actor))
    if rollout.state in PLACING or rollout.state is RolloutState.PAUSED:
        actor = Actor(by=HISTORY, why=lost, ts=now, is_automatic=True)
        moves.append((RolloutEvent.ROLLBACK, actor))
    desk.recover(moves, now)


def _turn_off(settings: Settings, now: float) -> None:
    """Take v6 away from an executor whose history cannot be used. What it was told of halts stays, and the sequence."""
    found = read_rollout_file(settings)
    if not isinstance(found, RolloutFile):
        remove_file(settings.rollout_state)
    elif found.state is not RolloutState.OFF:
        off = replace(found, state=RolloutState.OFF, stage=None, symbols=(), notional_share=0.0)
        if found.trading_state is TradingState.ACTIVE:
            off = replace(off, reason="the history cannot be used", since_ts=now, by=HISTORY)
        replace_file(settings.rollout_state, encode_rollout_file(off))
