"""What a rule is, and what it reads off an intent and a state: whether it denies, its threshold, what it observed."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState

# Relative tolerance for binary rounding, so that an order exactly at its limit passes.
EPSILON = 1e-9

Number = float | None
# (denies, threshold, observed, unit). A plain tuple: every rule makes one for every attempt.
Reading = tuple[bool, float | str | None, float | str | None, str]
# None where nothing is configured.
GateCheck = Callable[[OrderIntent, RiskState, Limits, SymbolLimits], Reading | None]
# A cap's (limit, exposure that counts against it already), both in USD; None where nothing is configured.
CapMeasure = Callable[[OrderIntent, RiskState, Limits, SymbolLimits], tuple[Number, Number] | None]

# Whether the configuration holds anything for a rule to check.
IsSet = Callable[[Limits, SymbolLimits], bool]


def always(limits: Limits, symbol: SymbolLimits) -> bool:
    """A rule that needs no configuration."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A rule that no size passes.

    `default` is the limit where the configuration has none, `source` the exchange filter or regulation that asks for
    such a rule. `applies_to_reduce_only`: whether it is checked for what a reduce-only order reduces; the part of such
    an order that exceeds the position is an opening and is checked by every rule. `when_unknown`: the outcome where no
    log says what the rule needs. `is_set`: whether the configuration holds anything to check. `can_deny`: whether the
    configuration lets the rule deny any order at all.
    """

    reason: DenyReason
    denies_when: str
    limit_keys: tuple[str, ...]
    unit: str
    check: GateCheck
    applies_to_reduce_only: bool = True
    when_unknown: str = "-"
    default: str = "off"
    source: str = "-"
    is_set: IsSet = always
    can_deny: IsSet = always


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A rule that a smaller order passes: denies where the exposure plus the order's notional is above the limit.

    A number that is needed and not known denies. With `applies_to_reduce_only` the whole order counts against the
    limit, else what it opens. The other fields are those of `Gate`.
    """

    reason: DenyReason
    denies_when: str
    limit_keys: tuple[str, ...]
    measure: CapMeasure
    unit: str = "usd"
    applies_to_reduce_only: bool = False
    when_unknown: str = "denies"
    default: str = "off"
    source: str = "-"
    is_set: IsSet = always
    can_deny: IsSet = always


def is_positive(value: float | None) -> bool:
    """Known, finite and above zero."""
    return value is not None and 0 < value < inf


def plus(exposure: float | None, pending: float | None) -> float | None:
    """Exposure with what is on its way; None where either is not known."""
    return None if exposure is None or pending is None else exposure + pending
