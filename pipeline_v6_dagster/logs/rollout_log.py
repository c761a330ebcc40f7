"""The history of the rollout: every change in a chained line, oldest to newest what v6 may do."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.rollout import RolloutRecord
from pipeline_v6_dagster.rollout.machine import Rollout, replay
from pipeline_v6_dagster.storage.follow import Follower, LogOffset
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

_decoder: msgspec.json.Decoder[RolloutRecord] = msgspec.json.Decoder(RolloutRecord)


def encode_record(record: RolloutRecord) -> bytes:
    """A line of the history, without its newline."""
    return msgspec.json.encode(record)


def decode_record(line: bytes) -> RolloutRecord | None:
    """The record in a line of the history; None if the line is of another kind."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def open_rollout_log(settings: Settings, *, key: bytes | None = None) -> JsonlLog:
    """The history. Each line is complete by itself, so each ends a block. Whoever appends gives the chain's key."""
    return JsonlLog(settings.rollout_log, _classify_line, key=key)


def _classify_line(line: bytes) -> LineKind:
    return LineKind.FOREIGN if decode_record(line) is None else LineKind.BLOCK_END


def read_rollout(
    settings: Settings, after: LogOffset | None = None
) -> tuple[Sequence[RolloutRecord], LogOffset | None]:
    """The records after an offset, oldest first, and the offset of the last of them. None if there is no history.

    Raises:
        DataError: a line is not understood. What v6 may do is then unknown, which an executor treats as off.
        StorageError: the history cannot be read.
    """
    records = []
    with Follower(settings.rollout_log, after, with_archives=True) as follower:
        for line in follower.lines():
            record = decode_record(line.raw)
            if record is None:
                raise DataError(
                    f"{settings.rollout_log}: a line is not understood; run pipeline-v6 verify, then move the file away"
                    " and approve again"
                )
            records.append(record)
            after = line.offset()
    return records, after


def read_rollout_now(settings: Settings) -> Rollout:
    """Where the rollout stands by its history; OFF if there is none.

    Raises:
        DataError: the history is not one.
        StorageError: it cannot be read.
    """
    records, _ = read_rollout(settings)
    return replay(records)


def read_newest_understood(settings: Settings) -> RolloutRecord | None:
    """The newest line that is a record, whatever stands around it; None if there is none or it cannot be read."""
    with suppress(StorageError):
        return next(filter(None, map(decode_record, open_rollout_log(settings).backward())), None)
    return None
