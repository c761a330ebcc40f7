"""The live side of one decision: what its orders asked for and executed."""

from collections.abc import Iterable, Sequence

from pipeline_v6_dagster.compare.quantities import (
    OpeningPart,
    count_legs,
    sum_executed,
    sum_gross,
    sum_requested,
)
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.comparison import LiveSide, ShadowSide
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.domain.live import IntentOrders, Leg, OrderEvent, OrderStatus, Veto

MIXED_ROUTE = "mixed"


def describe_live(
    order: IntentOrders | None,
    decision: ShadowSide | None,
    reason: str | None,
    arrival_price: float | None = None,
    refusal: Veto | OrderEvent | None = None,
) -> LiveSide:
    """One decision's live side. Sizes are those of the opening legs, unless the intent itself only reduces.

    Where legs differ in symbol, side or position side, what differs from the decision is given.
    """
    legs = tuple(order.legs) if order is not None else ()
    if order is not None and len(legs) == 1:
        described = _describe_one_leg(order, legs[0], decision, reason, arrival_price)
        if described is not None:
            return described
    parts = count_legs(legs, counts_reduce=decision is None or decision.is_reduce_only)
    priced = [(part.executed_qty, part.leg.avg_price) for part in parts if part.executed_qty and part.leg.avg_price]
    executed_gross_usd = sum(qty * avg for qty, avg in priced) if priced else None
    priced_qty = sum(qty for qty, _ in priced)
    symbol, side = _find_instrument(order, decision, refusal)
    return LiveSide(
        legs=legs,
        requested_qty=finite(sum_requested(parts)),
        executed_qty=finite(sum_executed(parts)),
        avg_price=finite(executed_gross_usd / priced_qty) if executed_gross_usd is not None else None,
        executed_gross_usd=finite(executed_gross_usd),
        gross_usd=finite(sum_gross(parts, decision.price if decision is not None else None)),
        fees_usd=finite(_sum(leg.fees_usd for leg in legs)),
        first_ack_ts=min((leg.first_ack_ts for leg in legs if leg.first_ack_ts is not None), default=None),
        last_fill_ts=max((leg.last_fill_ts for leg in legs if leg.last_fill_ts is not None), default=None),
        status=parts[-1].leg.status if parts else None,
        reason=reason,
        arrival_price=arrival_price,
        route=_route(parts),
        symbol=symbol,
        side=side,
        position_side=_find_position_side(parts, decision, order),
    )


def _describe_one_leg(
    order: IntentOrders, leg: Leg, decision: ShadowSide | None, reason: str | None, arrival_price: float | None
) -> LiveSide | None:
    """What `describe_live` says of an opening order that was filled, as most are; None of any other.

    Rows hold finite numbers, so only what is computed of them may be beyond any.
    """
    placed_qty, executed_qty, avg_price = leg.requested_qty, leg.executed_qty, leg.avg_price
    if leg.status is not OrderStatus.FILLED or leg.is_reduce_only or not placed_qty or not executed_qty:
        return None
    if decision is None or not decision.price or not avg_price or order.other_position_side is not None:
        return None
    placed_qty = executed_qty if executed_qty > placed_qty else placed_qty
    executed_gross_usd = executed_qty * avg_price
    symbol, side = _find_instrument(order, decision, None)
    return LiveSide(
        legs=(leg,),
        requested_qty=placed_qty,
        executed_qty=executed_qty,
        avg_price=finite(executed_gross_usd / executed_qty),
        executed_gross_usd=finite(executed_gross_usd),
        gross_usd=finite(placed_qty * decision.price),
        fees_usd=leg.fees_usd,
        first_ack_ts=leg.first_ack_ts,
        last_fill_ts=leg.last_fill_ts,
        status=leg.status,
        reason=reason,
        arrival_price=arrival_price,
        route=None if leg.route is None else leg.route.value,
        symbol=symbol,
        side=side,
        position_side=leg.position_side,
    )


def find_decided_position(decision: ShadowSide) -> PositionSide | None:
    """The position that a decision changes: the one it names, else the one that its side implies."""
    return decision.position_side or decision.held_side


def _find_instrument(
    order: IntentOrders | None, decision: ShadowSide | None, refusal: Veto | OrderEvent | None
) -> tuple[str | None, Side | None]:
    if order is None:
        # A veto names what live decided not to do.
        return (refusal.symbol, refusal.side) if isinstance(refusal, OrderEvent) else (None, None)
    symbol, side = order.symbol, order.side
    if decision is not None and symbol == decision.symbol and order.other_symbol is not None:
        symbol = order.other_symbol
    if decision is not None and side is decision.side and order.other_side is not None:
        side = order.other_side
    return symbol, side


def _find_position_side(
    parts: Sequence[OpeningPart], decision: ShadowSide | None, order: IntentOrders | None
) -> PositionSide | None:
    named = [part.leg.position_side for part in parts if part.leg.position_side is not None]
    if order is not None and order.other_position_side is not None:
        named.append(order.other_position_side)
    decided = None if decision is None else find_decided_position(decision)
    return next((one for one in named if one is not decided), named[0] if named else None)


def _route(parts: Sequence[OpeningPart]) -> str | None:
    """Where the legs went; None where no row says it."""
    routes = {part.leg.route for part in parts if part.leg.route is not None}
    if len(routes) > 1:
        return MIXED_ROUTE
    return next(iter(routes)).value if routes else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
