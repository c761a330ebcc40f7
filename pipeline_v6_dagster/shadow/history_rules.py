"""Gates on what happened before: fills, orders, errors, losses; and their entries in the table. As of the attempt.

A window is open at its far end: what is exactly as old as the window no longer counts.
"""

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState
from pipeline_v6_dagster.shadow.readings import EPSILON, Gate, Reading, is_positive


def cooldown_after_fill(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Time since the symbol's last fill."""
    return _cooldown(symbol.cooldown_s, state.since_fill_s)


def cooldown_after_loss(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Time since the symbol was last closed at a loss."""
    return _cooldown(limits.cooldown_after_loss_s, state.since_loss_s)


def _cooldown(cooldown_s: float | None, since_s: float | None) -> Reading | None:
    if cooldown_s is None:
        return None
    return since_s is not None and not since_s >= cooldown_s, cooldown_s, since_s, "s"


def trade_rate(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Opening orders of the symbol within an hour."""
    return _count(symbol.max_openings_per_hour, state.openings_last_hour, "orders")


def burst(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Orders of all symbols that v6 allowed within the window."""
    return _count(limits.burst_max_orders, state.orders_in_window, "orders")


def circuit_breaker(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Order errors within the window."""
    return _count(limits.breaker_max_errors, state.errors_in_window, "errors")


def _count(maximum: int | None, count: int, unit: str) -> Reading | None:
    if maximum is None:
        return None
    return not count < maximum, float(maximum), float(count), unit


def day_loss(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Loss realised since the desk's midnight, against NAV."""
    return _loss(limits.day_loss_nav_ratio, state.day_pnl_usd, intent, limits)


def symbol_drawdown(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Loss of the symbol realised since the desk's midnight, against NAV."""
    return _loss(symbol.max_drawdown_ratio, state.symbol_day_pnl_usd, intent, limits)


def _loss(ratio: float | None, pnl_usd: float, intent: OrderIntent, limits: Limits) -> Reading | None:
    if ratio is None:
        return None
    nav_usd, loss_usd = intent.nav_usd, 0.0 - pnl_usd
    if nav_usd is None or not is_positive(nav_usd):
        # `nav_stale` denies already, unless it is only a warning.
        return None if limits.is_fail_closed_on_nav_stale else (True, None, loss_usd, "usd")
    threshold_usd = ratio * nav_usd
    return not loss_usd < threshold_usd * (1 - EPSILON), threshold_usd, loss_usd, "usd"


def drawdown(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Fall of NAV from its peak, as a ratio of the peak."""
    ratio = limits.drawdown_nav_ratio
    if ratio is None:
        return None
    nav_usd, peak_usd = intent.nav_usd, state.peak_nav_usd
    if nav_usd is None or not is_positive(nav_usd):
        return None if limits.is_fail_closed_on_nav_stale else (True, ratio, None, "ratio")
    if peak_usd is None or not is_positive(peak_usd):
        return True, ratio, None, "ratio"
    fall = 1 - nav_usd / peak_usd
    return not fall < ratio * (1 - EPSILON), ratio, fall, "ratio"


R = DenyReason
HISTORY_RULES: tuple[Gate, ...] = (
    Gate(
        reason=R.COOLDOWN,
        denies_when="within the time of the symbol's last fill",
        limit_keys=("cooldown_sec",),
        unit="s",
        check=cooldown_after_fill,
        applies_to_reduce_only=False,
        when_unknown="no log of a fill: passes",
        is_set=lambda limits, symbol: symbol.cooldown_s is not None,
    ),
    Gate(
        reason=R.COOLDOWN,
        denies_when="within the time of the symbol's last close at a loss",
        limit_keys=("cooldown_minutes_after_stop",),
        unit="s",
        check=cooldown_after_loss,
        applies_to_reduce_only=False,
        when_unknown="no log of a loss: passes",
        is_set=lambda limits, symbol: limits.cooldown_after_loss_s is not None,
    ),
    Gate(
        reason=R.TRADE_RATE_LIMIT,
        denies_when="opening orders of the symbol in the last hour, with those that v6 allowed and nothing has"
        " answered, at the limit",
        limit_keys=("max_trades_per_symbol_per_hour",),
        unit="orders",
        check=trade_rate,
        applies_to_reduce_only=False,
        when_unknown="no log of an order: passes",
        source="RTS 6 art. 15",
        is_set=lambda limits, symbol: symbol.max_openings_per_hour is not None,
    ),
    Gate(
        reason=R.BURST_LIMIT,
        denies_when="orders that v6 allowed in `window_sec` at `max_orders`",
        limit_keys=("burst_limit.window_sec", "burst_limit.max_orders"),
        unit="orders",
        check=burst,
        applies_to_reduce_only=False,
        source="RTS 6 art. 15",
        is_set=lambda limits, symbol: limits.burst_max_orders is not None,
    ),
    Gate(
        reason=R.CIRCUIT_BREAKER,
        denies_when="order errors and rejections in `window_sec` at `max_errors`",
        limit_keys=("circuit_breaker.window_sec", "circuit_breaker.max_errors", "error_circuit"),
        unit="errors",
        check=circuit_breaker,
        applies_to_reduce_only=False,
        when_unknown="no log of an error: passes",
        source="RTS 6 art. 15",
        is_set=lambda limits, symbol: limits.breaker_max_errors is not None,
    ),
    Gate(
        reason=R.DAY_LOSS_LIMIT,
        denies_when="realised loss since midnight of `reset_timezone` at NAV times the ratio",
        limit_keys=("daily_loss_limit_pct", "reset_timezone"),
        unit="usd",
        check=day_loss,
        applies_to_reduce_only=False,
        when_unknown="no NAV: denies; no log of a close: no loss",
        source="RTS 6 art. 17",
        is_set=lambda limits, symbol: limits.day_loss_nav_ratio is not None,
    ),
    Gate(
        reason=R.SYMBOL_DRAWDOWN,
        denies_when="the symbol's realised loss since midnight of `reset_timezone` at NAV times the ratio",
        limit_keys=("symbol_drawdown_cap_pct", "reset_timezone"),
        unit="usd",
        check=symbol_drawdown,
        applies_to_reduce_only=False,
        when_unknown="no NAV: denies; no log of a close: no loss",
        source="RTS 6 art. 17",
        is_set=lambda limits, symbol: symbol.max_drawdown_ratio is not None,
    ),
    Gate(
        reason=R.NAV_DRAWDOWN_LIMIT,
        denies_when="fall of NAV from its peak (since `nav_peak_since`, where set) at the ratio",
        limit_keys=("max_nav_drawdown_pct", "nav_peak_since"),
        unit="ratio",
        check=drawdown,
        applies_to_reduce_only=False,
        when_unknown="no NAV or no peak: denies",
        source="RTS 6 art. 17",
        is_set=lambda limits, symbol: limits.drawdown_nav_ratio is not None,
    ),
)
