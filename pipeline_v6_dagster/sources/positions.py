"""`position_state.jsonl`: position snapshots, one position a row or a list of them in one."""

import msgspec

from pipeline_v6_dagster.domain.account_events import PositionsSnapshot
from pipeline_v6_dagster.domain.attempt import PositionSide
from pipeline_v6_dagster.domain.position_state import PositionRow
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import decode_row, position_side, row_time


class _Position(msgspec.Struct, gc=False, kw_only=True):
    symbol: str | None = None
    pos_qty: float | None = None
    entry_px: float | None = None
    positionSide: str | None = None
    mode: str | None = None
    ts: str | float | None = None
    local_ts: str | float | None = None


class _PositionRow(_Position, gc=False):
    items: list[_Position] | None = None
    rows: list[_Position] | None = None
    positions: list[_Position] | None = None


_decoder = msgspec.json.Decoder(_PositionRow)


def parse_positions(line: bytes) -> PositionsSnapshot | Unusable:
    """What a row tells of positions, or why it tells nothing. A list with one bad entry is not trusted at all."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    listed = next((some for some in (row.items, row.rows, row.positions) if some is not None), None)
    ts = row_time(row.ts, row.local_ts)
    if listed is None:
        if row.symbol is None and row.pos_qty is None:
            return Unusable(IgnoredRow.UNKNOWN_EVENT)
        if ts is None:
            return Unusable(Rejection.NO_TIME)
        position = _position(row)
        return position if isinstance(position, Unusable) else PositionsSnapshot(ts, (position,))
    if ts is None and row.ts is None:
        times = (row_time(position.ts, position.local_ts) for position in listed)
        ts = max((time for time in times if time is not None), default=None)
    if ts is None:
        return Unusable(Rejection.NO_TIME)
    seen = []
    for entry in listed:
        position = _position(entry)
        if isinstance(position, Unusable):
            return Unusable(Rejection.BAD_FIELD)
        seen.append(position)
    return PositionsSnapshot(ts, tuple(seen))


def _position(row: _Position) -> PositionRow | Unusable:
    """One position. Its side is `positionSide` or `mode`, else the sign of the quantity."""
    if not row.symbol:
        return Unusable(IgnoredRow.NO_SYMBOL)
    if row.pos_qty is None:
        return Unusable(Rejection.BAD_FIELD)
    named = position_side(row.positionSide, row.mode)
    side = named or (PositionSide.LONG if row.pos_qty >= 0 else PositionSide.SHORT)
    return PositionRow(
        symbol=row.symbol,
        position_side=side,
        qty=abs(row.pos_qty),
        entry_price=row.entry_px or None,
        is_net=named is None,
    )
