"""How far a live order is from its shadow decision. Every figure is None where a part of it is missing.

Signs: sizes and dollars are live minus shadow; slippage is positive where it cost money, for either side.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline_v6_dagster.compare.evidence import method_of, outcome_of
from pipeline_v6_dagster.compare.folding import merge_orders
from pipeline_v6_dagster.compare.settlement import Settled, UnmatchedOrder
from pipeline_v6_dagster.compare.shortfall import shortfall_of
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import (
    ComparePolicy,
    Diff,
    LiveOutcome,
    LiveSide,
    MatchMethod,
    MismatchKind,
    ShadowSide,
)
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.domain.live import (
    UNFILLED_ENDS,
    ExchangeFilter,
    IntentOrders,
    Leg,
    OrderEvent,
    OrderStatus,
    Veto,
)

MIXED_ROUTE = "mixed"
# Relative room for binary rounding in "more than one lot step".
_EPSILON = 1e-9


def diff_of(settled: Settled | UnmatchedOrder, policy: ComparePolicy) -> Diff:
    """The diff of a settled decision, or the `live_only` diff of an order that none explains."""
    if isinstance(settled, UnmatchedOrder):
        return _live_only(settled.order, settled.outcome)
    decision, order = settled.decision, settled.order
    live = None
    if order is not None or settled.reason is not None:
        live = live_side(order, decision, settled.reason, settled.arrival_price)
    is_executed = settled.outcome is LiveOutcome.EXECUTED
    sizes = sizes_of(decision, live, settled.exchange, policy)
    impact_usd = finite(_impact_usd(decision, live, is_executed))
    is_mismatch = decision.is_allowed != is_executed
    return Diff(
        symbol=decision.symbol,
        ts=decision.as_of,
        decision_id=decision.decision_id,
        intent_id=decision.intent_id,
        side=decision.side,
        match_method=settled.method,
        match_dt_s=None if order is None else round(order.first_ts - decision.as_of, 6),
        live_outcome=settled.outcome,
        mismatch_kind=_mismatch_kind(decision.is_allowed, is_executed),
        veto_mismatch=is_mismatch,
        size_pct_diff=sizes.size_pct_diff,
        sizing_diff_pct=sizes.sizing_diff_pct,
        is_upsize=sizes.is_upsize,
        slippage_diff_bps=finite(_slippage_diff_bps(decision, live)),
        impact_usd=impact_usd,
        root_cause=None,
        shadow=decision,
        live=live,
        shortfall=shortfall_of(decision, live),
        route_mismatch=None if live is None or None in (live.route, decision.route) else live.route != decision.route,
        mismatch_usd=None if impact_usd is None else abs(impact_usd) if is_mismatch else 0.0,
    )


class Sizes(NamedTuple):
    """How far the sizes of two sides are apart: in percent of the quantity, as a ratio of the gross, and too far."""

    size_pct_diff: float | None
    sizing_diff_pct: float | None
    is_upsize: bool | None


def sizes_of(
    decision: ShadowSide, live: LiveSide | None, exchange: ExchangeFilter | None, policy: ComparePolicy
) -> Sizes:
    """The sizes of a live side against those of a decision."""
    ratio = _sizing_ratio(decision, live)
    lot_step = _lot_step(decision, live, exchange, policy)
    return Sizes(
        finite(_size_pct(decision, live)),
        finite(ratio),
        _is_upsize(decision, live, ratio, policy.upsize_tolerance_ratio, lot_step),
    )


def revise(known: Diff, late: IntentOrders, policy: ComparePolicy) -> Diff | None:
    """The diff that replaces `known` once `late` is known as well; None where that changes nothing."""
    decision = known.shadow
    if decision is None:
        return None
    legs = known.live.legs if known.live is not None else ()
    if known.match_method is MatchMethod.TIME and not {leg.order_id for leg in legs} & {
        leg.order_id for leg in late.legs
    }:
        legs = ()  # Ids win: what only time had paired was another order.
    order = merge_orders(legs, late)
    is_same_intent = late.intent_id is not None and late.intent_id == decision.intent_id
    method = MatchMethod.INTENT_ID if is_same_intent else MatchMethod.ATTEMPT_ID
    outcome = outcome_of(order)
    reason = None
    if outcome is LiveOutcome.ERROR:
        reason = (known.live.reason if known.live is not None else None) or OrderStatus.REJECTED.value
    arrival_price = known.live.arrival_price if known.live is not None else None
    diff = diff_of(Settled(decision, order, outcome, method, reason, arrival_price), policy)
    if _evidence(diff) == _evidence(known):
        return None
    diff.revision_of = known.decision_id
    return diff


def revise_by_row(known: Diff, late: Veto | OrderEvent, policy: ComparePolicy) -> Diff | None:
    """The diff that replaces `known` once a late veto or error is known as well; None where that changes nothing.

    It tells what became of a decision whose live outcome nobody knew, and a veto wins over an error without an order.
    """
    decision = known.shadow
    outcome = LiveOutcome.VETOED if isinstance(late, Veto) else LiveOutcome.ERROR
    is_told = known.live_outcome is LiveOutcome.ERROR and outcome is LiveOutcome.VETOED and known.match_dt_s is None
    if decision is None or not (known.live_outcome is LiveOutcome.UNRESOLVED or is_told):
        return None
    diff = diff_of(Settled(decision, None, outcome, method_of(late, decision), late.reason), policy)
    diff.revision_of = known.decision_id
    return diff


def _evidence(diff: Diff) -> tuple[object, ...]:
    """What a revision would tell anew. Times alone are none: the executor repeats a fill while it polls."""
    live = diff.live
    if live is None:
        return (diff.live_outcome,)
    sizes = (live.requested_qty, live.executed_qty, live.gross_usd)
    return (diff.live_outcome, *sizes, live.avg_price, live.fees_usd, live.status, len(live.legs))


def live_side(
    order: IntentOrders | None, decision: ShadowSide | None, reason: str | None, arrival_price: float | None = None
) -> LiveSide:
    """One decision's live side. Sizes are those of the opening legs, unless the intent itself only reduces."""
    legs = tuple(order.legs) if order is not None else ()
    counts_reduce = decision is None or decision.is_reduce_only
    own = [leg for leg in legs if counts_reduce or not leg.is_reduce_only]
    requested_qty = _requested_qty(own)
    price = decision.price if decision is not None else None
    gross_usd = requested_qty * price if requested_qty is not None and price else _sum(leg.gross_usd for leg in own)
    priced = [(leg.executed_qty, leg.avg_price) for leg in own if leg.executed_qty and leg.avg_price]
    executed_gross_usd = sum(qty * avg for qty, avg in priced) if priced else None
    priced_qty = sum(qty for qty, _ in priced)
    return LiveSide(
        legs=legs,
        requested_qty=finite(requested_qty),
        executed_qty=finite(_executed_qty(own)),
        avg_price=finite(executed_gross_usd / priced_qty) if executed_gross_usd is not None else None,
        executed_gross_usd=finite(executed_gross_usd),
        gross_usd=finite(gross_usd),
        fees_usd=finite(_sum(leg.fees_usd for leg in legs)),
        first_ack_ts=min((leg.first_ack_ts for leg in legs if leg.first_ack_ts is not None), default=None),
        last_fill_ts=max((leg.last_fill_ts for leg in legs if leg.last_fill_ts is not None), default=None),
        status=own[-1].status if own else None,
        reason=reason,
        arrival_price=arrival_price,
        route=_route(own),
    )


