"""A row of `orders_executed.jsonl` of any shape, field by field.

Two shapes of ack occur: one with the order's fields at its top level, and an older one whose symbol, side and
quantity stand only in `raw`, the exchange's answer. The older `order_executed` rows repeat what acks and fills say and
are dropped.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES, PositionSide
from pipeline_v6_dagster.domain.decision import Route
from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, EventKind, OrderEvent, OrderStatus
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import (
    BadFieldError,
    decode_row,
    is_set,
    magnitude,
    named_position_side,
    number,
    parse_side,
    position_side,
    positive,
    row_time,
    text,
)
from pipeline_v6_dagster.sources.order_evidence import unusable_row
from pipeline_v6_dagster.sources.order_words import DRY_RUN, KINDS, STATUSES, fees_usd, infer_route, process_name

_SIZED = (EventKind.ACK, EventKind.FLAT)
# Kinds that are evidence also where they name no order.
_NAMELESS = (EventKind.ERROR, EventKind.FLAT, EventKind.CLOSE)


class _OrderRow(msgspec.Struct, kw_only=True):
    """Numbers are read late: a row of an event type that is not used may hold anything in them."""

    event_type: Any = None
    event: Any = None
    ts: Any = None
    ts_ack: Any = None
    ts_fill_last: Any = None
    ts_close: Any = None
    local_ts: Any = None
    symbol: Any = None
    side: Any = None
    positionSide: Any = None
    position_side: Any = None
    intent_id: Any = None
    attempt_id: Any = None
    orderId: Any = None
    order_id: Any = None
    clientOrderId: Any = None
    client_order_id: Any = None
    request_id: Any = None
    request_qty: Any = None
    qty: Any = None
    rounded_qty: Any = None
    executedQty: Any = None
    executed_qty: Any = None
    filled_qty: Any = None
    filledQty: Any = None
    cumQty: Any = None
    cum_qty: Any = None
    avgPrice: Any = None
    price: Any = None
    fee_total: Any = None
    feeAsset: Any = None
    closed_qty: Any = None
    position_size_before: Any = None
    position_size_after: Any = None
    realizedPnlUsd: Any = None
    status: Any = None
    reduceOnly: Any = None
    reduce_only: Any = None
    order_type: Any = None
    timeInForce: Any = None
    maker: Any = None
    is_maker: Any = None
    accepted: Any = None
    dry_run: Any = None
    reason: Any = None
    exc: Any = None
    hostname: Any = None
    pid: Any = None
    placed_by: Any = None
    raw: Any = None
    exchange_filters_used: Any = None
    notional: Any = None
    gross: Any = None
    quote_notional: Any = None
    notional_usd: Any = None
    gross_usd: Any = None


_decoder = msgspec.json.Decoder(_OrderRow)


def parse_any_order_event(line: bytes) -> OrderEvent | Unusable:
    """One event of an order, or why the row is not used."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return unusable_row(row, line)
    try:
        found = _event(row)
    except BadFieldError:
        return unusable_row(Rejection.BAD_FIELD, line)
    return found if isinstance(found, OrderEvent) else unusable_row(found, line)


def _event(row: _OrderRow) -> OrderEvent | IgnoredRow | Rejection:
    raw: Mapping[str, Any] = row.raw if isinstance(row.raw, dict) else {}
    event_type = row.event_type if row.event_type is not None else row.event
    kind = KINDS.get(event_type) if isinstance(event_type, str) else None
    gross_usd = None
    if kind is None:
        gross_usd = _flat_gross(row)
        if gross_usd is None:
            return IgnoredRow.UNKNOWN_EVENT
        kind = EventKind.FLAT
    status_text = text(row.status) or text(raw.get("status"))
    if is_set(row.dry_run) or is_set(raw.get("dryRun")) or status_text == DRY_RUN or row.reason == "dry_run":
        return IgnoredRow.DRY_RUN
    ts = row_time(row.ts, row.local_ts, row.ts_ack, row.ts_fill_last, row.ts_close)
    if ts is None:
        return Rejection.NO_TIME
    symbol = text(row.symbol) or text(raw.get("symbol"))
    intent_id, attempt_id = text(row.intent_id), text(row.attempt_id)
    order_id = _order_id(row, raw)
    if order_id is None:
        if kind not in _NAMELESS:
            return IgnoredRow.NO_ORDER_ID
        order_id = f"{kind}@{ts!r}"
    if symbol is None and intent_id is None and attempt_id is None and kind is not EventKind.ERROR:
        return IgnoredRow.NO_SYMBOL
    side_text = text(row.side) or text(raw.get("side"))
    position_sides = (row.positionSide, row.position_side, raw.get("positionSide"))
    # An order says on which side it is. A fill that does not makes the position unknown, and is not dropped for it.
    is_placed = kind in _SIZED
    event = OrderEvent(
        kind=kind,
        ts=ts,
        symbol=symbol,
        side=parse_side(side_text) if is_placed else SIDES.get((side_text or "").upper()),
        intent_id=intent_id,
        attempt_id=attempt_id,
        order_id=order_id,
        is_reduce_only=_is_reduce_only(row, raw, attempt_id),
        requested_qty=_requested_qty(row, raw, kind) if kind in _SIZED else None,
        executed_qty=_executed_qty(row, raw) if kind is EventKind.FILL else None,
        avg_price=_avg_price(row, kind),
        fees_usd=None if kind is EventKind.CLOSE else fees_usd(number(row.fee_total), row.feeAsset),
        gross_usd=gross_usd,
        status=_status(row, status_text, kind),
        reason=_reason(row, kind),
        lot_step=_lot_step(row.exchange_filters_used),
        route=_route(row, raw, kind),
        min_notional_usd=_min_notional(row.exchange_filters_used),
        position_side=named_position_side(*position_sides) if is_placed else position_side(*position_sides),
        process=process_name(row.hostname, row.pid),
        # A remark that is no text is no reason to drop the order.
        placed_by=row.placed_by if isinstance(row.placed_by, str) and row.placed_by else None,
    )
    if kind is EventKind.CLOSE:
        _read_close(event, row)
    return event


