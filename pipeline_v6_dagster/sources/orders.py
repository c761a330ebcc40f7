"""`orders_executed.jsonl`: a row to an `OrderEvent`. The only parser of that log.

Most rows have one shape. Those are read here, checked while they are decoded, in a third of the time; every other row
is read field by field in `sources.order_rows`, and both give the same event of the same row.
"""

from functools import lru_cache
from typing import Literal

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES, PositionSide
from pipeline_v6_dagster.domain.live import ACK, CLOSE, FILL, REDUCE_SUFFIX, OrderEvent
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.sources.decoding import epoch_s
from pipeline_v6_dagster.sources.order_rows import closed_side, parse_any_order_event
from pipeline_v6_dagster.sources.order_words import (
    DRY_RUN,
    KINDS,
    STATUSES,
    fees_usd,
    infer_route,
    process_name,
)

_POSITION_SIDES = {side.value: side for side in PositionSide}
_PLAIN_SIDES = frozenset({None, "BOTH", "", *_POSITION_SIDES})


class _UsualRow(msgspec.Struct, gc=False):
    """The usual shape of an ack, a fill and a close. A row with anything in a field of type `None` is unusual."""

    event_type: Literal["order_ack", "order_fill", "order_close"]
    ts: str
    symbol: str
    orderId: str | int
    intent_id: str | None = None
    attempt_id: str | None = None
    side: str | None = None
    positionSide: str | None = None
    request_qty: float | None = None
    executedQty: float | None = None
    avgPrice: float | None = None
    fee_total: float | None = None
    feeAsset: str | None = None
    closed_qty: float | None = None
    position_size_before: float | None = None
    position_size_after: float | None = None
    realizedPnlUsd: float | None = None
    status: str | None = None
    reduceOnly: bool | None = None
    order_type: str | None = None
    timeInForce: str | None = None
    maker: bool | None = None
    hostname: str | None = None
    pid: int | None = None
    placed_by: str | None = None
    raw: None = None
    reduce_only: None = None
    is_maker: None = None
    position_side: None = None
    accepted: None = None
    dry_run: None = None
    reason: None = None
    exchange_filters_used: None = None
    rounded_qty: None = None
    qty: None = None


_usual_decoder = msgspec.json.Decoder(_UsualRow)
# Of a usual row, whose fields have the types that these expect, the few combinations that occur are answered once.
_usual_route = lru_cache(maxsize=256)(infer_route)


def parse_order_event(line: bytes) -> OrderEvent | Unusable:
    """One event of an order, or why the row is not used."""
    try:
        usual = _usual_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse_any_order_event(line)
    event = _usual_event(usual)
    return parse_any_order_event(line) if event is None else event


def _usual_event(row: _UsualRow) -> OrderEvent | None:
    """The event of a row of the usual shape; None where the row has anything unusual in it."""
    kind = KINDS[row.event_type]
    symbol, order_id, status, side, held = row.symbol, row.orderId, row.status, row.side, row.positionSide
    order_type, time_in_force = row.order_type, row.timeInForce
    ts = epoch_s(row.ts)
    named_side = (SIDES.get(side) or SIDES.get(side.upper())) if side else None
    if (
        ts is None
        or not symbol
        or order_id == ""
        or status == DRY_RUN
        or (time_in_force is not None and order_type is None)
        or held not in _PLAIN_SIDES
        or (side and named_side is None)
    ):
        return None
    attempt_id = row.attempt_id or None
    is_reduce_only = row.reduceOnly
    if is_reduce_only is None:
        is_reduce_only = attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)
    requested_qty = executed_qty = avg_price = is_maker = None
    if kind is FILL:
        executed_qty, avg_price, is_maker = row.executedQty, row.avgPrice, row.maker
        if executed_qty is None:
            return None  # Another field may say it.
    elif kind is ACK:
        requested_qty = row.request_qty
        if row.executedQty:
            return None  # It may be more than was requested.
    fee_total = row.fee_total
    event = OrderEvent(
        kind=kind,
        ts=ts,
        symbol=symbol,
        side=named_side,
        intent_id=row.intent_id or None,
        attempt_id=attempt_id,
        order_id=order_id if isinstance(order_id, str) else str(order_id),
        is_reduce_only=is_reduce_only,
        requested_qty=abs(requested_qty) if requested_qty else None,
        executed_qty=abs(executed_qty) if executed_qty else None,
        avg_price=avg_price if avg_price is not None and avg_price > 0 else None,
        fees_usd=None if fee_total is None else fees_usd(fee_total, row.feeAsset),
        gross_usd=None,
        status=STATUSES.get(status) or STATUSES.get(status.upper()) if status else None,
        reason=None,
        lot_step=None,
        route=None if order_type is None and is_maker is None else _usual_route(is_maker, order_type, time_in_force),
        min_notional_usd=None,
        position_side=_POSITION_SIDES.get(held) if held else None,
        process=process_name(row.hostname, row.pid),
        placed_by=row.placed_by or None,
    )
    return _as_close(event, row) if kind is CLOSE else event


def _as_close(event: OrderEvent, row: _UsualRow) -> OrderEvent:
    after = row.position_size_after
    event.closed_qty = None if row.closed_qty is None else abs(row.closed_qty)
    event.position_qty_after = None if after is None else abs(after)
    event.realized_pnl_usd = row.realizedPnlUsd
    event.fees_usd = event.route = None
    event.position_side = closed_side(event.position_side, after, row.position_size_before)
    return event
