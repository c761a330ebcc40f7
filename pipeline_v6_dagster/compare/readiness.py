"""When an open decision is final: its outcome is, and what may follow soon has had its time."""

from pipeline_v6_dagster.compare.evidence import classify_outcome, find_final_ts
from pipeline_v6_dagster.compare.open_state import OpenDecision, OpenState
from pipeline_v6_dagster.compare.quantities import find_lot_step, is_v6_larger
from pipeline_v6_dagster.domain.comparison import ComparePolicy, LiveOutcome
from pipeline_v6_dagster.domain.live import IntentOrders


def find_ready_ts(item: OpenDecision, state: OpenState, policy: ComparePolicy) -> float:
    """When a decision is settled (epoch s), by what is known of it: at the latest at its deadline."""
    decision = item.decision
    deadline = decision.as_of + policy.tolerance_s
    if item.superseded is not None:
        return min(deadline, item.superseded_ts)
    if item.order_key is not None:
        order = state.orders[item.order_key]
        final_ts = find_final_ts(order, decision.is_reduce_only, policy.settle_grace_s)
        if final_ts is None:
            return deadline
        if item.error is not None:
            final_ts = max(final_ts, item.error.ts + policy.settle_grace_s)
        if state.has_arrivals and item.arrival_price is None:
            final_ts += policy.arrival_grace_s
        return deadline if final_ts > deadline or _may_grow(item, order, state, policy) else final_ts
    if item.veto is not None:
        return min(deadline, item.veto.ts)
    if item.error is not None:
        return min(deadline, item.error.ts + policy.settle_grace_s)
    return deadline if decision.has_id else deadline + policy.tolerance_s


def is_final_ahead(item: OpenDecision, state: OpenState, policy: ComparePolicy, now: float) -> bool:
    """Whether evidence that is logged ahead of our clock has made a decision final."""
    if item.superseded is not None:
        is_final, ts = True, item.superseded_ts
    elif item.order_key is not None:
        order = state.orders[item.order_key]
        is_final = find_final_ts(order, item.decision.is_reduce_only, 0.0) is not None
        is_final, ts = is_final and not _may_grow(item, order, state, policy), order.last_ts
    else:
        evidence = item.veto or item.error
        is_final, ts = evidence is not None, 0.0 if evidence is None else evidence.ts
    # What may follow soon is waited for as ever, unless the clock is so far behind that it would have followed.
    longest_s = policy.settle_grace_s + policy.arrival_grace_s
    return is_final and ts > now and (item.ready_ts <= ts or ts > now + longest_s)


def _may_grow(item: OpenDecision, order: IntentOrders, state: OpenState, policy: ComparePolicy) -> bool:
    """Whether live asked for less than v6 would have so far, which only the deadline decides."""
    decision, legs = item.decision, order.legs
    sized_qty = decision.sized_qty
    if len(legs) == 1 and sized_qty is not None and not legs[0].is_reduce_only:
        if (legs[0].requested_qty or 0.0) >= sized_qty:
            return False  # As most orders are.
    if classify_outcome(order) is LiveOutcome.ERROR:
        return False
    lot_step = find_lot_step(decision.symbol, order.legs, state.filters.get(decision.symbol), policy)
    return is_v6_larger(decision, legs, lot_step) is True