def _route(legs: Sequence[Leg]) -> str | None:
    """Where the legs went; None where no row says it."""
    routes = {leg.route for leg in legs if leg.route is not None}
    if len(routes) > 1:
        return MIXED_ROUTE
    return next(iter(routes)).value if routes else None


def _requested_qty(legs: Sequence[Leg]) -> float | None:
    """What was asked of the exchange: the last order's request, and of those before it what they executed.

    An order that the exchange refused was never placed; it counts only where there is no other.
    """
    placed = [leg for leg in legs if not leg.is_rejected] or legs
    if not placed:
        return None
    last = placed[-1].requested_qty if placed[-1].requested_qty is not None else placed[-1].executed_qty
    if last is None:
        return None
    return sum(leg.executed_qty or 0.0 for leg in placed[:-1]) + last


def _executed_qty(legs: Sequence[Leg]) -> float | None:
    """Sum of the fills; 0 only where every order is known to have ended without one."""
    if not legs:
        return None
    if all(leg.executed_qty is None for leg in legs):
        return 0.0 if all(leg.status in UNFILLED_ENDS for leg in legs) else None
    return sum(leg.executed_qty or 0.0 for leg in legs)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mismatch_kind(is_allowed: bool, is_executed: bool) -> MismatchKind:
    if is_allowed:
        return MismatchKind.MATCH if is_executed else MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT
    return MismatchKind.SHADOW_VETOED_LIVE_EXECUTED if is_executed else MismatchKind.MATCH_VETO


