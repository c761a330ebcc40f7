"""The table of pre-trade rules, one entry each, in the order in which a decision lists them.

A rule is a gate (no size passes) or a cap (a smaller order passes). What a rule measures is in the files that the
table imports; what the engine does with it is `shadow.risk`; where the limits come from is `config.limits`.
"""

from dataclasses import dataclass

from pipeline_v6_dagster.domain.risk import DenyReason
from pipeline_v6_dagster.shadow import exposure_rules as exposure
from pipeline_v6_dagster.shadow import history_rules as history
from pipeline_v6_dagster.shadow import intent_rules as of_intent
from pipeline_v6_dagster.shadow.readings import CapRoom, GateCheck, IsSet, always


@dataclass(frozen=True, slots=True)
class Gate:
    """A rule that no size passes.

    `is_set`: whether the configuration says anything of it. `when_unknown`: what holds where no log tells.
    """

    reason: DenyReason
    denies_when: str
    limit_keys: tuple[str, ...]
    unit: str
    check: GateCheck
    applies_to_reduce_only: bool = True
    when_unknown: str = "-"
    is_set: IsSet = always


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
    when_unknown: str = "denies"
    is_set: IsSet = always


R = DenyReason
RULES: tuple[Gate | Cap, ...] = (
    Gate(
        R.INVALID_INTENT,
        "quantity, notional or price not finite or not above 0; side not BUY, SELL, LONG or SHORT; no symbol",
        (),
        "-",
        of_intent.invalid_intent,
        when_unknown="denies",
    ),
    Gate(R.KILL_SWITCH, "the kill switch is on", ("kill_switch",), "switch", of_intent.kill_switch),
    Gate(
        R.NAV_STALE,
        "NAV missing, not finite, not above 0, or older than the limit"
        " (only a warning where `fail_closed_on_nav_stale` is false)",
        ("nav_freshness_seconds", "fail_closed_on_nav_stale"),
        "s",
        of_intent.nav_stale,
        when_unknown="denies",
    ),
    Gate(
        R.UNKNOWN_SYMBOL,
        "the universe does not list the symbol",
        ("symbols", "universe"),
        "symbol",
        of_intent.unknown_symbol,
    ),
    Gate(
        R.SYMBOL_DISABLED,
        "the symbol is switched off",
        ("enabled", "status"),
        "switch",
        of_intent.symbol_disabled,
    ),
    Gate(
        R.RESTRICTED_SYMBOL,
        "the symbol is restricted",
        ("restricted_symbols",),
        "symbol",
        of_intent.restricted,
        is_set=lambda limits, symbol: bool(limits.restricted_symbols),
    ),
    Gate(
        R.NOT_WHITELISTED,
        "there is a whitelist and the symbol is not on it",
        ("whitelist",),
        "symbol",
        of_intent.not_whitelisted,
        is_set=lambda limits, symbol: limits.whitelist is not None,
    ),
    Gate(
        R.SIDE_BLOCKED,
        "the side is blocked for the symbol",
        ("block_sides",),
        "side",
        of_intent.side_blocked,
        is_set=lambda limits, symbol: bool(symbol.block_sides),
    ),
    Gate(
        R.BELOW_MIN_NOTIONAL,
        "notional, rounded down to the lot step, below the largest of the global, symbol and universe minima, or 0"
        " (reduce-only: 0)",
        ("min_notional", "min_notional_usd", "min_notional_usdt", "step_size"),
        "usd",
        of_intent.below_min_notional,
    ),
    Cap(
        R.SYMBOL_CAP,
        "notional above the smallest of the symbol's and the universe's order limit",
        ("max_order_notional", "max_notional_usd"),
        exposure.order_cap,
        when_unknown="-",
        is_set=lambda limits, symbol: symbol.max_order_notional_usd is not None,
    ),
    Gate(
        R.SYMBOL_CAP,
        "open quantity in the order's direction at its limit",
        ("max_open_qty",),
        "qty",
        exposure.open_qty,
        applies_to_reduce_only=False,
        when_unknown="denies",
        is_set=lambda limits, symbol: symbol.max_open_qty is not None,
    ),
    Cap(
        R.SYMBOL_NAV_CAP,
        "the symbol's gross exposure plus notional above NAV times the smallest ratio",
        ("max_nav_pct", "max_symbol_exposure_pct"),
        exposure.symbol_nav_cap,
        is_set=lambda limits, symbol: symbol.max_symbol_nav_ratio is not None,
    ),
    Gate(
        R.LEVERAGE_EXCEEDED,
        "leverage above the smallest of the global, symbol and universe limits",
        ("max_leverage",),
        "x",
        exposure.leverage,
        applies_to_reduce_only=False,
        is_set=lambda limits, symbol: symbol.max_leverage is not None,
    ),
    Cap(
        R.TRADE_GT_EQUITY_CAP,
        "notional above NAV times the ratio",
        ("trade_equity_nav_pct",),
        exposure.equity_cap,
    ),
    Cap(
        R.TRADE_GT_MAX_TRADE_NAV_PCT,
        "notional above NAV times the ratio",
        ("max_trade_nav_pct",),
        exposure.trade_nav_cap,
    ),
    Cap(
        R.PORTFOLIO_CAP,
        "portfolio gross exposure plus notional above NAV times the ratio",
        ("max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct"),
        exposure.portfolio_cap,
        is_set=lambda limits, symbol: limits.max_portfolio_gross_nav_ratio is not None,
    ),
    Cap(
        R.TIER_CAP,
        "the symbol's gross exposure plus notional above NAV times its tier's ratio",
        ("tiers.*.per_symbol_nav_pct",),
        exposure.tier_cap,
        is_set=lambda limits, symbol: bool(limits.tier_nav_ratios),
    ),
    Gate(
        R.MAX_CONCURRENT,
        "open positions at the limit and this symbol is not one of them, or the universe allows the symbol none",
        ("max_concurrent_positions",),
        "positions",
        exposure.max_concurrent,
        applies_to_reduce_only=False,
        when_unknown="denies",
        is_set=lambda limits, symbol: (
            limits.max_concurrent_positions is not None or symbol.max_concurrent_positions == 0
        ),
    ),
    Gate(
        R.ALREADY_IN_TRADE,
        "an open position in the order's direction (unless `allow_pyramiding`, which is off by default)",
        ("allow_pyramiding",),
        "qty",
        exposure.already_in_trade,
        applies_to_reduce_only=False,
        when_unknown="denies",
        is_set=lambda limits, symbol: not limits.is_pyramiding_allowed,
    ),
    Gate(
        R.COOLDOWN,
        "within the time of the symbol's last fill",
        ("cooldown_sec",),
        "s",
        history.cooldown_after_fill,
        applies_to_reduce_only=False,
        when_unknown="no log of a fill: passes",
        is_set=lambda limits, symbol: symbol.cooldown_s is not None,
    ),
    Gate(
        R.COOLDOWN,
        "within the time of the symbol's last close at a loss",
        ("cooldown_minutes_after_stop",),
        "s",
        history.cooldown_after_loss,
        applies_to_reduce_only=False,
        when_unknown="no log of a loss: passes",
        is_set=lambda limits, symbol: limits.cooldown_after_loss_s is not None,
    ),
    Gate(
        R.TRADE_RATE_LIMIT,
        "opening orders of the symbol in the last hour at the limit",
        ("max_trades_per_symbol_per_hour",),
        "orders",
        history.trade_rate,
        applies_to_reduce_only=False,
        when_unknown="no log of an order: passes",
        is_set=lambda limits, symbol: symbol.max_openings_per_hour is not None,
    ),
    Gate(
        R.BURST_LIMIT,
        "attempts in `window_sec` at `max_orders`",
        ("burst_limit.window_sec", "burst_limit.max_orders"),
        "attempts",
        history.burst,
        applies_to_reduce_only=False,
        is_set=lambda limits, symbol: limits.burst_max_orders is not None,
    ),
    Gate(
        R.CIRCUIT_BREAKER,
        "order errors and rejections in `window_sec` at `max_errors`",
        ("circuit_breaker.window_sec", "circuit_breaker.max_errors", "error_circuit"),
        "errors",
        history.circuit_breaker,
        applies_to_reduce_only=False,
        when_unknown="no log of an error: passes",
        is_set=lambda limits, symbol: limits.breaker_max_errors is not None,
    ),
    Gate(
        R.DAY_LOSS_LIMIT,
        "realised loss since midnight of `reset_timezone` at NAV times the ratio",
        ("daily_loss_limit_pct", "reset_timezone"),
        "usd",
        history.day_loss,
        applies_to_reduce_only=False,
        when_unknown="no NAV: denies; no log of a close: no loss",
        is_set=lambda limits, symbol: limits.day_loss_nav_ratio is not None,
    ),
    Gate(
        R.NAV_DRAWDOWN_LIMIT,
        "fall of NAV from its peak (since `nav_peak_since`, where set) at the ratio",
        ("max_nav_drawdown_pct", "nav_peak_since"),
        "ratio",
        history.drawdown,
        applies_to_reduce_only=False,
        when_unknown="no NAV or no peak: denies",
        is_set=lambda limits, symbol: limits.drawdown_nav_ratio is not None,
    ),
    Gate(
        R.PRICE_COLLAR,
        "price further than the ratio from the symbol's newest known fill or mark",
        ("price_collar_pct",),
        "ratio",
        of_intent.price_collar,
        when_unknown="no price known: denies",
        is_set=lambda limits, symbol: symbol.price_collar_ratio is not None,
    ),
    Gate(
        R.DUPLICATE_INTENT,
        "the same intent id among the last 5,000 attempts, or the same symbol, side and quantity within the window",
        ("duplicate_window_sec",),
        "s",
        of_intent.duplicate_intent,
    ),
)
