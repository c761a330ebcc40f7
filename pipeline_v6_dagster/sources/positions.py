"""`position_state.jsonl`: position snapshots, one position a row or a list of them in one."""

import msgspec

from pipeline_v6_dagster.domain.account import PositionSnapshot, PositionsSnapshot
from pipeline_v6_dagster.domain.attempt import SIDES, Side
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import decode_row, epoch_s


class _Position(msgspec.Struct, gc=False):
    symbol: str | None = None
    pos_qty: float | None = None
    entry_px: float | None = None
    mode: str | None = None
    ts: str | float | None = None


class _PositionRow(_Position, gc=False):
    items: list[_Position] | None = None
    rows: list[_Position] | None = None
    positions: list[_Position] | None = None


_decoder = msgspec.json.Decoder(_PositionRow)


def parse_positions(line: bytes) -> PositionSnapshot | PositionsSnapshot | Unusable:
    """What a row tells of positions, or why it tells nothing. A list with one bad entry is not trusted at all."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    listed = next((some for some in (row.items, row.rows, row.positions) if some is not None), None)
    if listed is None:
        if row.symbol is None and row.pos_qty is None:
            return Unusable(IgnoredRow.UNKNOWN_EVENT)
        ts = epoch_s(row.ts)
        return Unusable(Rejection.NO_TIME) if ts is None else _position(row, ts)
    times = [row.ts] if row.ts is not None else [position.ts for position in listed]
    ts = max((time for time in map(epoch_s, times) if time is not None), default=None)
    if ts is None:
        return Unusable(Rejection.NO_TIME)
    seen = []
    for entry in listed:
        position = _position(entry, ts)
        if isinstance(position, Unusable):
            return Unusable(Rejection.BAD_FIELD)
        seen.append(position)
    return PositionsSnapshot(ts, tuple(seen))


def _position(row: _Position, ts: float) -> PositionSnapshot | Unusable:
    """One position. Its side is `mode`, else the sign of the quantity."""
    if not row.symbol:
        return Unusable(IgnoredRow.NO_SYMBOL)
    if row.pos_qty is None:
        return Unusable(Rejection.BAD_FIELD)
    mode = SIDES.get(row.mode.upper()) if row.mode else None
    side = mode or (Side.BUY if row.pos_qty >= 0 else Side.SELL)
    return PositionSnapshot(ts, row.symbol, side, abs(row.pos_qty), row.entry_px or None, is_net=mode is None)
