"""From order events to live orders: events folded by order, orders by intent.

Fills are cumulative per order and repeat while the executor polls, so the last one holds. An exchange's order
id is unique within an intent at best, so orders are only ever looked up within theirs.
"""

from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, EventKind, IntentOrders, Leg, OrderEvent, OrderStatus

_GOING_ON = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


def own_attempt_id(attempt_id: str | None) -> str | None:
    """The attempt that a leg belongs to."""
    return attempt_id.removesuffix(REDUCE_SUFFIX) if attempt_id else None


def group_key(event: OrderEvent) -> str:
    """Names the live order that an event belongs to."""
    if event.intent_id is not None:
        return f"i:{event.intent_id}"
    if event.attempt_id is not None:
        return f"a:{own_attempt_id(event.attempt_id)}"
    return f"o:{event.symbol}:{event.side}:{event.order_id}"


def start_order(event: OrderEvent) -> IntentOrders:
    """The live order of its first event."""
    order = IntentOrders(
        symbol=event.symbol,
        side=event.side,
        intent_id=event.intent_id,
        attempt_id=own_attempt_id(event.attempt_id),
        legs=[],
    )
    fold_event(order, event)
    return order


def fold_event(order: IntentOrders, event: OrderEvent) -> bool:
    """Add an event to its order, in place; whether it is the first of its leg."""
    order.symbol = order.symbol or event.symbol
    order.side = order.side or event.side
    for leg in order.legs:
        if leg.order_id == event.order_id:
            _fold_into(leg, event)
            return False
    leg = Leg(event.order_id, is_reduce_only=False, first_ts=event.ts, last_ts=event.ts)
    order.legs.append(leg)
    _fold_into(leg, event)
    return True


def _fold_into(leg: Leg, event: OrderEvent) -> None:
    ts, attempt_id = event.ts, event.attempt_id
    was_final = leg.is_final
    if event.is_reduce_only or (attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)):
        leg.is_reduce_only = True
    leg.lot_step = leg.lot_step or event.lot_step
    leg.route = leg.route or event.route
    if event.kind is EventKind.FILL:
        _fold_fill(leg, event)
    else:
        _fold_placed(leg, event)
    if event.status is not None and not (was_final and event.status in _GOING_ON):
        leg.status = event.status  # An ack or a poll that is logged after the end does not reopen the order.
    if ts < leg.first_ts:
        leg.first_ts = ts
    if ts > leg.last_ts:
        leg.last_ts = ts


def _fold_placed(leg: Leg, event: OrderEvent) -> None:
    if event.requested_qty is not None:
        leg.requested_qty = event.requested_qty
    if leg.first_ack_ts is None:
        leg.first_ack_ts = event.ts
    if event.kind is EventKind.FLAT:
        leg.gross_usd = event.gross_usd
        if event.status is OrderStatus.FILLED:  # No fill row follows; of any other status, no fill is known.
            leg.executed_qty = event.requested_qty
            leg.avg_price = event.avg_price


def _fold_fill(leg: Leg, event: OrderEvent) -> None:
    if event.executed_qty is None:
        return
    before = leg.executed_qty or 0.0
    if event.executed_qty > before:
        leg.executed_qty = event.executed_qty
        leg.avg_price = event.avg_price
        leg.fees_usd = event.fees_usd
        leg.last_fill_ts = event.ts
    elif event.executed_qty == before:  # A repeat may tell more, but is no other fill.
        leg.avg_price = event.avg_price or leg.avg_price
        leg.fees_usd = leg.fees_usd if event.fees_usd is None else event.fees_usd


def adopt_order(order: IntentOrders, early: IntentOrders) -> None:
    """Add what was logged before its intent was known to the order of that intent, in place."""
    order.symbol = order.symbol or early.symbol
    order.side = order.side or early.side
    order.legs = merge_orders(tuple(order.legs), early).legs


def merge_orders(known: tuple[Leg, ...], late: IntentOrders) -> IntentOrders:
    """A live order as it was known, with what was logged later. Neither input is changed."""
    legs = {leg.order_id: leg for leg in known}
    for leg in late.legs:
        before = legs.get(leg.order_id)
        legs[leg.order_id] = leg if before is None else _merge_legs(before, leg)
    return IntentOrders(late.symbol, late.side, late.intent_id, late.attempt_id, list(legs.values()))


def _merge_legs(before: Leg, late: Leg) -> Leg:
    is_outdated = (late.executed_qty or 0.0) < (before.executed_qty or 0.0)
    fill, other = (before, late) if is_outdated else (late, before)
    is_same_fill = late.executed_qty == before.executed_qty
    keeps_status = before.is_final and late.status in _GOING_ON
    return Leg(
        order_id=before.order_id,
        is_reduce_only=before.is_reduce_only or late.is_reduce_only,
        requested_qty=late.requested_qty or before.requested_qty,
        executed_qty=fill.executed_qty,
        avg_price=fill.avg_price or (other.avg_price if is_same_fill else None),
        fees_usd=other.fees_usd if fill.fees_usd is None and is_same_fill else fill.fees_usd,
        gross_usd=late.gross_usd or before.gross_usd,
        status=before.status if keeps_status else late.status or before.status,
        lot_step=before.lot_step or late.lot_step,
        first_ts=min(before.first_ts, late.first_ts),
        last_ts=max(before.last_ts, late.last_ts),
        first_ack_ts=before.first_ack_ts if before.first_ack_ts is not None else late.first_ack_ts,
        last_fill_ts=before.last_fill_ts if is_same_fill else fill.last_fill_ts,
        route=before.route or late.route,
    )
