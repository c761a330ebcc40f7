"""RiskEngineV6: every rule on one intent, all reasons kept, the largest quantity that would have passed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Protocol

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, Diagnostic, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.lots import round_down
from pipeline_v6_dagster.shadow.readings import EPSILON, CapRoom, GateCheck, Reading, is_positive
from pipeline_v6_dagster.shadow.rules import RULES, Cap, Gate

_Bound = tuple[DenyReason, GateCheck | None, CapRoom | None]


class RiskEngine(Protocol):
    """What `run_pipeline_v6_shadow` asks: one intent on one state, one decision. Must be pure."""

    def check_order(self, intent: OrderIntent, state: RiskState) -> RiskDecision:
        """Allow or deny `intent`."""


class RiskEngineV6:
    """The built-in engine. Fails closed: what is missing, not finite, unknown or stale is a denial."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rules: dict[tuple[str, bool], list[_Bound]] = {}

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
        for reason, check, headroom in self._rules.get((symbol.symbol, intent.reduce_only)) or self._bind(
            symbol, intent.reduce_only
        ):
            if check is not None:
                reading = check(intent, state, limits, symbol)
                if reading is None or not reading[0]:
                    continue
                breach = Diagnostic(*reading[1:])
                if reason is DenyReason.NAV_STALE and not limits.is_fail_closed_on_nav_stale:
                    warnings[reason] = breach
                    continue
                diagnostics.setdefault(reason, breach)
                is_sizable = False
            elif headroom is not None and notional is not None:
                room = headroom(intent, state, limits, symbol)
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
        largest = _clamped_qty(intent, room_usd, symbol, allowed) if is_sizable else 0.0
        return RiskDecision(
            allowed=allowed,
            clamped_qty=largest,
            reasons=tuple(diagnostics),
            hit_caps=tuple(hit_caps),
            warnings=tuple(warnings),
            diagnostics={**diagnostics, **warnings} if warnings else diagnostics,
        )

    def _bind(self, symbol: SymbolLimits, is_reduce_only: bool) -> list[_Bound]:
        """The rules that bind such an intent, sorted out once for a symbol and not for every order."""
        bound: list[_Bound] = [
            (rule.reason, rule.check, None) if isinstance(rule, Gate) else (rule.reason, None, rule.room)
            for rule in RULES
            if (rule.applies_to_reduce_only or not is_reduce_only) and rule.is_set(self._limits, symbol)
        ]
        self._rules[symbol.symbol, is_reduce_only] = bound
        return bound


class Outcome(StrEnum):
    """What came of one rule."""

    PASSES = "passes"
    DENIES = "denies"
    WARNS = "warns"
    EXEMPT = "exempt"
    NOT_CONFIGURED = "not configured"
    NOT_MEASURED = "not measured"  # for want of NAV, which nav_stale says


@dataclass(frozen=True, slots=True)
class RuleReading:
    """One rule on one intent: what it allows, what it found. Null where the number is not known or not asked for."""

    reason: DenyReason
    limit_keys: tuple[str, ...]
    denies_when: str
    outcome: Outcome
    threshold: float | str | None = None
    observed: float | str | None = None
    unit: str = "-"


def read_rules(intent: OrderIntent, state: RiskState, limits: Limits) -> Iterator[RuleReading]:
    """What every rule of the built-in engine says of an intent, also those that pass."""
    symbol = limits.of(intent.symbol)
    is_nav_stale = False
    for rule in RULES:
        if intent.reduce_only and not rule.applies_to_reduce_only:
            yield RuleReading(rule.reason, rule.limit_keys, rule.denies_when, Outcome.EXEMPT)
            continue
        reading = (
            _read_gate(rule, intent, state, limits, symbol)
            if isinstance(rule, Gate)
            else _read_cap(rule, intent, state, limits, symbol)
        )
        if reading is None or not rule.is_set(limits, symbol):
            yield RuleReading(rule.reason, rule.limit_keys, rule.denies_when, Outcome.NOT_CONFIGURED)
            continue
        is_denied, threshold, observed, unit = reading
        outcome = Outcome.DENIES if is_denied else Outcome.PASSES
        if is_denied and rule.reason is DenyReason.NAV_STALE and not limits.is_fail_closed_on_nav_stale:
            outcome = Outcome.WARNS
        is_nav_stale = is_nav_stale or (is_denied and outcome is Outcome.DENIES and rule.reason is DenyReason.NAV_STALE)
        if isinstance(rule, Cap) and is_denied and is_nav_stale and (threshold is None or not _is_known(observed)):
            outcome = Outcome.NOT_MEASURED
        yield RuleReading(rule.reason, rule.limit_keys, rule.denies_when, outcome, threshold, observed, unit)


def _is_known(observed: float | str | None) -> bool:
    return isinstance(observed, float) and 0 <= observed < inf


def _read_gate(
    rule: Gate, intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> Reading | None:
    return rule.check(intent, state, limits, symbol)


def _read_cap(rule: Cap, intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    room, notional = rule.room(intent, state, limits, symbol), intent.quote_notional
    if room is None or notional is None:
        return None
    limit, taken = room
    if limit is None or taken is None or not 0 <= taken < inf:
        return True, limit, None if taken is None else taken + notional, "usd"
    return not taken + notional <= limit * (1 + EPSILON), limit, taken + notional, "usd"


def _clamped_qty(intent: OrderIntent, room_usd: float | None, symbol: SymbolLimits, is_allowed: bool) -> float:
    """The share of the quantity for which there is room; the notional shrinks with it."""
    qty, notional = intent.qty, intent.quote_notional
    if qty is None or notional is None or room_usd is None:
        return 0.0
    if is_allowed:
        return qty
    largest = qty * (room_usd / notional)
    if not is_positive(largest):
        return 0.0
    left_usd = notional * (round_down(largest, symbol.lot_step) / qty)
    minimum = symbol.min_notional_usd
    return largest if left_usd > 0 and (minimum is None or left_usd >= minimum) else 0.0
