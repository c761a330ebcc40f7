"""Which trading state the rollout had when: its history, and its state file where the history does not know of it.

A decision takes the state of the moment at which its attempt was made, so that it is the same whenever it is made. The
history has each change with its time and is the authority. The state file counts where it is newer than the history,
or is alone, and then from its `since_ts` on; it never makes the state of the history more lenient.
"""

from math import inf

import msgspec

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import TradingStates
from pipeline_v6_dagster.logs.rollout_log import read_rollout


class _StateFile(msgspec.Struct):
    """The keys of the state file that the shadow reads, of whoever wrote it."""

    trading_state: TradingState
    sequence: int = 0
    since_ts: float | None = None


def read_trading_states(settings: Settings) -> TradingStates:
    """The trading states of the rollout; ACTIVE throughout where neither file exists.

    Raises:
        DataError: a line of the history is not understood, or the state file is alone and is not understood.
        StorageError: one of them cannot be read.
    """
    records, _ = read_rollout(settings)
    file = _read_file(settings, is_alone=not records)
    if file is not None and file.sequence > (records[-1].sequence if records else -inf):
        newest = records[-1].trading_state if records else TradingState.ACTIVE
        since_ts = -inf if file.since_ts is None else file.since_ts
        return TradingStates.of(records, (since_ts, newest.stricter(file.trading_state)))
    return TradingStates.of(records)


def _read_file(settings: Settings, *, is_alone: bool) -> _StateFile | None:
    path = settings.rollout_state
    try:
        return msgspec.json.decode(read_regular(path), type=_StateFile)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not is_alone:
            return None  # The history is the authority; the next heartbeat writes the file again.
        raise DataError(
            f"{path}: is no rollout state ({error}); remove it, since no history of a rollout stands beside it"
        ) from error
