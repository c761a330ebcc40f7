"""`orders_executed.jsonl`: a row to an `OrderEvent`.

Two shapes of ack occur: one with the order's fields at its top level, and an older one whose symbol, side and
quantity stand only in `raw`, the exchange's answer. Closes and the older `order_executed` rows repeat what acks
and fills say and are dropped.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES
from pipeline_v6_dagster.domain.decision import Route
from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, EventKind, OrderEvent, OrderStatus
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import (
    BadFieldError,
    decode_row,
    epoch_s,
    exchange_number,
    number,
    text,
)

_KINDS = {
    "order_ack": EventKind.ACK,
    "order_fill": EventKind.FILL,
    "order_error": EventKind.ERROR,
}
# Repeats what the order's fills said, so it is no order even where it carries a gross.
_CLOSE = "order_close"
_STATUSES = {status.value: status for status in OrderStatus}
_STATUSES["CANCELLED"] = OrderStatus.CANCELED
_DRY_RUN = "DRY"
_ROUTES = {
    "LIMIT": Route.MAKER,
    "LIMIT_MAKER": Route.MAKER,
    "POST_ONLY": Route.MAKER,
    "MARKET": Route.TAKER,
    "STOP_MARKET": Route.TAKER,
    "TAKE_PROFIT_MARKET": Route.TAKER,
}


class _OrderRow(msgspec.Struct):
    """Numbers are read late: a row of an event type that is not used may hold anything in them."""

    event_type: Any = None
    event: Any = None
    ts: Any = None
    ts_ack: Any = None
    ts_fill_last: Any = None
    local_ts: Any = None
    symbol: Any = None
    side: Any = None
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
    avgPrice: Any = None
    price: Any = None
    fee_total: Any = None
    status: Any = None
    reduceOnly: Any = None
    reduce_only: Any = None
    order_type: Any = None
    accepted: Any = None
    dry_run: Any = None
    reason: Any = None
    exc: Any = None
    raw: Any = None
    exchange_filters_used: Any = None
    notional: Any = None
    gross: Any = None
    quote_notional: Any = None
    notional_usd: Any = None
    gross_usd: Any = None


class _UsualRow(msgspec.Struct, gc=False):
    """The usual shape of an ack, a fill and a close, checked while it is decoded; `Any` fields are unusual in it."""

    event_type: str
    ts: str
    symbol: str
    orderId: str | int
    intent_id: str | None = None
    attempt_id: str | None = None
    side: str | None = None
    request_qty: float | None = None
    executedQty: float | None = None
    avgPrice: float | None = None
    fee_total: float | None = None
    status: str | None = None
    reduceOnly: bool | None = None
    order_type: str | None = None
    event: Any = None
    raw: Any = None
    reduce_only: Any = None
    accepted: Any = None
    dry_run: Any = None
    reason: Any = None
    exchange_filters_used: Any = None
    rounded_qty: Any = None
    qty: Any = None


_decoder = msgspec.json.Decoder(_OrderRow)
_usual_decoder = msgspec.json.Decoder(_UsualRow)
_NOT_AN_ORDER = Unusable(IgnoredRow.UNKNOWN_EVENT)


def parse_order_event(line: bytes) -> OrderEvent | Unusable:
    """One event of an order, or why the row is not used."""
    # Most rows have one shape. Those are read in a third of the time; every other row is read field by field.
    try:
        usual = _usual_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse_any_order_event(line)
    if usual.event_type == _CLOSE and usual.event is None:
        return _NOT_AN_ORDER
    event = _usual_event(usual)
    return parse_any_order_event(line) if event is None else event


def _usual_event(row: _UsualRow) -> OrderEvent | None:
    """The event of a row of the usual shape; None where the row has anything unusual in it."""
    kind = _KINDS.get(row.event_type)
    if kind is None or kind is EventKind.ERROR or not row.symbol or row.orderId == "" or row.status == _DRY_RUN:
        return None
    if not (
        row.raw is None
        and row.reduce_only is None
        and row.accepted is None
        and row.dry_run is None
        and row.reason is None
        and row.exchange_filters_used is None
        and row.rounded_qty is None
        and row.qty is None
    ):
        return None
    ts = epoch_s(row.ts)
    if ts is None:
        return None
    is_fill = kind is EventKind.FILL
    attempt_id = row.attempt_id or None
    is_reduce_only = row.reduceOnly
    if is_reduce_only is None:
        is_reduce_only = attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)
    order_id = row.orderId
    side, status = row.side, row.status
    return OrderEvent(
        kind,
        ts,
        row.symbol,
        SIDES.get(side.upper()) if side else None,
        row.intent_id or None,
        attempt_id,
        order_id if isinstance(order_id, str) else str(order_id),
        is_reduce_only,
        None if is_fill else _positive(row.request_qty),
        _positive(row.executedQty) if is_fill else None,
        _positive(row.avgPrice) if is_fill else None,
        row.fee_total,
        None,
        _STATUSES.get(status.upper()) if status else None,
        None,
        None,
        _ROUTES.get(row.order_type) if row.order_type else None,
    )


def parse_any_order_event(line: bytes) -> OrderEvent | Unusable:
    """The same of a row of any shape, field by field."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    try:
        return _event(row)
    except BadFieldError:
        return Unusable(Rejection.BAD_FIELD)


