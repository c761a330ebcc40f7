"""The diff that replaces a known one once late live evidence is known as well."""

from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.evidence import classify_outcome, find_match_method
from pipeline_v6_dagster.compare.folding import merge_orders
from pipeline_v6_dagster.compare.settled import Settled
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff, LiveOutcome, MatchMethod
from pipeline_v6_dagster.domain.live import IntentOrders, OrderEvent, OrderStatus, Veto


def revise(known: Diff, late: IntentOrders, policy: ComparePolicy, *, is_retry: bool = False) -> Diff | None:
    """The diff that replaces `known` once `late` is known as well; None where that changes nothing.

    With `is_retry`, `late` repeats a decision that live had vetoed, under another id.
    """
    decision = known.shadow
    if decision is None:
        return None
    live = known.live
    legs = live.legs if live is not None else ()
    if known.match_method is MatchMethod.TIME and not {leg.order_id for leg in legs} & {
        leg.order_id for leg in late.legs
    }:
        legs = ()  # Ids win: what only time had paired was another order.
    order = merge_orders(legs, late)
    if live is not None and legs:
        if live.side is not None and all(leg.is_reduce_only for leg in late.legs):
            order.side = live.side  # A protective stop is on the other side.
        # Of legs that were known, what names another instrument than the decision.
        if order.symbol == decision.symbol and live.symbol not in (None, decision.symbol):
            order.other_symbol = live.symbol
        if order.side is decision.side and live.side not in (None, decision.side):
            order.other_side = live.side
    is_same_intent = late.intent_id is not None and late.intent_id == decision.intent_id
    method = MatchMethod.INTENT_ID if is_same_intent else MatchMethod.ATTEMPT_ID
    outcome = classify_outcome(order)
    reason = None
    if outcome is LiveOutcome.ERROR:
        reason = (live.reason if live is not None else None) or OrderStatus.REJECTED.value
    arrival_price = live.arrival_price if live is not None else None
    diff = compare_sides(
        Settled(
            decision=decision,
            order=order,
            outcome=outcome,
            method=MatchMethod.TIME if is_retry else method,
            reason=reason,
            arrival_price=arrival_price,
        ),
        policy,
    )
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
    is_late_veto = (
        known.live_outcome is LiveOutcome.ERROR and outcome is LiveOutcome.VETOED and known.match_dt_s is None
    )
    if decision is None or not (known.live_outcome is LiveOutcome.UNRESOLVED or is_late_veto):
        return None
    method = find_match_method(late, decision)
    diff = compare_sides(
        Settled(decision=decision, outcome=outcome, method=method, reason=late.reason, refusal=late), policy
    )
    diff.revision_of = known.decision_id
    return diff


def _evidence(diff: Diff) -> tuple[object, ...]:
    """What a revision would change. Times alone do not count: the executor repeats a fill while it polls."""
    live = diff.live
    if live is None:
        return (diff.live_outcome,)
    sizes = (live.requested_qty, live.executed_qty, live.gross_usd)
    what = (live.symbol, live.side, live.position_side, tuple(leg.placed_by for leg in live.legs))
    return (diff.live_outcome, *sizes, live.avg_price, live.fees_usd, live.status, len(live.legs), *what)
