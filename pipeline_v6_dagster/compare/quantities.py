"""What the legs of one intent put on the market, in the base asset. None where it is not known, never 0.

A leg that ended unfilled counts for what it executed; every other leg, resting ones included, for the larger of what
it ever requested and what it executed. A leg labelled reduce-only reduces at most the position that was open against
it; what goes beyond is an opening.
"""

from collections.abc import Sequence
from math import ceil, isfinite
from typing import NamedTuple

from pipeline_v6_dagster.domain.comparison import ComparePolicy, ReduceLabel, ShadowSide
from pipeline_v6_dagster.domain.live import UNFILLED_ENDS, ExchangeFilter, Leg

# v6 is larger than live above this share and one lot step.
DOWNSIZE_RATIO = 0.05
# Relative room for binary rounding.
_EPSILON = 1e-9


class OpeningPart(NamedTuple):
    """The part of a leg that counts: all of it, or what exceeds the position of one that is labelled reduce-only.

    `requested_qty` is what it put on the market. Quantities are None where the leg does not say.
    """

    leg: Leg
    requested_qty: float | None
    executed_qty: float | None


def count_legs(legs: Sequence[Leg], *, counts_reduce: bool) -> list[OpeningPart]:
    """The legs that count for a decision. With `counts_reduce` (of an intent that only reduces) all of them do."""
    parts = []
    for leg in legs:
        if counts_reduce or not leg.is_reduce_only:
            parts.append(OpeningPart(leg, _placed_qty(leg), leg.executed_qty))
        elif leg.held_qty is not None:
            placed_qty = _placed_qty(leg) or 0.0
            if exceeds(placed_qty, leg.held_qty):
                executed_qty = None if leg.executed_qty is None else max(0.0, leg.executed_qty - leg.held_qty)
                parts.append(OpeningPart(leg, placed_qty - leg.held_qty, executed_qty))
    return parts


def without_unknown(parts: Sequence[OpeningPart]) -> list[OpeningPart]:
    """The parts of which it is known what they put on the market."""
    return [part for part in parts if part.requested_qty is not None or part.leg.gross_usd is not None]


def sum_requested(parts: Sequence[OpeningPart]) -> float | None:
    """The sum over the parts; None if there is none or one of them is not known."""
    total = 0.0
    for part in parts:
        if part.requested_qty is None:
            return None
        total += part.requested_qty
    return total if parts else None


def sum_executed(parts: Sequence[OpeningPart]) -> float | None:
    """Sum of the fills; 0 only where every order is known to have ended without one."""
    if not parts:
        return None
    if all(part.executed_qty is None for part in parts):
        return 0.0 if all(part.leg.status in UNFILLED_ENDS for part in parts) else None
    return sum(part.executed_qty or 0.0 for part in parts)


def sum_gross(parts: Sequence[OpeningPart], price: float | None) -> float | None:
    """The same in USD at `price`; a flat row without a quantity counts for its own gross."""
    total = 0.0
    for part in parts:
        if part.requested_qty is not None and price:
            total += part.requested_qty * price
        elif part.leg.gross_usd is not None:
            total += part.leg.gross_usd
        else:
            return None
    return total if parts else None


def find_largest_request(parts: Sequence[OpeningPart], price: float | None) -> float | None:
    """The most that the intent had on the market at one time, whatever became of it later.

    That is right after one of its orders began: those that had ended unfilled by then count for what they executed.
    """
    largest = None
    for newest in parts:
        total = 0.0
        for part in parts:
            leg = part.leg
            if leg.first_ts > newest.leg.first_ts:
                continue
            is_over = leg.status in UNFILLED_ENDS and leg.last_ts <= newest.leg.first_ts and part is not newest
            qty = leg.executed_qty or 0.0 if is_over else _asked_qty(leg)
            if qty is None:
                if leg.gross_usd is None or not price:
                    return None
                qty = leg.gross_usd / price
            total += qty
        largest = total if largest is None else max(largest, total)
    return largest


def find_decided_qty(decision: ShadowSide) -> float | None:
    """What v6 would order, else what the attempt asked for before any rounding; None where neither is known."""
    return decision.sized_qty if decision.sized_qty is not None else _unrounded_qty(decision)