def _event(row: _OrderRow) -> OrderEvent | Unusable:
    raw: Mapping[str, Any] = row.raw if isinstance(row.raw, dict) else {}
    event_type = row.event_type if row.event_type is not None else row.event
    kind = _KINDS.get(event_type) if isinstance(event_type, str) else None
    gross_usd = None
    if kind is None:
        gross_usd = _flat_gross(row) if event_type != _CLOSE else None
        if gross_usd is None:
            return Unusable(IgnoredRow.UNKNOWN_EVENT)
        kind = EventKind.FLAT
    status_text = text(row.status) or text(raw.get("status"))
    if row.dry_run is True or raw.get("dryRun") is True or status_text == _DRY_RUN or row.reason == "dry_run":
        return Unusable(IgnoredRow.DRY_RUN)
    ts = _first_time(row.ts, row.local_ts, row.ts_ack, row.ts_fill_last)
    if ts is None:
        return Unusable(Rejection.NO_TIME)
    symbol = text(row.symbol) or text(raw.get("symbol"))
    intent_id, attempt_id = text(row.intent_id), text(row.attempt_id)
    order_id = _order_id(row, raw)
    if kind is EventKind.ERROR or kind is EventKind.FLAT:
        order_id = order_id or f"{kind}@{ts!r}"
    elif order_id is None:
        return Unusable(IgnoredRow.NO_ORDER_ID)
    if symbol is None and intent_id is None and attempt_id is None:
        return Unusable(IgnoredRow.NO_SYMBOL)
    side_text = text(row.side) or text(raw.get("side"))
    return OrderEvent(
        kind=kind,
        ts=ts,
        symbol=symbol,
        side=SIDES.get(side_text.upper()) if side_text else None,
        intent_id=intent_id,
        attempt_id=attempt_id,
        order_id=order_id or "",
        is_reduce_only=_is_reduce_only(row, raw, attempt_id),
        requested_qty=_requested_qty(row, raw, kind),
        executed_qty=_positive(number(row.executedQty)) if kind is EventKind.FILL else None,
        avg_price=_avg_price(row, kind),
        fees_usd=number(row.fee_total),
        gross_usd=gross_usd,
        status=_status(row, status_text, kind),
        reason=_reason(row, kind),
        lot_step=_lot_step(row.exchange_filters_used),
        route=_route(row.order_type, raw),
        min_notional_usd=_min_notional(row.exchange_filters_used),
    )


def _flat_gross(row: _OrderRow) -> float | None:
    """The gross of a row that is an order by itself, whatever its event type."""
    for value in (row.notional, row.gross, row.quote_notional, row.notional_usd, row.gross_usd):
        if value is not None:
            return _positive(abs(number(value) or 0.0))
    return None


def _first_time(*values: Any) -> float | None:
    for value in values:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            moment = epoch_s(value)
            if moment is not None:
                return moment
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
            return value is True or str(value).lower() == "true"
    return attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)


def _requested_qty(row: _OrderRow, raw: Mapping[str, Any], kind: EventKind) -> float | None:
    if kind is EventKind.FILL:
        return None
    if kind is EventKind.FLAT:
        return _positive(number(row.qty))
    requested = _positive(number(row.request_qty)) or _positive(exchange_number(raw.get("origQty")))
    return requested or _positive(number(row.rounded_qty)) or _positive(number(row.qty))


def _avg_price(row: _OrderRow, kind: EventKind) -> float | None:
    if kind is EventKind.FILL:
        return _positive(number(row.avgPrice))
    return _positive(number(row.price)) if kind is EventKind.FLAT else None


def _status(row: _OrderRow, status_text: str | None, kind: EventKind) -> OrderStatus | None:
    if kind is EventKind.ERROR:
        return None
    if row.accepted is False:
        return OrderStatus.REJECTED
    if status_text is None:
        return OrderStatus.FILLED if kind is EventKind.FLAT else None
    return _STATUSES.get(status_text.upper())


def _reason(row: _OrderRow, kind: EventKind) -> str | None:
    if kind is EventKind.ERROR:
        # The class of the exception; its text may hold whole web pages.
        return (text(row.exc) or text(row.reason) or "order_error").split("(", 1)[0][:80]
    return text(row.reason)


def _route(order_type: Any, raw: Mapping[str, Any]) -> Route | None:
    """Where the order went: resting as maker, or crossing as taker. Evidence, so a type that is not known is none."""
    named = order_type if order_type is not None else raw.get("type")
    return _ROUTES.get(named) if isinstance(named, str) else None


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
        return _positive(exchange_number(filters[name].get(field)))
    except BadFieldError:
        return None


def _positive(value: float | None) -> float | None:
    """A size or price; zero means that the exchange has not filled it in."""
    return value if value is not None and value > 0 else None
