"""The rollout as the history says it, and the file that tells the executor: written under the lock of the history."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutFile, RolloutRecord
from pipeline_v6_dagster.logs.rollout_file import encode_rollout_file, read_rollout_file, says_the_same
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log, read_rollout_now
from pipeline_v6_dagster.rollout.machine import Rollout, apply
from pipeline_v6_dagster.stages.rollout.evidence import max_compare_age_s, read_stored_evidence
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.files import remove_file, replace_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.storage.log_names import all_rotations, archives

# The file outlives one heartbeat that is missed or late, and not two.
_HEARTBEATS_VALID = 2
_LATE_S = 60.0


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
def rollout_desk(settings: Settings) -> Iterator[RolloutDesk]:
    """Hold the lock of the history, with what it adds up to. If it cannot be used, the executor's file is removed.

    Raises:
        BusyError: another process held the lock for too long.
        DataError: the history is not one. v6 is then off, as an executor that finds no file takes it.
        StorageError: the history cannot be read.
    """
    with locked(settings.rollout_log):
        log = open_rollout_log(settings, key=read_chain_key(settings.chain_key_file))
        try:
            log.recover()
            rollout = read_rollout_now(settings)
        except DataError:
            remove_file(settings.rollout_state)
            raise
        yield RolloutDesk(settings, _continue_sequence(settings, rollout), log)


def is_known(settings: Settings) -> bool:
    """Whether there is anything of a rollout: its history, a rotation of it, or the executor's file."""
    log = settings.rollout_log
    return log.exists() or settings.rollout_state.exists() or bool(all_rotations(log) or archives(log))


def refresh_rollout(settings: Settings, now: float) -> RolloutFile | None:
    """Write the executor's file again at `now` (epoch s), so that it stays valid; None if no rollout was ever begun.

    Raises:
        BusyError, DataError, StorageError: as `rollout_desk`, or the file cannot be written.
    """
    if not is_known(settings):
        return None
    with rollout_desk(settings) as desk:
        return desk.write_file(now)


def project(settings: Settings, rollout: Rollout, now: float) -> RolloutFile:
    """What the executor is told at `now` (epoch s).

    While v6 places orders the file is valid no longer than its newest compare supports it: if nothing compares, v6
    goes off by itself.

    Raises:
        StorageError: the compare log cannot be read.
    """
    valid_until = now + _HEARTBEATS_VALID * settings.heartbeat_interval_s + _LATE_S
    if rollout.state in PLACING:
        compare_ts = read_stored_evidence(settings).compare_ts
        valid_until = min(valid_until, now if compare_ts is None else compare_ts + max_compare_age_s(settings))
    changed = rollout.changed
    return RolloutFile(
        state=rollout.state,
        stage=None if rollout.stage is None else rollout.stage.name,
        symbols=rollout.symbols,
        notional_share=rollout.notional_share,
        trading_state=rollout.trading_state,
        valid_until=valid_until,
        sequence=rollout.sequence,
        reason="no rollout was begun" if changed is None else changed.why,
        since_ts=now if changed is None else changed.ts,
        by="-" if changed is None else changed.by,
        generated_ts=now,
    )


def _continue_sequence(settings: Settings, rollout: Rollout) -> Rollout:
    """The rollout, with a sequence beyond that of a file which outlived the history that it came from."""
    found = read_rollout_file(settings)
    if not isinstance(found, RolloutFile) or found.sequence <= rollout.sequence:
        return rollout
    return replace(rollout, sequence=found.sequence + (not says_the_same(rollout, found)))
