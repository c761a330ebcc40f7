"""How far a live order is from its shadow decision. Every figure is None where a part of it is missing.

Signs: sizes and dollars are live minus shadow; slippage is positive where it cost money, for either side.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline_v6_dagster.compare.live_side import describe_live, find_decided_position
from pipeline_v6_dagster.compare.quantities import (
    count_legs,
    exceeds,
    find_lot_step,
    find_most_qty,
    is_overfilled,
    is_reducing,
    is_v6_larger,
    label_reduces,
    sum_gross,
    sum_requested,
    without_unknown,
)
from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder
from pipeline_v6_dagster.compare.shortfall import measure_shortfall
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import (
    ComparePolicy,
    Diff,
    LiveOutcome,
    LiveSide,
    MismatchKind,
    ShadowSide,
)
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.domain.live import ExchangeFilter, Leg

# What live decided, by its outcome; of what is unresolved nobody knows.
_DECIDED_TO_TRADE = {LiveOutcome.EXECUTED: True, LiveOutcome.ERROR: True, LiveOutcome.VETOED: False}
_KINDS = {
    (True, True): MismatchKind.MATCH,
    (True, False): MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT,
    (False, True): MismatchKind.SHADOW_VETOED_LIVE_EXECUTED,
    (False, False): MismatchKind.MATCH_VETO,
}
_DIFFERENT_ORDER = frozenset({MismatchKind.OPPOSITE_SIDE, MismatchKind.WRONG_SYMBOL})


def compare_sides(settled: Settled | UnmatchedOrder, policy: ComparePolicy) -> Diff:
    """The diff of a settled decision, or the `live_only` diff of an order that none explains."""
    if isinstance(settled, UnmatchedOrder):
        return _describe_unmatched(settled, policy)
    decision, order, outcome = settled.decision, settled.order, settled.outcome
    live = None
    if order is not None or settled.reason is not None:
        live = describe_live(order, decision, settled.reason, settled.arrival_price, settled.refusal)
    legs: Sequence[Leg] = () if order is None else order.legs
    kind = _find_mismatch_kind(decision, live, outcome)
    is_other = kind in _DIFFERENT_ORDER
    veto_mismatch = (
        None
        if kind is MismatchKind.LIVE_UNKNOWN
        else is_other or decision.is_allowed is not (_DECIDED_TO_TRADE[outcome])
    )
    is_executed = outcome is LiveOutcome.EXECUTED
    sizes = measure_sizes(decision, live if is_executed else None, settled.exchange, policy)
    impact_usd = None if kind is MismatchKind.LIVE_UNKNOWN else finite(_impact_usd(decision, live, is_executed))
    lot_step = find_lot_step(decision.symbol, legs, settled.exchange, policy) if legs else None
    return Diff(
        symbol=decision.symbol,
        ts=decision.as_of,
        decision_id=decision.decision_id,
        intent_id=decision.intent_id,
        side=decision.side,
        match_method=settled.method,
        match_dt_s=None if order is None else round(order.first_ts - decision.as_of, 6),
        live_outcome=outcome,
        mismatch_kind=kind,
        veto_mismatch=veto_mismatch,
        size_pct_diff=sizes.size_pct_diff,
        sizing_diff_pct=sizes.sizing_diff_pct,
        is_upsize=sizes.is_upsize,
        slippage_diff_bps=None if is_other else finite(_slippage_diff_bps(decision, live)),
        impact_usd=impact_usd,
        root_cause=None,
        shadow=decision,
        live=live,
        shortfall=None if is_other else measure_shortfall(decision, live, settled.later_price),
        route_mismatch=None if live is None or None in (live.route, decision.route) else live.route != decision.route,
        mismatch_usd=_mismatch_usd(decision, live, impact_usd, is_mismatch=veto_mismatch is True, is_other=is_other),
        number=decision.number,
        is_overfill=is_overfilled(legs, policy.upsize_tolerance_ratio),
        is_downsize=is_v6_larger(decision, legs, lot_step) if is_executed else None,
        is_position_side_wrong=_is_position_side_wrong(decision, live),
        reduce_label=label_reduces(legs),
    )


class Sizes(NamedTuple):
    """How far the sizes of two sides are apart: in percent of the quantity, as a ratio of the gross, and too far."""

    size_pct_diff: float | None
    sizing_diff_pct: float | None
    is_upsize: bool | None


def measure_sizes(
    decision: ShadowSide, live: LiveSide | None, exchange: ExchangeFilter | None, policy: ComparePolicy
) -> Sizes:
    """The sizes of a live side against those of a decision."""
    ratio = _sizing_ratio(decision, live)
    return Sizes(
        finite(_size_pct(decision, live)),
        finite(ratio),
        _is_upsize(decision, live, exchange, policy),
    )


def _find_mismatch_kind(decision: ShadowSide, live: LiveSide | None, outcome: LiveOutcome) -> MismatchKind:
    decided_to_trade = _DECIDED_TO_TRADE.get(outcome)
    if decided_to_trade is None:
        return MismatchKind.LIVE_UNKNOWN
    if decided_to_trade and live is not None:
        if live.symbol is not None and decision.symbol and live.symbol != decision.symbol:
            return MismatchKind.WRONG_SYMBOL
        if live.side is not None and decision.side is not None and live.side is not decision.side:
            return MismatchKind.OPPOSITE_SIDE
    return _KINDS[decision.is_allowed, decided_to_trade]


def _is_position_side_wrong(decision: ShadowSide, live: LiveSide | None) -> bool | None:
    decided = find_decided_position(decision)
    if live is None or live.position_side is None or decided is None:
        return None
    return live.position_side is not decided


def _size_pct(decision: ShadowSide, live: LiveSide | None) -> float | None:
    if live is None or live.executed_qty is None or not decision.sized_qty:
        return None
    return 100 * (live.executed_qty - decision.sized_qty) / decision.sized_qty


def _sizing_ratio(decision: ShadowSide, live: LiveSide | None) -> float | None:
    """Also where the shadow denied: an order that v6 would have refused and live doubled is still an upsize."""
    return None if live is None else _ratio_to_v6(decision, live.gross_usd)


def _ratio_to_v6(decision: ShadowSide, live_usd: float | None) -> float | None:
    shadow_usd = decision.gross_usd
    return None if live_usd is None or not shadow_usd else (live_usd - shadow_usd) / shadow_usd


def _is_upsize(
    decision: ShadowSide, live: LiveSide | None, exchange: ExchangeFilter | None, policy: ComparePolicy
) -> bool | None:
    if live is None:
        return None
    live_usd, live_qty = live.gross_usd, live.requested_qty
    if live_usd is None and live.legs:
        # What is known is the least that live placed: a leg without a size adds to it.
        known = without_unknown(count_legs(live.legs, counts_reduce=decision.is_reduce_only))
        live_usd, live_qty = sum_gross(known, decision.price), sum_requested(known)
    ratio = _ratio_to_v6(decision, live_usd)
    if ratio is None or live_usd is None:
        return None
    if ratio <= policy.upsize_tolerance_ratio:
        return False if live.gross_usd is not None else None
    lot_step = find_lot_step(decision.symbol, live.legs, exchange, policy)
    if lot_step is None or not decision.price:
        return True
    if live_qty is None:
        live_qty = live_usd / decision.price
    most_qty = find_most_qty(decision, lot_step)
    if most_qty is None or exceeds(live_qty, most_qty):
        return True
    return False if live.gross_usd is not None else None


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


def _mismatch_usd(
    decision: ShadowSide, live: LiveSide | None, impact_usd: float | None, *, is_mismatch: bool, is_other: bool
) -> float | None:
    """What a mismatch put or left on: of a different order both what v6 wanted and what live did instead."""
    if impact_usd is None:
        return None
    if not is_mismatch:
        return 0.0
    v6_usd = decision.gross_usd if decision.is_allowed else 0.0
    return finite(impact_usd + 2 * (v6_usd or 0.0)) if is_other else abs(impact_usd)


def _describe_unmatched(unmatched: UnmatchedOrder, policy: ComparePolicy) -> Diff:
    order = unmatched.order
    live = describe_live(order, None, None)
    return Diff(
        symbol=order.symbol,
        ts=order.first_ts,
        decision_id=None,
        intent_id=order.intent_id,
        side=order.side,
        match_method=None,
        match_dt_s=None,
        live_outcome=unmatched.outcome,
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
        is_overfill=is_overfilled(order.legs, policy.upsize_tolerance_ratio),
        reduce_label=label_reduces(order.legs),
        is_reducing=is_reducing(order.legs),
        retries=None if unmatched.retries is None else unmatched.retries.decision_id,
    )
