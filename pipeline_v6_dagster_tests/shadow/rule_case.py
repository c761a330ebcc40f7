"""A rule of the table under test: its limit in each way to write it, and values on both sides of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from math import inf, nan
from typing import Any

from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision
from pipeline_v6_dagster.shadow.risk import RiskEngineV6
from pipeline_v6_dagster_tests.builders import intent, limits, state

Values = dict[str, Any]
NO_NUMBERS = (None, nan, inf, -inf)
NOT_POSITIVE = (*NO_NUMBERS, 0.0, -1.0)
NO_NAV = {"nav_usd": NOT_POSITIVE}
NO_EXPOSURE: dict[str, Sequence[Any]] = {
    name: NO_NUMBERS for name in ("current_gross_notional", "pending_live_usd", "pending_v6_usd")
}
# Beside a limit: further than the rounding of floats, nearer than any size or price that is traded.
BELOW, ABOVE = 1 - 1e-6, 1 + 1e-6
# What is measured where the configuration itself is what denies.
CONFIGURATION = "configuration"
INTENT_FIELDS = {each.name for each in fields(OrderIntent)}


@dataclass(kw_only=True)
class Case:
    """One rule: `configured` are ways to write the same limit, `given` is what the order and the account are like.

    `passing` and `denied` are values of `measured`. `unknown` holds values by field that no rule may take for an
    answer; those in `unknown_passes` are what the table says passes. `is_denied_reducing`: whether the reduce-only
    order is denied too, as the table says where None.
    """

    measured: str
    passing: Sequence[Any]
    denied: Sequence[Any]
    configured: Sequence[Limits] = ()
    given: Values = field(default_factory=dict)
    unknown: dict[str, Sequence[Any]] = field(default_factory=dict)
    unknown_passes: dict[str, Sequence[Any]] = field(default_factory=dict)
    is_denied_reducing: bool | None = None

    def decide(self, changes: Values, *, is_reduce_only: bool = False) -> list[RiskDecision]:
        """A decision under each configuration."""
        values = {"reduce_only": is_reduce_only} | self.given | changes
        configured = [values.pop(CONFIGURATION)] if CONFIGURATION in values else self.configured
        if values.get("quote_notional") is not None:
            values = {"qty": values["quote_notional"] / 100} | values
        order = intent(**{name: value for name, value in values.items() if name in INTENT_FIELDS})
        known = state(**{name: value for name, value in values.items() if name not in INTENT_FIELDS})
        return [RiskEngineV6(rules).check_order(order, known) for rules in configured]


def account_wide(ratio: float, *keys: str) -> list[Limits]:
    """A ratio of the account as fraction and percent, at both levels. Without NAV it is this limit that must deny."""
    nav = {"fail_closed_on_nav_stale": False}
    written = [{key: value} for key in keys for value in (ratio, ratio * 100)]
    return [limits(nav | risk) for risk in written] + [limits(nav | {"global": risk}) for risk in written]


def own(ratio: float, key: str) -> list[Limits]:
    """The same of a symbol."""
    nav = {"fail_closed_on_nav_stale": False}
    return [limits(nav, {key: value}) for value in (ratio, ratio * 100)]


def notional(configured: Sequence[Limits], unknown: dict[str, Sequence[Any]], **given: Any) -> Case:
    """A cap that leaves 500 USD."""
    return Case(
        measured="quote_notional",
        passing=(500.0 * BELOW, 500.0),
        denied=(500.0 * ABOVE, 1_000.0),
        configured=configured,
        given=given,
        unknown=unknown,
    )


def count(measured: str, *configured: Limits) -> Case:
    """A count that denies at 3. It is made from the logs that there are, so it is never unknown."""
    return Case(measured=measured, passing=(0, 2), denied=(3, 4), configured=configured)


def elapsed(measured: str, seconds: float, *configured: Limits) -> Case:
    """A time that must have passed since what no log may tell of."""
    return Case(
        measured=measured,
        passing=(seconds * ABOVE, seconds),
        denied=(seconds * BELOW, 0.0),
        configured=configured,
        unknown={measured: (nan,)},
        unknown_passes={measured: (None, inf)},
    )


def loss(measured: str, key: str) -> Case:
    """A loss of 5 % of NAV."""
    return Case(
        measured=measured,
        passing=(10.0, 0.0, -500.0 * BELOW),
        denied=(-500.0, -500.0 * ABOVE),
        configured=account_wide(0.05, key),
        unknown={measured: (nan, -inf), **NO_NAV},
    )


def switch(passing: Sequence[Limits], denied: Sequence[Limits], **given: Any) -> Case:
    """A rule that is on or off."""
    return Case(measured=CONFIGURATION, passing=passing, denied=denied, given=given)
