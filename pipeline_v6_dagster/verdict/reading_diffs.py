"""What one diff says for or against v6: pure questions that the evidence of an epoch is counted by."""

from collections.abc import Iterator
from functools import lru_cache
from math import isfinite

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind, ReduceLabel
from pipeline_v6_dagster.domain.live import PLACED_BY_V6
from pipeline_v6_dagster.verdict.policy import MAX_FEE_RATIO, MAX_PRICE_DISTANCE_RATIO

# Money is summed in whole units of 0.0001 USD: a sum of integers is exact in any order, and can be taken back.
UNITS_PER_USD = 10_000
# No real order is worth more. A figure above it is not measured, so that no single row can swamp a sum.
MAX_ORDER_USD = 1e9
DENIED = "denied"
UNKNOWN = "unknown"


def decision_number(diff: Diff) -> int | None:
    """The number of its decision in the shadow log; None where it has none."""
    if diff.number is not None or diff.shadow is None:
        return diff.number
    return diff.shadow.number


def agreement(diff: Diff) -> bool | None:
    """True where the two sides disagree, False where they agree; None where the diff is evidence for nothing.

    Nobody knows what live did with an unresolved decision: it never speaks for v6.
    """
    if diff.ignored_by is not None or diff.mismatch_kind is MismatchKind.LIVE_ONLY:
        return None
    if diff.veto_mismatch is None or (diff.live_outcome is LiveOutcome.UNRESOLVED and not diff.veto_mismatch):
        return None
    return diff.veto_mismatch


def find_failing_id(diff: Diff) -> str:
    """The id by which a person finds the order: of its decision, its intent or the exchange."""
    if diff.decision_id or diff.intent_id:
        return diff.decision_id or diff.intent_id or ""
    if diff.live is not None and diff.live.legs:
        return diff.live.legs[0].order_id
    return UNKNOWN


def is_accepted_order(diff: Diff) -> bool:
    """Whether it is plain that a diff breaks no criterion by itself, as of most."""
    if (
        diff.is_upsize
        or diff.is_position_side_wrong
        or diff.is_overfill
        or diff.is_downsize
        or diff.reduce_label is not None
        or diff.mismatch_kind is not MismatchKind.MATCH
    ):
        return False
    shadow, live = diff.shadow, diff.live
    return (
        shadow is not None
        and live is not None
        and live.symbol == shadow.symbol
        and (live.side is shadow.side or live.side is None)
        and not is_implausible(diff)
    )


def find_failures(diff: Diff) -> Iterator[str]:
    """The names of the criteria that this diff breaks by itself."""
    if _is_other_side(diff):
        yield "same_side"
    if _is_other_symbol(diff):
        yield "same_symbol"
    if diff.is_position_side_wrong:
        yield "same_position_side"
    if diff.is_upsize:
        yield "no_upsizes"
    if diff.is_overfill:
        yield "no_overfills"
    if diff.is_downsize:
        yield "v6_not_larger"
    if diff.reduce_label is ReduceLabel.EXCEEDED:
        yield "reduce_only_honest"
    if diff.mismatch_kind is MismatchKind.LIVE_ONLY and not diff.is_reducing and diff.retries is None:
        yield "orders_explained"
    if is_implausible(diff):
        yield "inputs_usable"


def is_implausible(diff: Diff) -> bool:
    """Whether an order of a diff executed at a price or with a fee that cannot be right.

    A price is held against the attempt's and the one on arrival, and must be near to one of those that are known. A
    fee (or a rebate) is held against what was executed.
    """
    live = diff.live
    if live is None:
        return False
    known = () if diff.shadow is None or _is_other_symbol(diff) else (diff.shadow.price, live.arrival_price)
    prices = [price for price in known if price]
    for leg in live.legs:
        if not leg.avg_price or not leg.executed_qty:
            continue
        distances = [abs(leg.avg_price - price) / price for price in prices]
        if distances and not min(distances) <= MAX_PRICE_DISTANCE_RATIO:
            return True
        if leg.fees_usd is not None and not abs(leg.fees_usd) <= MAX_FEE_RATIO * leg.executed_qty * leg.avg_price:
            return True
    return False


def _is_other_side(diff: Diff) -> bool:
    if diff.mismatch_kind is MismatchKind.OPPOSITE_SIDE:
        return True
    if diff.shadow is None or diff.live is None or diff.live.side is None or diff.shadow.side is None:
        return False
    return diff.live.side is not diff.shadow.side


