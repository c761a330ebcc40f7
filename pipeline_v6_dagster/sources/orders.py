"""`orders_executed.jsonl`: a row to an `OrderEvent`. The only parser of that log.

Most rows have one shape. Those are read here, checked while they are decoded, in a third of the time; every other row
is read field by field in `sources.order_rows`, and both give the same event of the same row.
"""

from typing import Any

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES, PositionSide
from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, EventKind, OrderEvent
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.sources.decoding import epoch_s
from pipeline_v6_dagster.sources.order_rows import closed_side, parse_any_order_event
from pipeline_v6_dagster.sources.order_words import DRY_RUN, KINDS, STATUSES, fees_usd, infer_route, process_name

_POSITION_SIDES = {side.value: side for side in PositionSide}
_PLAIN_SIDES = frozenset({None, "BOTH", "", *_POSITION_SIDES})


class _UsualRow(msgspec.Struct, gc=False):
    """The usual shape of an ack, a fill and a close; `Any` fields are unusual in it."""

    event_type: str
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
    event: Any = None
    raw: Any = None
    reduce_only: Any = None
    is_maker: Any = None
    position_side: Any = None
    accepted: Any = None
    dry_run: Any = None
    reason: Any = None
    exchange_filters_used: Any = None
    rounded_qty: Any = None
    qty: Any = None


_usual_decoder = msgspec.json.Decoder(_UsualRow)


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
    kind = KINDS.get(row.event_type)
    if kind is None or kind is EventKind.ERROR or not row.symbol or row.orderId == "" or row.status == DRY_RUN:
        return None
    if not (
        row.raw is None
        and row.reduce_only is None
        and row.is_maker is None
        and row.position_side is None
        and row.accepted is None
        and row.dry_run is None
        and row.reason is None
        and row.exchange_filters_used is None
        and row.rounded_qty is None
        and row.qty is None
        and (row.timeInForce is None or row.order_type is not None)
        and row.positionSide in _PLAIN_SIDES
    ):
        return None
    ts = epoch_s(row.ts)
    if ts is None:
        return None
    attempt_id = row.attempt_id or None
    is_reduce_only = row.reduceOnly
    if is_reduce_only is None:
        is_reduce_only = attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)
    order_id, side, status, held = row.orderId, row.side, row.status, row.positionSide
    requested_qty = executed_qty = avg_price = is_maker = None
    if kind is EventKind.FILL:
        executed_qty, avg_price, is_maker = row.executedQty, row.avgPrice, row.maker
    elif kind is EventKind.ACK:
        requested_qty = row.request_qty
    named_side = (SIDES.get(side) or SIDES.get(side.upper())) if side else None
    if side and named_side is None:
        return None
    event = OrderEvent(
        kind=kind,
        ts=ts,
        symbol=row.symbol,
        side=named_side,
        intent_id=row.intent_id or None,
        attempt_id=attempt_id,
        order_id=order_id if isinstance(order_id, str) else str(order_id),
        is_reduce_only=is_reduce_only,
        requested_qty=abs(requested_qty) if requested_qty else None,
        executed_qty=abs(executed_qty) if executed_qty else None,
        avg_price=avg_price if avg_price is not None and avg_price > 0 else None,
        fees_usd=None if row.fee_total is None else fees_usd(row.fee_total, row.feeAsset),
        gross_usd=None,
        status=STATUSES.get(status) or STATUSES.get(status.upper()) if status else None,
        reason=None,
        lot_step=None,
        route=None
        if row.order_type is None and is_maker is None
        else infer_route(is_maker, row.order_type, row.timeInForce),
        min_notional_usd=None,
        position_side=_POSITION_SIDES.get(held) if held else None,
        process=process_name(row.hostname, row.pid),
    )
    return _as_close(event, row) if kind is EventKind.CLOSE else event


def _as_close(event: OrderEvent, row: _UsualRow) -> OrderEvent:
    after = row.position_size_after
    event.closed_qty = None if row.closed_qty is None else abs(row.closed_qty)
    event.position_qty_after = None if after is None else abs(after)
    event.realized_pnl_usd = row.realizedPnlUsd
    event.fees_usd = event.route = None
    event.position_side = closed_side(event.position_side, after, row.position_size_before)
    return event