def _read_close(event: OrderEvent, row: _OrderRow) -> None:
    closed_qty, after = number(row.closed_qty), number(row.position_size_after)
    event.closed_qty = None if closed_qty is None else abs(closed_qty)
    event.position_qty_after = None if after is None else abs(after)
    event.realized_pnl_usd = number(row.realizedPnlUsd)
    event.position_side = closed_side(event.position_side, after, number(row.position_size_before))


def closed_side(named: PositionSide | None, after: float | None, before: float | None) -> PositionSide | None:
    """Which position a close is of: the one that it names, else the sign of what is left, or of what was held."""
    if named is not None:
        return named
    signed_qty = after or before
    if not signed_qty:
        return None
    return PositionSide.LONG if signed_qty > 0 else PositionSide.SHORT


def _flat_gross(row: _OrderRow) -> float | None:
    """The gross of a row that is an order by itself, whatever its event type."""
    for value in (row.notional, row.gross, row.quote_notional, row.notional_usd, row.gross_usd):
        if value is not None:
            return positive(abs(number(value) or 0.0))
    return None


def _order_id(row: _OrderRow, raw: Mapping[str, Any]) -> str | None:
    for value in (row.orderId, row.order_id, raw.get("orderId"), row.clientOrderId, row.client_order_id):
        identity = text(value)
        if identity is not None:
            return identity
    return text(row.request_id)


def _is_reduce_only(row: _OrderRow, raw: Mapping[str, Any], attempt_id: str | None) -> bool:
    for value in (row.reduceOnly, row.reduce_only, raw.get("reduceOnly")):
        if value is not None:
            return is_set(value)
    return attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)


def _requested_qty(row: _OrderRow, raw: Mapping[str, Any], kind: EventKind) -> float | None:
    if kind is EventKind.FLAT:
        return magnitude(number(row.qty))
    requested = magnitude(number(row.request_qty)) or magnitude(number(raw.get("origQty")))
    requested = requested or magnitude(number(row.rounded_qty)) or magnitude(number(row.qty))
    # What an ack says was executed counts once its fill is logged, except that nothing executes more than was ordered.
    executed = magnitude(number(row.executedQty)) or magnitude(number(raw.get("executedQty")))
    return executed if executed is not None and executed > (requested or 0.0) else requested


def _executed_qty(row: _OrderRow, raw: Mapping[str, Any]) -> float | None:
    named = (row.executedQty, row.executed_qty, row.filled_qty, row.filledQty, row.cumQty, row.cum_qty)
    for value in (*named, raw.get("executedQty")):
        if value is not None:
            return magnitude(number(value))
    return None


def _avg_price(row: _OrderRow, kind: EventKind) -> float | None:
    if kind is EventKind.FILL:
        return positive(number(row.avgPrice))
    return positive(number(row.price)) if kind is EventKind.FLAT else None


def _status(row: _OrderRow, status_text: str | None, kind: EventKind) -> OrderStatus | None:
    if kind is EventKind.ERROR:
        return None
    if row.accepted is False:
        return OrderStatus.REJECTED
    if status_text is None:
        return OrderStatus.FILLED if kind is EventKind.FLAT else None
    return STATUSES.get(status_text.upper())


def _reason(row: _OrderRow, kind: EventKind) -> str | None:
    if kind is EventKind.ERROR:
        # The class of the exception; its text may hold whole web pages.
        return (text(row.exc) or text(row.reason) or "order_error").split("(", 1)[0][:80]
    return text(row.reason)


def _route(row: _OrderRow, raw: Mapping[str, Any], kind: EventKind) -> Route | None:
    """Where the order went: resting as maker, or crossing as taker. Closes and errors went nowhere."""
    if kind is EventKind.CLOSE:
        return None
    is_maker = (row.maker if row.maker is not None else row.is_maker) if kind is EventKind.FILL else None
    order_type = row.order_type if row.order_type is not None else raw.get("type")
    time_in_force = row.timeInForce if row.timeInForce is not None else raw.get("timeInForce")
    return infer_route(is_maker, order_type, time_in_force)


def _lot_step(filters: Any) -> float | None:
    return _filter(filters, "LOT_SIZE", "stepSize")


def _min_notional(filters: Any) -> float | None:
    """Spot markets name the field otherwise than futures do."""
    return _filter(filters, "MIN_NOTIONAL", "notional") or _filter(filters, "MIN_NOTIONAL", "minNotional")


def _filter(filters: Any, name: str, field: str) -> float | None:
    """A filter of the exchange where the row carries it: evidence, so a bad one is not an error."""
    if not isinstance(filters, dict) or not isinstance(filters.get(name), dict):
        return None
    try:
        return positive(number(filters[name].get(field)))
    except BadFieldError:
        return None
