"""Gates on what happened before: fills, orders, attempts, errors, losses. All of it as of the attempt.

A window is open at its far end: what is exactly as old as the window no longer counts.
"""

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.readings import EPSILON, Reading, is_positive


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
    """Attempts of all symbols within the window."""
    return _count(limits.burst_max_orders, state.attempts_in_window, "attempts")


def circuit_breaker(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Order errors within the window."""
    return _count(limits.breaker_max_errors, state.errors_in_window, "errors")


def _count(maximum: int | None, count: int, unit: str) -> Reading | None:
    if maximum is None:
        return None
    return not count < maximum, float(maximum), float(count), unit


def day_loss(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Loss realised since the desk's midnight, against NAV."""
    ratio = limits.day_loss_nav_ratio
    if ratio is None:
        return None
    nav_usd, loss_usd = intent.nav_usd, 0.0 - state.day_pnl_usd
    if nav_usd is None or not is_positive(nav_usd):
        return None if limits.is_fail_closed_on_nav_stale else (True, None, loss_usd, "usd")  # nav_stale says it
    threshold_usd = ratio * nav_usd
    return not loss_usd < threshold_usd * (1 - EPSILON), threshold_usd, loss_usd, "usd"


def drawdown(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Fall of NAV from its peak, as a ratio of the peak."""
    ratio = limits.drawdown_nav_ratio
    if ratio is None:
        return None
    nav_usd, peak_usd = intent.nav_usd, state.peak_nav_usd
    if nav_usd is None or not is_positive(nav_usd):
        return None if limits.is_fail_closed_on_nav_stale else (True, ratio, None, "ratio")  # nav_stale says it
    if peak_usd is None or not is_positive(peak_usd):
        return True, ratio, None, "ratio"
    fall = 1 - nav_usd / peak_usd
    return not fall < ratio * (1 - EPSILON), ratio, fall, "ratio"
