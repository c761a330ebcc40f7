"""Orders that repeat a vetoed decision under another id: same symbol and side, soon after, of nearly the same size."""

from collections.abc import Sequence

from pipeline_v6_dagster.compare.open_state import VetoedDecision
from pipeline_v6_dagster.compare.quantities import count_legs, find_decided_qty, find_largest_request
from pipeline_v6_dagster.domain.comparison import LiveOutcome, ShadowSide
from pipeline_v6_dagster.domain.live import IntentOrders

RETRY_S = 60.0
RETRY_QTY_RATIO = 0.05


def remember_vetoed(vetoed: list[VetoedDecision], decision: ShadowSide, ts: float) -> None:
    """Add a decision that live vetoed at `ts` (epoch s), where its size is known."""
    qty = find_decided_qty(decision)
    if qty is not None:
        vetoed.append(
            VetoedDecision(
                decision_id=decision.decision_id,
                symbol=decision.symbol,
                side=decision.side,
                intent_id=decision.intent_id,
                attempt_id=decision.attempt_id,
                ts=ts,
                qty=qty,
            )
        )


def find_retried(
    vetoed: Sequence[VetoedDecision], order: IntentOrders, outcome: LiveOutcome, lead_s: float
) -> VetoedDecision | None:
    """The newest vetoed decision that an order repeats; None if there is none, or the exchange refused it."""
    if outcome is not LiveOutcome.EXECUTED or not vetoed:
        return None
    first_ts = order.first_ts
    for one in reversed(vetoed):
        if one.symbol != order.symbol or one.side is not order.side or not -lead_s <= first_ts - one.ts <= RETRY_S:
            continue
        qty = find_largest_request(count_legs(order.legs, counts_reduce=True), None)
        if qty is not None and abs(qty - one.qty) <= RETRY_QTY_RATIO * one.qty:
            return one
    return None
