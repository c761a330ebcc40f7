"""A stop that the history cannot record: it stands in the executor's file until the history can be used again."""

from contextlib import ExitStack, suppress
from dataclasses import dataclass

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import PipelineError, StorageError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutFile, RolloutState
from pipeline_v6_dagster.logs.rollout_file import MAX_SEQUENCE, encode_rollout_file, read_rollout_file
from pipeline_v6_dagster.logs.rollout_log import read_newest_understood
from pipeline_v6_dagster.rollout.machine import TRADING_STATES
from pipeline_v6_dagster.rollout.moves import Actor
from pipeline_v6_dagster.stages.rollout.state import latest_validity
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster.storage.lock import locked

# Beyond every line that cannot be read: once the history can be used again, the file counts as ahead of it, and what
# was stopped is recorded then.
_BEYOND_HISTORY = 1_000_000


@dataclass(frozen=True, slots=True)
class UnrecordedStop:
    """A stop that is in effect although the history does not have it: what the executor is told, and why it is so."""

    file: RolloutFile
    problem: str


def stop_without_history(
    settings: Settings, event: RolloutEvent, actor: Actor, problem: PipelineError
) -> UnrecordedStop:
    """Tell the executor that v6 is off, and of a halt or a reduction, because of a `problem` with the history.

    A trading state that is stricter than what is asked for stays.

    Raises:
        BusyError: another process held the lock of the history for too long.
        PipelineError: `problem` itself, where nothing tells whether trading is halted and nobody asks for it: without
            a file v6 is off, and a file that says active would lift a halt.
        StorageError: the file cannot be written.
    """
    with ExitStack() as stack:
        with suppress(StorageError):  # A lock that cannot be made protects nothing, and a stop does not wait for it.
            stack.enter_context(locked(settings.rollout_log))
        found = _read_file(settings)
        known = _known_trading_state(settings, found)
        asked = TRADING_STATES.get(event)
        if known is None and asked is None:
            raise problem
        trading_state = (asked or TradingState.ACTIVE).stricter(known or TradingState.ACTIVE)
        sequence = 0 if found is None else found.sequence
        file = RolloutFile(
            state=RolloutState.OFF,
            stage=None,
            symbols=(),
            notional_share=0.0,
            trading_state=trading_state,
            valid_until=latest_validity(settings, actor.ts),
            sequence=min(sequence + _BEYOND_HISTORY, MAX_SEQUENCE - 1),
            reason=f"{event}: {actor.why}; the history could not record it",
            since_ts=actor.ts,
            by=actor.by,
            generated_ts=actor.ts,
        )
        replace_file(settings.rollout_state, encode_rollout_file(file))
    return UnrecordedStop(file, str(problem))


def _read_file(settings: Settings) -> RolloutFile | None:
    try:
        found = read_rollout_file(settings)
    except StorageError:
        return None
    return found if isinstance(found, RolloutFile) else None


def _known_trading_state(settings: Settings, found: RolloutFile | None) -> TradingState | None:
    """What the executor was told last, as far as anything tells it."""
    if found is not None:
        return found.trading_state
    newest = read_newest_understood(settings)
    return None if newest is None else newest.trading_state
