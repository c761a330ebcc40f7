"""RiskEngineV6: every rule on one intent, all reasons kept, the largest quantity that would have passed."""

from math import inf
from typing import Protocol

from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import DenyReason, Diagnostic, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.rules import EPSILON, RULES, Gate, is_positive


class RiskEngine(Protocol):
    """What `run_pipeline_v6_shadow` asks: one intent on one state, one decision. Must be pure."""

    def check_order(self, intent: OrderIntent, state: RiskState) -> RiskDecision:
        """Allow or deny `intent`."""


class RiskEngineV6:
    """The built-in engine. Fails closed: what is missing, not finite, unknown or stale is a denial."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Sorted out once, not for every order: which rules bind, and what kind each is.
        self._rules = {
            is_reduce_only: [
                (
                    rule.reason,
                    rule.check if isinstance(rule, Gate) else None,
                    None if isinstance(rule, Gate) else rule.room,
                )
                for rule in RULES
                if rule.applies_to_reduce_only or not is_reduce_only
            ]
            for is_reduce_only in (False, True)
        }

    def check_order(self, intent: OrderIntent, state: RiskState) -> RiskDecision:
        """Check `intent` against every rule that applies to it.

        `clamped_qty` is 0 where a gate denies, where a cap's numbers are not known (a negative exposure is none:
        it would make room), or where what the caps leave is below the minimum notional.
        """
        limits = self._limits
        symbol = limits.of(intent.symbol)
        notional = intent.quote_notional
        diagnostics: dict[DenyReason, Diagnostic] = {}
        warnings: dict[DenyReason, Diagnostic] = {}
        room_usd = notional
        is_sizable = True
        hit_caps: list[DenyReason] = []
        for reason, check, room_of in self._rules[intent.reduce_only]:
            if check is not None:
                breach = check(intent, state, limits, symbol)
                if breach is None:
                    continue
                if reason is DenyReason.NAV_STALE and not limits.is_fail_closed_on_nav_stale:
                    warnings[reason] = breach
                    continue
                diagnostics.setdefault(reason, breach)
                is_sizable = False
            elif room_of is not None and notional is not None:
                room = room_of(intent, state, limits, symbol)
                if room is None:
                    continue
                limit, taken = room
                if limit is None or taken is None or not 0 <= taken < inf:
                    if DenyReason.NAV_STALE in diagnostics:
                        continue  # Said once: without NAV no ratio of it can be checked.
                    diagnostics[reason] = Diagnostic(limit, None if taken is None else taken + notional, "usd")
                    is_sizable = False
                elif not taken + notional <= limit * (1 + EPSILON):
                    diagnostics.setdefault(reason, Diagnostic(limit, taken + notional, "usd"))
                    hit_caps.append(reason)
                    room_usd = min(room_usd or 0.0, limit - taken)
        allowed = not diagnostics
        largest = _clamped_qty(intent, room_usd, symbol.min_notional_usd, allowed) if is_sizable else 0.0
        return RiskDecision(
            allowed=allowed,
            clamped_qty=largest,
            reasons=tuple(diagnostics),
            hit_caps=tuple(hit_caps),
            warnings=tuple(warnings),
            diagnostics={**diagnostics, **warnings} if warnings else diagnostics,
        )


def _clamped_qty(intent: OrderIntent, room_usd: float | None, minimum_usd: float | None, is_allowed: bool) -> float:
    """The share of the quantity for which there is room; the notional shrinks with it."""
    qty, notional = intent.qty, intent.quote_notional
    if qty is None or notional is None or room_usd is None:
        return 0.0
    if is_allowed:
        return qty
    share = room_usd / notional
    if not is_positive(share) or (minimum_usd is not None and notional * share < minimum_usd):
        return 0.0
    return qty * share
