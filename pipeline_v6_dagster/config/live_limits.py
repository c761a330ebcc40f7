"""The limits that live applied, as its vetoes log them, beside those that v6 reads.

A veto row carries thresholds. Where they differ from the configuration, the two sides can never agree.
"""

from collections.abc import Callable, Mapping
from math import isclose, isfinite
from typing import NamedTuple

from pipeline_v6_dagster.config.units import from_text, to_ratio
from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits


class LimitDifference(NamedTuple):
    """One limit that live applied with another value. Ratios of NAV, USD, seconds, counts, as `domain.limits` has them.

    `configured` is None where nothing that v6 reads limits this.
    """

    name: str
    live: float
    configured: float | None


_Configured = Callable[[Limits, SymbolLimits], float | None]

_LIMITS: Mapping[str, _Configured] = {
    "nav_freshness_seconds": lambda limits, symbol: limits.nav_freshness_s,
    "max_leverage": lambda limits, symbol: symbol.max_leverage,
    "min_notional": lambda limits, symbol: symbol.min_notional_usd,
    "min_gross_usd": lambda limits, symbol: symbol.min_notional_usd,
    "max_order_notional": lambda limits, symbol: symbol.max_order_notional_usd,
    "max_notional_per_trade": lambda limits, symbol: symbol.max_order_notional_usd,
    "max_concurrent_positions": lambda limits, symbol: limits.max_concurrent_positions,
    "max_trades_per_symbol_per_hour": lambda limits, symbol: symbol.max_openings_per_hour,
    "cooldown_sec": lambda limits, symbol: symbol.cooldown_s,
    "circuit_breaker.max_errors": lambda limits, symbol: limits.breaker_max_errors,
    "circuit_breaker.window_sec": lambda limits, symbol: limits.breaker_window_s,
    "error_circuit.max_errors": lambda limits, symbol: limits.breaker_max_errors,
    "error_circuit.window_sec": lambda limits, symbol: limits.breaker_window_s,
    "burst_limit.max_orders": lambda limits, symbol: limits.burst_max_orders,
    "burst_limit.window_sec": lambda limits, symbol: limits.burst_window_s,
    # Limits that no rule of v6 has.
    "bucket_cap": lambda limits, symbol: None,
    "max_open_notional": lambda limits, symbol: None,
}
# Written as a fraction or as a percent, as in the configuration.
_RATIOS: Mapping[str, _Configured] = {
    "trade_equity_nav_pct": lambda limits, symbol: limits.trade_equity_nav_ratio,
    "max_trade_nav_pct": lambda limits, symbol: limits.max_trade_nav_ratio,
    "max_portfolio_gross_nav_pct": lambda limits, symbol: limits.max_portfolio_gross_nav_ratio,
    "max_gross_nav_pct": lambda limits, symbol: limits.max_portfolio_gross_nav_ratio,
    "max_gross_exposure_pct": lambda limits, symbol: limits.max_portfolio_gross_nav_ratio,
    "max_symbol_exposure_pct": lambda limits, symbol: symbol.max_symbol_nav_ratio,
    "max_nav_pct": lambda limits, symbol: symbol.max_symbol_nav_ratio,
    "daily_loss_limit_pct": lambda limits, symbol: limits.day_loss_nav_ratio,
    "max_nav_drawdown_pct": lambda limits, symbol: limits.drawdown_nav_ratio,
}
# More digits than anybody configures; a sum or a product of live's may differ in the last ones.
_RELATIVE = 1e-9


def is_ratio(name: str) -> bool:
    """Whether a difference of this name holds ratios of NAV."""
    return name in _RATIOS or name.startswith("tiers.")


def live_limit_differences(
    thresholds: Mapping[str, object], limits: Limits, symbol: str | None
) -> tuple[LimitDifference, ...]:
    """The thresholds of one veto of `symbol` that differ from `limits`, sorted by name.

    `thresholds` are as live wrote them, nested ones included. What names no limit and what is no number is left out.
    """
    rules = limits.of(symbol or "")
    found = []
    for name, value in sorted(_flat(thresholds).items()):
        if name in _RATIOS:
            live, configured = to_ratio(value), _RATIOS[name](limits, rules)
        elif name in _LIMITS:
            live, configured = value, _LIMITS[name](limits, rules)
        elif name.startswith("tiers."):
            live, configured = to_ratio(value), limits.tier_nav_ratios.get(name.removeprefix("tiers."))
        else:
            continue
        if configured is None or not isclose(live, configured, rel_tol=_RELATIVE):
            found.append(LimitDifference(name, live, None if configured is None else float(configured)))
    return tuple(found)


def _flat(thresholds: Mapping[str, object]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, value in thresholds.items():
        if name == "tier_cap" and isinstance(value, Mapping) and isinstance(value.get("tier"), str):
            nested = {f"tiers.{value['tier']}": value.get("per_symbol_nav_pct")}
        elif isinstance(value, Mapping):
            nested = {f"{name}.{key}": item for key, item in value.items()}
        else:
            nested = {name: value}
        for key, item in nested.items():
            number = from_text(item)
            if isinstance(number, int | float) and not isinstance(number, bool) and _is_finite(number):
                numbers[key] = float(number)
    return numbers


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # a whole number beyond the largest float
        return False