def _is_other_symbol(diff: Diff) -> bool:
    if diff.mismatch_kind is MismatchKind.WRONG_SYMBOL:
        return True
    return diff.shadow is not None and diff.live is not None and diff.live.symbol not in (None, diff.shadow.symbol)


def is_placed_by_v6(diff: Diff) -> bool:
    """Whether v6 itself placed an order of the decision, as the executor's rows say it in a rollout."""
    return diff.live is not None and any(leg.placed_by == PLACED_BY_V6 for leg in diff.live.legs)


def order_usd(diff: Diff) -> float:
    """How much the live order of a diff is worth, to find the largest failing orders; 0 where it is not known."""
    live = diff.live
    value = None
    if live is not None:
        value = live.gross_usd if live.gross_usd is not None else live.executed_gross_usd
    if value is None:
        value = diff.impact_usd
    return abs(value) if value is not None and isfinite(value) else 0.0


def slice_names(diff: Diff) -> tuple[str, ...]:
    """The slices that a decision belongs to."""
    shadow = diff.shadow
    if shadow is None:
        return ()
    side = UNKNOWN if shadow.side is None else shadow.side.value
    route = (shadow.route or UNKNOWN) if shadow.is_allowed else DENIED
    return _slice_names(shadow.symbol, side, route, shadow.is_reduce_only)


@lru_cache(maxsize=1024)
def _slice_names(symbol: str, side: str, route: str, is_reduce_only: bool) -> tuple[str, ...]:
    kind = "reduce-only orders" if is_reduce_only else "opening orders"
    return (f"symbol {symbol}", f"side {side}", kind, f"route {route}", f"{symbol} {side}")


def to_units(usd: float | None) -> int | None:
    """USD in units of 0.0001; None where it is not known, not finite, or absurd."""
    if usd is None or not isfinite(usd) or abs(usd) > MAX_ORDER_USD:
        return None
    return round(usd * UNITS_PER_USD)


def asked_and_filled(diff: Diff) -> tuple[int, int] | None:
    """What the intent asked for and what live executed of it, in units; None where live did not trade or none is known.

    More than was asked for counts as all of it: an overfill never makes up for another order's poor fill.
    """
    shadow, live = diff.shadow, diff.live
    if shadow is None or diff.live_outcome not in (LiveOutcome.EXECUTED, LiveOutcome.ERROR):
        return None
    asked = to_units(shadow.quote_notional)
    if not asked and live is not None:
        asked = to_units(_largest_request_usd(diff))
    if not asked or asked < 0:
        return None
    filled = None
    if live is not None:
        if live.executed_qty is not None and shadow.price is not None:
            filled = to_units(live.executed_qty * shadow.price)
        else:
            filled = to_units(live.executed_gross_usd)
    return asked, min(max(filled or 0, 0), asked)


def live_and_added(diff: Diff) -> tuple[int, int] | None:
    """(live's gross, what v6 would have placed beyond it) of an opening decision, in units; None where not known."""
    shadow, live = diff.shadow, diff.live
    if shadow is None or shadow.is_reduce_only:
        return None
    if diff.live_outcome is LiveOutcome.EXECUTED:
        placed = to_units(live.gross_usd if live is not None else None)
        largest = to_units(_largest_request_usd(diff))
        if placed is None:
            return None
    elif diff.live_outcome is LiveOutcome.VETOED:
        placed, largest = 0, 0
    else:
        return None
    wanted = to_units(shadow.gross_usd) if shadow.is_allowed else 0
    if wanted is None:
        return None
    return abs(placed), max(0, wanted - max(abs(placed), largest or 0))


def order_delay_s(diff: Diff) -> float | None:
    """Seconds from the attempt to its first order, 0 where the order was logged first; None of no order."""
    if diff.live_outcome is not LiveOutcome.EXECUTED:
        return None
    delay = diff.match_dt_s
    if delay is None and diff.live is not None and diff.live.first_ack_ts is not None and diff.shadow is not None:
        delay = diff.live.first_ack_ts - diff.shadow.as_of
    return None if delay is None else max(0.0, delay)


def _largest_request_usd(diff: Diff) -> float | None:
    """The largest single request of an opening leg, at the intent's price."""
    if diff.live is None or diff.shadow is None or not diff.shadow.price:
        return None
    opening = (
        leg.requested_qty or 0.0 for leg in diff.live.legs if diff.shadow.is_reduce_only or not leg.is_reduce_only
    )
    return max(opening, default=0.0) * diff.shadow.price
