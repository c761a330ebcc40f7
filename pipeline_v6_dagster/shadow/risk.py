"""RiskEngineV6: every rule on one intent, all reasons kept, the largest quantity that would have passed.

`evaluate` is the one evaluator of the rule table: an order is decided from its findings and explained by them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import NamedTuple, Protocol

from pipeline_v6_dagster.domain.limits import DEFAULT_RULES, Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, Diagnostic, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.decided import opening_share
from pipeline_v6_dagster.shadow.lots import round_down
from pipeline_v6_dagster.shadow.readings import EPSILON, Cap, Gate, is_positive
from pipeline_v6_dagster.shadow.rules import RULES

Rule = Gate | Cap


class Outcome(StrEnum):
    """The outcome of one rule."""

    PASSES = "passes"
    DENIES = "denies"
    WARNS = "warns"
    EXEMPT = "exempt"
    NOT_CONFIGURED = "not configured"
    NOT_MEASURED = "not measured"  # NAV is missing, which `nav_stale` denies


class Finding(NamedTuple):
    """What one rule found. `headroom_usd` is the largest notional that a cap leaves; None for a gate or if unknown."""

    rule: Rule
    outcome: Outcome
    threshold: float | str | None
    observed: float | str | None
    unit: str
    headroom_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReading:
    """One rule on one intent: its limit and what it observed. None where the number is not known or not measured."""

    reason: DenyReason
    limit_keys: tuple[str, ...]
    denies_when: str
    outcome: Outcome
    threshold: float | str | None = None
    observed: float | str | None = None
    unit: str = "-"


class RiskEngine(Protocol):
    """What `run_pipeline_v6_shadow` asks: one intent on one state, one decision. Must be pure."""

    def check_order(self, intent: OrderIntent, state: RiskState) -> RiskDecision:
        """Allow or deny `intent`."""


class RiskEngineV6:
    """The built-in engine. Fails closed: what is missing, not finite, unknown or stale is a denial."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rules: dict[tuple[str, bool], tuple[Rule, ...]] = {}

    def check_order(self, intent: OrderIntent, state: RiskState) -> RiskDecision:
        """Check `intent` against every rule that applies to it.

        `clamped_qty` is 0 where a gate denies, where a cap's numbers are not known (a negative exposure is not: it
        would raise the limit), or where what the caps leave is below the minimum notional. Of a reduce-only order that
        exceeds the position, the part that reduces it is denied by the rules for reduce-only orders alone.
        """
        limits = self._limits
        symbol = limits.of(intent.symbol)
        opening = opening_share(intent, state)
        rules = self._rules.get((symbol.symbol, opening > 0))
        if rules is None:
            rules = self._rules[symbol.symbol, opening > 0] = tuple(
                rule for rule in binding_rules(limits, symbol, opening > 0) if rule.can_deny(limits, symbol)
            )
        diagnostics: dict[DenyReason, Diagnostic] = {}
        warnings: dict[DenyReason, Diagnostic] = {}
        hit_caps: list[DenyReason] = []
        sizes = _Sizes(intent, opening)
        for rule, outcome, threshold, observed, unit, headroom_usd in evaluate(
            rules, intent, state, limits, symbol, opening
        ):
            if outcome is Outcome.WARNS:
                warnings[rule.reason] = Diagnostic(threshold, observed, unit)
            elif outcome is Outcome.DENIES:
                diagnostics.setdefault(rule.reason, Diagnostic(threshold, observed, unit))
                if headroom_usd is not None:
                    hit_caps.append(rule.reason)
                sizes.restrict(headroom_usd or 0.0, is_whole_order=rule.applies_to_reduce_only)
        allowed = not diagnostics
        return RiskDecision(
            allowed=allowed,
            clamped_qty=(intent.qty or 0.0) if allowed else sizes.largest_qty(symbol),
            reasons=tuple(diagnostics),
            hit_caps=tuple(dict.fromkeys(hit_caps)),
            warnings=tuple(warnings),
            diagnostics={**diagnostics, **warnings} if warnings else diagnostics,
        )


def binding_rules(limits: Limits, symbol: SymbolLimits, is_opening: bool) -> Iterator[Rule]:
    """The rules to check for an order that opens something, or for one that only reduces."""
    for rule in RULES:
        if (rule.applies_to_reduce_only or is_opening) and is_configured(rule, limits, symbol):
            yield rule


def is_configured(rule: Rule, limits: Limits, symbol: SymbolLimits) -> bool:
    """Whether there is anything for the rule to check, and it is not switched off by name."""
    is_disabled = rule.reason.value in limits.disabled_rules and rule.reason.value in DEFAULT_RULES
    return not is_disabled and rule.is_set(limits, symbol)


