"""What an event of an order tells of the account. The comparison pairs the same events."""

from pipeline_v6_dagster.domain.account_events import (
    AccountEvent,
    OrderEnded,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
)
from pipeline_v6_dagster.domain.decision import Route
from pipeline_v6_dagster.domain.live import CLOSE, ERROR, FILL, FLAT, UNFILLED_ENDS, OrderEvent, OrderStatus
from pipeline_v6_dagster.domain.position_book import order_key

_REJECTED, _FILLED, _TAKER = OrderStatus.REJECTED, OrderStatus.FILLED, Route.TAKER


def account_event(event: OrderEvent) -> AccountEvent | None:
    """What `event` changes; None for one that names no symbol, or tells of no fill and no end.

    An error counts without a symbol too, and so does an order that the exchange refused. A flat row is an order that
    is filled as a whole where its status says so.
    """
    kind, symbol, key = event.kind, event.symbol, order_key(event.order_id, event.intent_id, event.attempt_id)
    status = event.status
    if kind is ERROR or (status is _REJECTED and not event.executed_qty):
        return OrderFailed(
            ts=event.ts, symbol=symbol, order_key=key, intent_id=event.intent_id, attempt_id=event.attempt_id
        )
    if not symbol:
        return None
    if kind is CLOSE:
        return PositionReduced(
            ts=event.ts,
            symbol=symbol,
            order_key=key,
            position_side=event.position_side,
            closed_qty=event.closed_qty,
            remaining_qty=event.position_qty_after,
            pnl_usd=event.realized_pnl_usd,
        )
    executed_qty = event.executed_qty
    if kind is FLAT and status is _FILLED:
        executed_qty = event.requested_qty
    if executed_qty is not None:
        return OrderFilled(
            ts=event.ts,
            symbol=symbol,
            order_key=key,
            is_reduce_only=event.is_reduce_only,
            side=event.side,
            position_side=event.position_side,
            executed_qty=executed_qty,
            avg_price=event.avg_price,
            status=status,
            intent_id=event.intent_id,
            attempt_id=event.attempt_id,
        )
    if kind is FILL:
        return OrderEnded(event.ts, symbol, key, status) if status in UNFILLED_ENDS else None
    return OrderPlaced(
        ts=event.ts,
        symbol=symbol,
        order_key=key,
        is_reduce_only=event.is_reduce_only,
        side=event.side,
        position_side=event.position_side,
        requested_qty=event.requested_qty,
        status=status,
        intent_id=event.intent_id,
        attempt_id=event.attempt_id,
        is_immediate=event.route is _TAKER,
    )
