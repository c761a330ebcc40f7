"""When a log of the executor was last written to: the newest time near its end.

Any row counts, whatever it says: this is about whether the executor is alive, not about evidence.
"""

from collections.abc import Iterable

import msgspec

from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.sources.decoding import decode_row, row_time


class _Times(msgspec.Struct):
    local_ts: float | str | None = None
    ts: float | str | None = None
    timestamp: float | str | None = None


_decoder = msgspec.json.Decoder(_Times)


def newest_ts(lines: Iterable[bytes]) -> float | None:
    """The newest time (epoch s) among the lines: `local_ts`, else `ts`, else `timestamp`; None where none has one."""
    return max((ts for ts in map(_read_time, lines) if ts is not None), default=None)


def _read_time(line: bytes) -> float | None:
    row = decode_row(_decoder, line)
    return None if isinstance(row, Rejection) else row_time(row.local_ts, row.ts, row.timestamp)
