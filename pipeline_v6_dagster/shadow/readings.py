"""What a rule reads off an intent and a state: whether it denies, its threshold, what it observed, in which unit."""

from collections.abc import Callable
from math import inf

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState

# Relative room for binary rounding, so that an order exactly at its limit passes.
EPSILON = 1e-9

Number = float | None
# (denies, threshold, observed, unit). A plain tuple: every rule makes one for every attempt.
Reading = tuple[bool, float | str | None, float | str | None, str]
# None where nothing is configured.
GateCheck = Callable[[OrderIntent, RiskState, Limits, SymbolLimits], Reading | None]
# A cap's (limit, what counts against it already), both in USD; None where nothing is configured.
CapRoom = Callable[[OrderIntent, RiskState, Limits, SymbolLimits], tuple[Number, Number] | None]

# Whether the configuration says anything for a rule to check.
IsSet = Callable[[Limits, SymbolLimits], bool]


def always(limits: Limits, symbol: SymbolLimits) -> bool:
    """A rule that needs no configuration."""
    return True


def is_positive(value: float | None) -> bool:
    """Known, finite and above zero."""
    return value is not None and 0 < value < inf