def find_most_qty(decision: ShadowSide, lot_step: float) -> float | None:
    """The most that live may order without an upsize: what v6 would order unrounded, rounded up to the lot step.

    Where v6 sized the order by more than rounding, that is one lot step above the size. None where nothing is known.
    """
    unrounded_qty = _unrounded_qty(decision)
    sized_qty = decision.sized_qty
    if sized_qty is None and decision.sized_gross_usd is not None and decision.price:
        sized_qty = decision.sized_gross_usd / decision.price
    if unrounded_qty is None:
        return None if sized_qty is None else _round_up(sized_qty, lot_step)
    most_qty = _round_up(unrounded_qty, lot_step)
    return most_qty if sized_qty is None else min(most_qty, sized_qty + lot_step)


def exceeds(qty: float, limit_qty: float) -> bool:
    """Whether a quantity is above another one by more than binary rounding."""
    return qty > limit_qty * (1 + _EPSILON)


def _unrounded_qty(decision: ShadowSide) -> float | None:
    """What the attempt asked for, where its notional buys as much."""
    bought_qty = decision.quote_notional / decision.price if decision.quote_notional and decision.price else None
    known = [qty for qty in (decision.asked_qty, bought_qty) if qty is not None]
    return min(known, default=None)


def _round_up(qty: float, lot_step: float) -> float:
    steps = qty / lot_step
    return max(qty, ceil(steps * (1 - _EPSILON)) * lot_step) if isfinite(steps) else qty


def find_lot_step(
    symbol: str, legs: Sequence[Leg], exchange: ExchangeFilter | None, policy: ComparePolicy
) -> float | None:
    """The configured lot step, else the exchange's own filter, where an order of the symbol carries it."""
    lot_step = policy.lot_steps.get(symbol)
    if lot_step is None:
        lot_step = next((leg.lot_step for leg in legs if leg.lot_step is not None), None)
    return exchange.lot_step if lot_step is None and exchange is not None else lot_step


def is_v6_larger(decision: ShadowSide, legs: Sequence[Leg], lot_step: float | None) -> bool | None:
    """Whether v6 would have placed more than live ever requested, by more than 5 % and one lot step.

    None where v6 denied or either quantity is not known.
    """
    v6_qty = decision.sized_qty
    if not decision.is_allowed or v6_qty is None:
        return None
    if len(legs) == 1 and not legs[0].is_reduce_only and (legs[0].requested_qty or 0.0) >= v6_qty:
        return False  # As most orders are.
    largest_qty = find_largest_request(count_legs(legs, counts_reduce=decision.is_reduce_only), decision.price)
    if largest_qty is None:
        return None
    excess_qty = v6_qty - largest_qty
    return excess_qty > DOWNSIZE_RATIO * largest_qty * (1 + _EPSILON) and excess_qty > (lot_step or 0.0) * (
        1 + _EPSILON
    )


def is_overfilled(legs: Sequence[Leg], tolerance_ratio: float) -> bool | None:
    """Whether an order executed more than it requested; None where none of them is known to have executed anything."""
    found = None
    for leg in legs:
        if leg.executed_qty is not None:
            if leg.requested_qty is not None and leg.executed_qty > leg.requested_qty * (1 + tolerance_ratio):
                return True
            found = False
    return found


def label_reduces(legs: Sequence[Leg]) -> ReduceLabel | None:
    """Whether the legs labelled reduce-only only reduced; None if there is no such leg."""
    labelled = [leg for leg in legs if leg.is_reduce_only]
    if not labelled:
        return None
    if any(leg.held_qty is not None and exceeds(_placed_qty(leg) or 0.0, leg.held_qty) for leg in labelled):
        return ReduceLabel.EXCEEDED
    is_known = all(leg.held_qty is not None and _placed_qty(leg) is not None for leg in labelled)
    return ReduceLabel.HONEST if is_known else ReduceLabel.UNKNOWN


def is_reducing(legs: Sequence[Leg]) -> bool:
    """Whether all legs verifiably only reduced a position, whatever their labels say."""
    for leg in legs:
        placed_qty = _placed_qty(leg)
        if placed_qty is None or leg.held_qty is None or exceeds(placed_qty, leg.held_qty):
            return False
    return bool(legs)


def _placed_qty(leg: Leg) -> float | None:
    """What a leg counts for."""
    return leg.executed_qty or 0.0 if leg.status in UNFILLED_ENDS else _asked_qty(leg)


def _asked_qty(leg: Leg) -> float | None:
    """The larger of what a leg requested and what it executed."""
    if leg.requested_qty is None or leg.executed_qty is None:
        return leg.executed_qty if leg.requested_qty is None else leg.requested_qty
    return max(leg.requested_qty, leg.executed_qty)
