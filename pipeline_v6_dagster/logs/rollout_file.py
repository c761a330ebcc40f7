"""The state file of the rollout, which the executor polls: its encoding, and reading it back."""

import msgspec

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.domain.rollout import RolloutFile
from pipeline_v6_dagster.rollout.machine import Rollout

# The sequence of a file of ours is below it: no rollout moves so often, and every JSON parser reads it exactly.
MAX_SEQUENCE = 2**50


def encode_rollout_file(content: RolloutFile) -> bytes:
    """The content of the file."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def read_rollout_file(settings: Settings) -> RolloutFile | bytes | None:
    """What the file says; its bytes if this project did not write it so, None if there is no file.

    Raises:
        StorageError: the file cannot be read.
    """
    path = settings.rollout_state
    try:
        content = read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = msgspec.json.decode(content, type=RolloutFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content
    is_ours = 0 <= found.sequence < MAX_SEQUENCE and encode_rollout_file(found) == content
    return found if is_ours else content


def says_the_same(rollout: Rollout, found: RolloutFile) -> bool:
    """Whether a file allows what the rollout allows."""
    return (found.state, found.symbols, found.notional_share, found.trading_state) == (
        rollout.state,
        rollout.symbols,
        rollout.notional_share,
        rollout.trading_state,
    )