def evaluate(
    rules: Iterable[Rule],
    intent: OrderIntent,
    state: RiskState,
    limits: Limits,
    symbol: SymbolLimits,
    opening: float,
    *,
    with_passes: bool = False,
) -> Iterator[Finding]:
    """Measure each of `rules` once; of those that pass only `with_passes`.

    `opening` is `opening_share`. A rule with nothing to measure is not among the findings.
    """
    notional = intent.quote_notional
    is_nav_denied = False
    for rule in rules:
        if isinstance(rule, Gate):
            reading = rule.check(intent, state, limits, symbol)
            if reading is None or not (reading[0] or with_passes):
                continue
            is_denied, threshold, observed, unit = reading
            if not is_denied:
                yield Finding(rule, Outcome.PASSES, threshold, observed, unit)
                continue
            outcome = Outcome.WARNS if _only_warns(rule.reason, state, limits) else Outcome.DENIES
            is_nav_denied = is_nav_denied or (rule.reason is DenyReason.NAV_STALE and outcome is Outcome.DENIES)
            yield Finding(rule, outcome, threshold, observed, unit)
            continue
        measured = rule.measure(intent, state, limits, symbol)
        if measured is None or notional is None:
            continue
        limit, used = measured
        counted = notional if rule.applies_to_reduce_only or opening == 1 else notional * opening
        total = None if used is None else used + counted
        if limit is None or used is None or total is None or not 0 <= used < inf:
            # Without NAV no ratio of it can be checked, and one reason says so.
            yield Finding(rule, Outcome.NOT_MEASURED if is_nav_denied else Outcome.DENIES, limit, total, rule.unit)
        elif not total <= limit * (1 + EPSILON):
            yield Finding(rule, Outcome.DENIES, limit, total, rule.unit, limit - used)
        elif with_passes:
            yield Finding(rule, Outcome.PASSES, limit, total, rule.unit)


def _only_warns(reason: DenyReason, state: RiskState, limits: Limits) -> bool:
    if reason is DenyReason.NAV_STALE:
        return not limits.is_fail_closed_on_nav_stale
    return reason is DenyReason.REDUCE_ONLY_INVALID and state.position_qty is None


class _Sizes:
    """The largest quantity that passes: the part that reduces, and what the caps leave to open."""

    def __init__(self, intent: OrderIntent, opening: float) -> None:
        self._intent = intent
        self._opening_usd = (intent.quote_notional or 0.0) * opening
        self._reducing_usd = (intent.quote_notional or 0.0) - self._opening_usd
        self._order_usd = inf

    def restrict(self, headroom_usd: float, *, is_whole_order: bool) -> None:
        """Leave `headroom_usd` of the whole order, or of the part of it that opens."""
        if is_whole_order:
            self._order_usd = min(self._order_usd, headroom_usd)
        else:
            self._opening_usd = min(self._opening_usd, max(headroom_usd, 0.0))

    def largest_qty(self, symbol: SymbolLimits) -> float:
        """In the base asset; 0 where what is left is less than the exchange or the desk takes."""
        qty, notional = self._intent.qty, self._intent.quote_notional
        left_usd = min(self._reducing_usd + self._opening_usd, self._order_usd)
        if qty is None or notional is None or not is_positive(notional):
            return 0.0
        largest = qty * (left_usd / notional)
        if not is_positive(largest):
            return 0.0
        rounded_usd = notional * (round_down(largest, symbol.lot_step) / qty)
        minimum = None if self._intent.reduce_only else symbol.min_notional_usd
        return largest if rounded_usd > 0 and (minimum is None or rounded_usd >= minimum) else 0.0


def read_rules(intent: OrderIntent, state: RiskState, limits: Limits) -> Iterator[RuleReading]:
    """What every rule of the built-in engine found for an intent, also those that pass or do not apply."""
    symbol = limits.of(intent.symbol)
    opening = opening_share(intent, state)
    binding = tuple(binding_rules(limits, symbol, opening > 0))
    found = {
        id(finding.rule): finding
        for finding in evaluate(binding, intent, state, limits, symbol, opening, with_passes=True)
    }
    for rule in RULES:
        finding = found.get(id(rule))
        if finding is not None:
            yield RuleReading(
                reason=rule.reason,
                limit_keys=rule.limit_keys,
                denies_when=rule.denies_when,
                outcome=finding.outcome,
                threshold=finding.threshold,
                observed=finding.observed,
                unit=finding.unit,
            )
        elif not (rule.applies_to_reduce_only or opening > 0):
            yield RuleReading(
                reason=rule.reason, limit_keys=rule.limit_keys, denies_when=rule.denies_when, outcome=Outcome.EXEMPT
            )
        else:
            yield RuleReading(
                reason=rule.reason,
                limit_keys=rule.limit_keys,
                denies_when=rule.denies_when,
                outcome=Outcome.NOT_CONFIGURED,
            )
