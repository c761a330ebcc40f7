"""From order events to live orders: events folded by order, orders by intent.

Fills are cumulative per order and repeat while the executor polls, so the last one holds. An exchange's order
id is unique within an intent at best, so orders are only ever looked up within theirs. Executors that restart use
order ids again: a NEW ack of an order that had ended starts another leg.
"""

from dataclasses import replace

from pipeline_v6_dagster.domain.live import (
    ACK,
    ENDED,
    FILL,
    FLAT,
    REDUCE_SUFFIX,
    IntentOrders,
    Leg,
    OrderEvent,
    OrderStatus,
)

# What an ack says of an order that has just begun; None where it does not say.
_BEGINNINGS = frozenset(
    {None, OrderStatus.NEW, OrderStatus.PENDING_NEW, OrderStatus.NEW_INSURANCE, OrderStatus.NEW_ADL}
)
_FILLED = OrderStatus.FILLED
_GOING_ON = _BEGINNINGS | {OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL}


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


def starts_order(event: OrderEvent) -> bool:
    """Whether a row is the ack of an order that has just begun."""
    return event.kind is ACK and event.status in _BEGINNINGS


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


def fold_event(order: IntentOrders, event: OrderEvent) -> Leg:
    """Add an event to its order, in place. Returns the leg that it is of; one that it starts is the order's last."""
    if event.symbol is not None and event.symbol != order.symbol:
        if order.symbol is None:
            order.symbol = event.symbol
        elif order.other_symbol is None:
            order.other_symbol = event.symbol
    if event.side is not None and event.side is not order.side:
        if order.side is None:
            order.side = event.side
        elif order.other_side is None and not event.is_reduce_only:  # A protective stop is on the other side.
            order.other_side = event.side
    if order.position_side is None:
        order.position_side = event.position_side
    known = find_leg(order, event)
    if known is not None and not _is_used_again(known, event):
        if event.position_side is not None and known.position_side not in (None, event.position_side):
            order.other_position_side = event.position_side
        _fold_into(known, event)
        return known
    leg = Leg(order_id=event.order_id, is_reduce_only=False, first_ts=event.ts, last_ts=event.ts)
    order.legs.append(leg)
    _fold_into(leg, event)
    return leg


def find_leg(order: IntentOrders, event: OrderEvent) -> Leg | None:
    """The leg that an event is of: of several with its order id the newest that had begun by then."""
    found = None
    for leg in reversed(order.legs):
        if leg.order_id == event.order_id:
            found = leg
            if event.ts >= leg.first_ts:
                return leg
    return found


def _is_used_again(leg: Leg, event: OrderEvent) -> bool:
    """Whether an event gives the id of an order that has ended to another order.

    A repeated line has the time of the ack that it repeats, and an ack may come after the fill of its own order.
    """
    return (
        leg.status in ENDED
        and leg.first_ack_ts is not None
        and starts_order(event)
        and event.ts >= leg.last_ts
        and event.ts != leg.first_ack_ts
    )


def _fold_into(leg: Leg, event: OrderEvent) -> None:
    ts, attempt_id = event.ts, event.attempt_id
    was_final = leg.status in ENDED and leg.is_final
    if event.is_reduce_only or (attempt_id is not None and attempt_id.endswith(REDUCE_SUFFIX)):
        leg.is_reduce_only = True
    if event.lot_step is not None:
        leg.lot_step = leg.lot_step or event.lot_step
    if leg.route is None:
        leg.route = event.route
    if leg.position_side is None:
        leg.position_side = event.position_side
    if event.placed_by is not None:
        leg.placed_by = leg.placed_by or event.placed_by
    if event.kind is FILL:
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
    requested_qty = event.requested_qty
    if requested_qty is not None and (leg.requested_qty is None or requested_qty > leg.requested_qty):
        leg.requested_qty = requested_qty
    if leg.first_ack_ts is None:
        leg.first_ack_ts = event.ts
    if event.kind is FLAT:
        leg.gross_usd = event.gross_usd
        if event.status is _FILLED:  # No fill row follows; of any other status, no fill is known.
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


def reject_leg(order: IntentOrders, error: OrderEvent) -> None:
    """An error after an ack ends its order as REJECTED, in place: the one it names, else the only one that is open."""
    named = [leg for leg in order.legs if leg.order_id == error.order_id]
    still_open = [leg for leg in named or order.legs if leg.status not in ENDED]
    if len(still_open) == 1:
        leg = still_open[0]
        leg.status = OrderStatus.REJECTED
        leg.last_ts = max(leg.last_ts, error.ts)


def copy_order(order: IntentOrders) -> IntentOrders:
    """An order of its own with the same legs, none of them shared."""
    return replace(order, legs=[replace(leg) for leg in order.legs])


def adopt_order(order: IntentOrders, early: IntentOrders) -> None:
    """Add what was logged before its intent was known to the order of that intent, in place."""
    order.symbol = order.symbol or early.symbol
    order.side = order.side or early.side
    order.position_side = order.position_side or early.position_side
    order.legs = merge_orders(tuple(order.legs), early).legs


def merge_orders(known: tuple[Leg, ...], late: IntentOrders) -> IntentOrders:
    """A live order as it was known, with what was logged later. Neither input is changed."""
    legs = list(known)
    other_position_side = late.other_position_side
    for leg in late.legs:
        place = next((place for place in reversed(range(len(legs))) if legs[place].order_id == leg.order_id), None)
        if place is None or _is_another_order(legs[place], leg):
            legs.append(leg)
        else:
            if leg.position_side is not None and legs[place].position_side not in (None, leg.position_side):
                other_position_side = leg.position_side
            legs[place] = _merge_legs(legs[place], leg)
    return replace(late, legs=legs, other_position_side=other_position_side)


def _is_another_order(before: Leg, late: Leg) -> bool:
    """`_is_used_again` of a leg of its own. One that holds nothing but an end is that of the known order."""
    if before.status not in ENDED or before.first_ack_ts is None or late.first_ack_ts is None:
        return False
    has_begun = late.status in _GOING_ON or late.last_ts > late.first_ack_ts
    return has_begun and late.first_ack_ts >= before.last_ts and late.first_ack_ts != before.first_ack_ts


def _merge_legs(before: Leg, late: Leg) -> Leg:
    is_outdated = (late.executed_qty or 0.0) < (before.executed_qty or 0.0)
    fill, other = (before, late) if is_outdated else (late, before)
    is_same_fill = late.executed_qty == before.executed_qty
    keeps_status = before.is_final and late.status in _GOING_ON
    requests = [qty for qty in (before.requested_qty, late.requested_qty) if qty is not None]
    return Leg(
        order_id=before.order_id,
        is_reduce_only=before.is_reduce_only or late.is_reduce_only,
        requested_qty=max(requests, default=None),
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
        position_side=before.position_side or late.position_side,
        held_qty=before.held_qty if before.is_reduce_only else late.held_qty,
        placed_by=before.placed_by or late.placed_by,
    )
