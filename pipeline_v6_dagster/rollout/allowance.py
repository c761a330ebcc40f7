"""Whether an order that v6 placed was one that the rollout let it place."""

import hashlib
from collections.abc import Sequence

from pipeline_v6_dagster.domain.comparison import ORDER_LEAD_S
from pipeline_v6_dagster.domain.formatting import format_percent
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.live import PLACED_BY_V6, Leg
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutPast, RolloutRecord, RolloutState

# An order that was handed to v6 before a change is acked after it, and so are the taker order that ends a resting one
# and the second leg of a flip.
UNDER_WAY_S = 60.0


def draw(intent_id: str) -> float:
    """The share (of 1) from which on v6 places an intent, as the executor draws it."""
    return int.from_bytes(hashlib.sha256(intent_id.encode(errors="surrogatepass")).digest()[:8], "big") / 2**64


def legs_by_v6(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """The orders that v6 placed."""
    return tuple(leg for leg in legs if leg.placed_by == PLACED_BY_V6)


def why_outside(past: RolloutPast, legs: Sequence[Leg], symbol: str | None, intent_id: str | None) -> str | None:
    """Why one of these orders of an intent, all placed by v6, is none that v6 was let place; None where all are.

    An order is within the rollout if what held at any time from `UNDER_WAY_S` before its first row to `ORDER_LEAD_S`
    after it allowed it.
    """
    for leg in legs:
        held = past.between(leg.first_ts - UNDER_WAY_S, leg.first_ts + ORDER_LEAD_S)
        reasons = [_why_not(record, leg, symbol, intent_id) for record in held]
        if None not in reasons:
            return reasons[-1]
    return None


def _why_not(record: RolloutRecord | None, leg: Leg, symbol: str | None, intent_id: str | None) -> str | None:
    stage = None if record is None else record.stage
    if record is None or stage is None or record.state not in PLACING:
        return f"v6 was {RolloutState.OFF if record is None else record.state}"
    if record.trading_state is TradingState.HALTED:
        return "trading was halted"
    if record.trading_state is TradingState.REDUCING and not leg.is_reduce_only:
        return "trading was reducing, and the order opens"
    if symbol not in stage.symbols:
        return f"{symbol or 'its symbol'} is not in stage {stage.name}"
    # An order that names no intent may be any: only a stage that is given all of them covers it.
    drawn = 1.0 if intent_id is None else draw(intent_id)
    if drawn >= stage.notional_share < 1:
        return f"its intent is not among the {format_percent(stage.notional_share)} of stage {stage.name}"
    return None
