"""Why a decision and an order differ, from a closed set.

A veto mismatch and an upsize may stand on one line: `root_cause` is of the mismatch where there is one, `upsize_cause`
of the size. What none of the rules explains is counted as unexplained, never left out.
"""

from dataclasses import dataclass

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, LiveSide, MismatchKind, RootCause, ShadowSide
from pipeline_v6_dagster.domain.live import UNFILLED_ENDS, ExchangeFilter, Leg
from pipeline_v6_dagster.domain.risk import DenyReason

# A lifted order is sized at the executor's own price, which may have moved since the decision.
_LIFT_PRICE_ROOM_RATIO = 0.02
# Relative room within which two quantities are the same.
_SAME_RATIO = 1e-6
# What live vetoes say when the NAV is too old or missing. Live reasons are free text.
_NAV_WORDS = frozenset({"nav_stale", "nav_missing", "stale_nav", "nav_unavailable", "nav_age"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseContext:
    """What is known beside the diff itself.

    `exchange` is what the exchange asks of the symbol; `shares_intent` tells of another decision of the same intent;
    until `config_settles_s` after `config_changed_ts` live may still run under the configuration before; `before` is
    the diff that this one revises.
    """

    exchange: ExchangeFilter | None = None
    shares_intent: bool = False
    config_changed_ts: float | None = None
    config_settles_s: float = 0.0
    before: Diff | None = None


def explain(diff: Diff, given: CauseContext) -> None:
    """Write the causes into the diff."""
    if diff.is_upsize and diff.shadow is not None and diff.live is not None:
        diff.upsize_cause = _upsize_cause(diff.shadow, diff.live, given)
    diff.root_cause, diff.cause_detail = _cause(diff, given)


def _cause(diff: Diff, given: CauseContext) -> tuple[RootCause | None, str | None]:
    if diff.mismatch_kind is MismatchKind.LIVE_ONLY:
        return RootCause.NO_DECISION, None
    if diff.mismatch_kind is MismatchKind.LIVE_UNKNOWN:
        return (RootCause.DUPLICATE if given.shares_intent else RootCause.UNRESOLVED), None
    if diff.mismatch_kind in (MismatchKind.OPPOSITE_SIDE, MismatchKind.WRONG_SYMBOL):
        return RootCause.UNEXPLAINED, None
    if diff.mismatch_kind is MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT:
        return _absent(diff, given)
    if diff.mismatch_kind is MismatchKind.SHADOW_VETOED_LIVE_EXECUTED and diff.shadow is not None:
        return _denied(diff, diff.shadow.reasons, given)
    return _explain_match(diff, given)


def _denied(diff: Diff, reasons: tuple[str, ...], given: CauseContext) -> tuple[RootCause, str | None]:
    if set(reasons) == {DenyReason.NAV_STALE}:
        return RootCause.NAV_STALE, DenyReason.NAV_STALE.value
    if _is_config_new(diff, given):
        return RootCause.CONFIG_CHANGED, "+".join(reasons)
    return (RootCause.SHADOW_RULE, "+".join(reasons)) if reasons else (RootCause.UNEXPLAINED, None)


def _explain_match(diff: Diff, given: CauseContext) -> tuple[RootCause | None, str | None]:
    if diff.upsize_cause is not None:
        return diff.upsize_cause, None
    if diff.mismatch_kind is MismatchKind.MATCH and diff.live_outcome is LiveOutcome.ERROR:
        return RootCause.LIVE_ERROR, diff.live.reason if diff.live is not None else None
    if given.before is not None and given.before.veto_mismatch is not False:
        return RootCause.LATE, None
    return _size_cause(diff), None


def _absent(diff: Diff, given: CauseContext) -> tuple[RootCause, str | None]:
    reason = diff.live.reason if diff.live is not None else None
    if diff.live_outcome is LiveOutcome.VETOED:
        if reason in _NAV_WORDS:
            return RootCause.NAV_STALE, reason
        return (RootCause.CONFIG_CHANGED if _is_config_new(diff, given) else RootCause.LIVE_VETO), reason
    return RootCause.UNEXPLAINED, None


def _is_config_new(diff: Diff, given: CauseContext) -> bool:
    changed_ts = given.config_changed_ts
    return changed_ts is not None and changed_ts <= diff.ts <= changed_ts + given.config_settles_s


def _upsize_cause(shadow: ShadowSide, live: LiveSide, given: CauseContext) -> RootCause:
    if live.gross_usd is None:
        return RootCause.UNEXPLAINED  # What is known is larger already, and there is more.
    asked_usd, live_usd, price = shadow.gross_usd or 0.0, live.gross_usd, shadow.price or 0.0
    asked_qty = asked_usd / price if price else 0.0
    exchange = given.exchange or ExchangeFilter(None, None)
    lot_usd = (exchange.lot_step or 0.0) * price
    least_usd = exchange.min_notional_usd
    if least_usd is not None and asked_usd < least_usd:
        if live_usd <= least_usd * (1 + _LIFT_PRICE_ROOM_RATIO) + lot_usd:
            return RootCause.MIN_NOTIONAL_LIFT
    if 0 < live_usd - asked_usd <= lot_usd * (1 + _SAME_RATIO):
        return RootCause.LOT_ROUNDING
    own = [leg for leg in live.legs if not leg.is_reduce_only]
    if len(own) > 1 and all(_is_same(_placed_qty(leg), asked_qty) for leg in own):
        return RootCause.DUPLICATE
    reduced = sum(_placed_qty(leg) for leg in live.legs if leg.is_reduce_only)
    if reduced and not shadow.is_reduce_only and live.requested_qty is not None:
        if _is_same(live.requested_qty, reduced) or _is_same(live.requested_qty, asked_qty + reduced):
            return RootCause.FLIP_LEG
    if live.executed_qty is not None and live.executed_qty <= asked_qty * (1 + _SAME_RATIO):
        return RootCause.PRICE_MOVED
    return RootCause.UNEXPLAINED


def _size_cause(diff: Diff) -> RootCause | None:
    """Why sizes differ where decisions agree; None where they do not, or nothing tells."""
    live, shadow = diff.live, diff.shadow
    if live is None or shadow is None or diff.live_outcome is not LiveOutcome.EXECUTED:
        return None
    if live.legs and not shadow.is_reduce_only and all(leg.is_reduce_only for leg in live.legs):
        return RootCause.FLIP_LEG  # The opening leg never came.
    if live.requested_qty is None or live.executed_qty is None:
        return None
    is_short = live.executed_qty < live.requested_qty * (1 - _SAME_RATIO)
    return RootCause.PARTIAL_FILL if is_short and live.status in UNFILLED_ENDS else None


def _placed_qty(leg: Leg) -> float:
    return leg.requested_qty or leg.executed_qty or 0.0


def _is_same(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME_RATIO * max(abs(one), abs(other))