def _size_pct(decision: ShadowSide, live: LiveSide | None) -> float | None:
    if live is None or live.executed_qty is None or not decision.sized_qty:
        return None
    return 100 * (live.executed_qty - decision.sized_qty) / decision.sized_qty


def _sizing_ratio(decision: ShadowSide, live: LiveSide | None) -> float | None:
    """Also where the shadow denied: an order that v6 would have refused and live doubled is still an upsize."""
    shadow_usd = decision.gross_usd
    if live is None or live.gross_usd is None or not shadow_usd:
        return None
    return (live.gross_usd - shadow_usd) / shadow_usd


def _lot_step(
    decision: ShadowSide, live: LiveSide | None, exchange: ExchangeFilter | None, policy: ComparePolicy
) -> float | None:
    """The configured lot step, else the exchange's own filter, where an order of the symbol carries it."""
    lot_step = policy.lot_steps.get(decision.symbol)
    if lot_step is None and live is not None:
        lot_step = next((leg.lot_step for leg in live.legs if leg.lot_step is not None), None)
    return exchange.lot_step if lot_step is None and exchange is not None else lot_step


def _is_upsize(
    decision: ShadowSide,
    live: LiveSide | None,
    sizing_ratio: float | None,
    tolerance_ratio: float,
    lot_step: float | None,
) -> bool | None:
    if live is None or sizing_ratio is None:
        return None
    if sizing_ratio <= tolerance_ratio:
        return False
    if lot_step is None or not decision.price or live.gross_usd is None or decision.gross_usd is None:
        return True
    excess_qty = (live.gross_usd - decision.gross_usd) / decision.price
    return excess_qty > lot_step * (1 + _EPSILON)


def _slippage_diff_bps(decision: ShadowSide, live: LiveSide | None) -> float | None:
    """Perold's implementation shortfall per unit, against the decision price, live minus expected."""
    expected = decision.expected_slippage_bps
    if live is None or live.avg_price is None or not decision.price or decision.side is None or expected is None:
        return None
    sign = 1.0 if decision.side is Side.BUY else -1.0
    return sign * (live.avg_price - decision.price) / decision.price * 1e4 - expected


def _impact_usd(decision: ShadowSide, live: LiveSide | None, is_executed: bool) -> float | None:
    """Gross dollars that live put on more than v6 would have; a side that did not trade is a known 0."""
    shadow_usd = decision.gross_usd if decision.is_allowed else 0.0
    live_usd = (live.gross_usd if live is not None else None) if is_executed else 0.0
    return None if shadow_usd is None or live_usd is None else live_usd - shadow_usd


def _live_only(order: IntentOrders, outcome: LiveOutcome) -> Diff:
    live = live_side(order, None, None)
    return Diff(
        symbol=order.symbol,
        ts=order.first_ts,
        decision_id=None,
        intent_id=order.intent_id,
        side=order.side,
        match_method=None,
        match_dt_s=None,
        live_outcome=outcome,
        mismatch_kind=MismatchKind.LIVE_ONLY,
        veto_mismatch=None,
        size_pct_diff=None,
        sizing_diff_pct=None,
        is_upsize=None,
        slippage_diff_bps=None,
        impact_usd=live.executed_gross_usd if live.executed_gross_usd is not None else live.gross_usd,
        root_cause=None,
        shadow=None,
        live=live,
    )
