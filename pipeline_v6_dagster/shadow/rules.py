"""The pre-trade rules, one entry each, in the order in which a decision lists them.

A rule is a gate (no size passes) or a cap (a smaller order passes). What the engine does with them is
`shadow.risk`; where their numbers come from is `config.limits`. Rule numbers are Binance USD-M futures
conventions: notional is price times quantity, limits apply to gross (absolute) exposure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, Diagnostic, OrderIntent, RiskState

# Relative room for binary rounding, so that an order exactly at its limit passes.
EPSILON = 1e-9

Number = float | None
GateCheck = Callable[[OrderIntent, RiskState, Limits, SymbolLimits], Diagnostic | None]
# A cap's (limit, what counts against it already), both in USD; None where nothing is configured.
CapRoom = Callable[[OrderIntent, RiskState, Limits, SymbolLimits], tuple[Number, Number] | None]


@dataclass(frozen=True, slots=True)
class Gate:
    """A rule that no size passes. `check` returns the diagnostic of a denial, else None."""

    reason: DenyReason
    denies_when: str
    limit_keys: tuple[str, ...]
    unit: str
    check: GateCheck
    applies_to_reduce_only: bool = True


@dataclass(frozen=True, slots=True)
class Cap:
    """A rule on exposure: denies where what is there already plus the order's notional is above the limit.

    Reduce-only intents are exempt from every cap. A number that is needed and not known denies.
    """

    reason: DenyReason
    denies_when: str
    limit_keys: tuple[str, ...]
    room: CapRoom
    unit: str = "usd"
    applies_to_reduce_only: bool = False


def is_positive(value: float | None) -> bool:
    """Known, finite and above zero."""
    return value is not None and isfinite(value) and value > 0


def _invalid_intent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    if not intent.symbol:
        return Diagnostic("a symbol", None, "text")
    if intent.side is None:
        return Diagnostic("BUY, SELL, LONG or SHORT", None, "text")
    if not is_positive(intent.qty):
        return Diagnostic(0.0, intent.qty, "qty")
    if not is_positive(intent.price):
        return Diagnostic(0.0, intent.price, "price")
    if not is_positive(intent.quote_notional):
        return Diagnostic(0.0, intent.quote_notional, "usd")
    return None


def _kill_switch(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    return Diagnostic("off", "on", "switch") if limits.is_kill_switch_on else None


def _nav_stale(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    if not is_positive(intent.nav_usd):
        return Diagnostic(0.0, intent.nav_usd, "usd")
    age, fresh = state.nav_age_s, limits.nav_freshness_s
    if age is None or not 0 <= age < inf or (fresh is not None and age > fresh):
        return Diagnostic(fresh, age, "s")
    return None


def _unknown_symbol(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    return None if symbol.is_known else Diagnostic("in the universe", intent.symbol, "symbol")


def _symbol_disabled(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    return None if symbol.is_enabled else Diagnostic("enabled", "disabled", "switch")


def _restricted(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    if intent.symbol in limits.restricted_symbols:
        return Diagnostic("not restricted", intent.symbol, "symbol")
    return None


def _not_whitelisted(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    if limits.whitelist is not None and intent.symbol not in limits.whitelist:
        return Diagnostic("whitelisted", intent.symbol, "symbol")
    return None


def _side_blocked(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    if intent.side in symbol.block_sides:
        return Diagnostic("not blocked", intent.side, "side")
    return None


def _below_min_notional(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> Diagnostic | None:
    minimum = symbol.min_notional_usd
    if minimum is None or intent.quote_notional is None:
        return None
    if intent.quote_notional < minimum * (1 - EPSILON):
        return Diagnostic(minimum, intent.quote_notional, "usd")
    return None


def _open_qty(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    maximum = symbol.max_open_qty
    if maximum is None:
        return None
    held = intent.symbol_open_qty
    if held is None or not abs(held) < maximum * (1 - EPSILON):
        return Diagnostic(maximum, held, "qty")
    return None


def _leverage(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    maximum = symbol.max_leverage
    if maximum is None:
        return None
    leverage = intent.leverage
    if not is_positive(leverage) or leverage > maximum * (1 + EPSILON):
        return Diagnostic(maximum, leverage, "x")
    return None


def _max_concurrent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Diagnostic | None:
    maximum = limits.max_concurrent_positions
    if maximum is None or state.has_position:
        return None
    count = intent.open_positions_count
    if count is None or not 0 <= count < maximum:
        return Diagnostic(float(maximum), count, "positions")
    return None


def _of_nav(intent: OrderIntent, ratio: float) -> float | None:
    return intent.nav_usd * ratio if intent.nav_usd is not None and is_positive(intent.nav_usd) else None


def _order_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    cap = symbol.max_order_notional_usd
    return None if cap is None else (cap, 0.0)


def _symbol_nav_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    ratio = symbol.max_symbol_nav_ratio
    return None if ratio is None else (_of_nav(intent, ratio), intent.current_gross_notional)


def _equity_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    return _of_nav(intent, limits.trade_equity_nav_ratio), 0.0


def _trade_nav_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    return _of_nav(intent, limits.max_trade_nav_ratio), 0.0


def _portfolio_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    ratio = limits.max_portfolio_gross_nav_ratio
    return None if ratio is None else (_of_nav(intent, ratio), state.portfolio_gross_usd)


def _tier_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    if not limits.tier_nav_ratios or intent.tier_name is None:
        return None
    ratio = limits.tier_nav_ratios.get(intent.tier_name)
    # A tier that has a name but no limit is unknown, and what is unknown is denied.
    return (None if ratio is None else _of_nav(intent, ratio)), intent.current_gross_notional


R = DenyReason
RULES: tuple[Gate | Cap, ...] = (
    Gate(
        R.INVALID_INTENT,
        "quantity, notional or price not finite or not above 0; side not BUY, SELL, LONG or SHORT; no symbol",
        (),
        "-",
        _invalid_intent,
    ),
    Gate(R.KILL_SWITCH, "the kill switch is on", ("kill_switch",), "switch", _kill_switch),
    Gate(
        R.NAV_STALE,
        "NAV missing, not finite, not above 0, or older than the limit"
        " (only a warning where `fail_closed_on_nav_stale` is false)",
        ("nav_freshness_seconds", "fail_closed_on_nav_stale"),
        "s",
        _nav_stale,
    ),
    Gate(R.UNKNOWN_SYMBOL, "the universe does not list the symbol", ("symbols", "universe"), "symbol", _unknown_symbol),
    Gate(R.SYMBOL_DISABLED, "the symbol is switched off", ("enabled", "status"), "switch", _symbol_disabled),
    Gate(R.RESTRICTED_SYMBOL, "the symbol is restricted", ("restricted_symbols",), "symbol", _restricted),
    Gate(
        R.NOT_WHITELISTED,
        "there is a whitelist and the symbol is not on it",
        ("whitelist",),
        "symbol",
        _not_whitelisted,
    ),
    Gate(R.SIDE_BLOCKED, "the side is blocked for the symbol", ("block_sides",), "side", _side_blocked),
    Gate(
        R.BELOW_MIN_NOTIONAL,
        "notional below the largest of the global, symbol and universe minima",
        ("min_notional", "min_notional_usd", "min_notional_usdt"),
        "usd",
        _below_min_notional,
        # The exchange takes a reduce-only order of any size (Binance error -4164 names the exemption).
        applies_to_reduce_only=False,
    ),
    Cap(
        R.SYMBOL_CAP,
        "notional above the smallest of the symbol's and the universe's order limit",
        ("max_order_notional", "max_notional_usd"),
        _order_cap,
    ),
    Gate(
        R.SYMBOL_CAP,
        "open quantity at its limit, or not known",
        ("max_open_qty",),
        "qty",
        _open_qty,
        applies_to_reduce_only=False,
    ),
    Cap(
        R.SYMBOL_NAV_CAP,
        "the symbol's gross exposure plus notional above NAV times the smallest ratio",
        ("max_nav_pct", "max_symbol_exposure_pct"),
        _symbol_nav_cap,
    ),
    Gate(
        R.LEVERAGE_EXCEEDED,
        "leverage above the smallest of the global, symbol and universe limits",
        ("max_leverage",),
        "x",
        _leverage,
        applies_to_reduce_only=False,
    ),
    Cap(R.TRADE_GT_EQUITY_CAP, "notional above NAV times the ratio", ("trade_equity_nav_pct",), _equity_cap),
    Cap(R.TRADE_GT_MAX_TRADE_NAV_PCT, "notional above NAV times the ratio", ("max_trade_nav_pct",), _trade_nav_cap),
    Cap(
        R.PORTFOLIO_CAP,
        "portfolio gross exposure plus notional above NAV times the ratio",
        ("max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct"),
        _portfolio_cap,
    ),
    Cap(
        R.TIER_CAP,
        "the symbol's gross exposure plus notional above NAV times its tier's ratio",
        ("tiers.*.per_symbol_nav_pct",),
        _tier_cap,
    ),
    Gate(
        R.MAX_CONCURRENT,
        "open positions at the limit, or not known, and this symbol is not one of them",
        ("max_concurrent_positions",),
        "positions",
        _max_concurrent,
        applies_to_reduce_only=False,
    ),
)
