"""What one piece of live evidence says: its outcome, when it is final, what pairs it."""

from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.domain.comparison import LiveOutcome, MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import ENDED, IntentOrders, OrderEvent, OrderStatus, Veto


def classify_outcome(order: IntentOrders) -> LiveOutcome:
    """Executed where an order was placed; an error where the exchange refused all of it."""
    for leg in order.legs:
        if leg.status is not OrderStatus.REJECTED or leg.executed_qty:
            return LiveOutcome.EXECUTED
    return LiveOutcome.ERROR


def explain_refusal(order: IntentOrders, veto: Veto | None, error: OrderEvent | None) -> str | None:
    """Why an order that the exchange refused was not executed: the veto's reason, the error's, or its status."""
    if classify_outcome(order) is LiveOutcome.EXECUTED:
        return None
    return (veto.reason if veto else None) or (error.reason if error else None) or OrderStatus.REJECTED.value


def find_final_ts(order: IntentOrders, is_reduce_only: bool, grace_s: float) -> float | None:
    """When nothing more of an order was to come; None while something is.

    A flip is not final with its reduce leg alone. After a leg that was not filled and after a reduce leg, another
    order of the intent may follow within the grace.
    """
    final_ts = 0.0
    has_own = False
    for leg in order.legs:
        if leg.status not in ENDED or not leg.is_final:
            return None
        ts = leg.last_ts
        if leg.is_reduce_only or leg.status is not OrderStatus.FILLED:
            ts += grace_s
        if ts > final_ts:
            final_ts = ts
        if is_reduce_only or not leg.is_reduce_only:
            has_own = True
    return final_ts if has_own else None


def find_match_method(row: Veto | OrderEvent, decision: ShadowSide) -> MatchMethod:
    """What pairs a veto or an error with a decision."""
    if row.intent_id is not None and row.intent_id == decision.intent_id:
        return MatchMethod.INTENT_ID
    attempt_id = own_attempt_id(row.attempt_id)
    return MatchMethod.ATTEMPT_ID if attempt_id is not None and attempt_id == decision.attempt_id else MatchMethod.TIME


def has_other_id(live: IntentOrders | Veto | OrderEvent, decision: ShadowSide) -> bool:
    """Whether both carry an id of one kind, so that ids alone say whether they belong together."""
    if live.intent_id is not None and decision.intent_id is not None:
        return True
    return live.attempt_id is not None and decision.attempt_id is not None
