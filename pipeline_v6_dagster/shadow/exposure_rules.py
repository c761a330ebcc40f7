"""Rules on exposure: caps on one order, a symbol, a tier, the account, and gates on what is held.

Limits apply to gross (absolute) exposure, as Binance USD-M futures count it: notional is price times quantity.
"""

from math import inf

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.readings import EPSILON, Number, Reading, is_positive


def open_qty(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """What is held in the direction of the order, to which it would add."""
    maximum = symbol.max_open_qty
    if maximum is None:
        return None
    held = intent.symbol_open_qty
    return held is None or not abs(held) < maximum * (1 - EPSILON), maximum, held, "qty"


def leverage(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Leverage asked for."""
    maximum = symbol.max_leverage
    if maximum is None:
        return None
    asked = intent.leverage
    return not is_positive(asked) or asked > maximum * (1 + EPSILON), maximum, asked, "x"


def max_concurrent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Open positions, unless this symbol is one of them; none may be opened where the universe allows it none."""
    if symbol.max_concurrent_positions == 0:
        return True, 0.0, None if state.has_position is None else float(state.has_position), "positions"
    maximum = limits.max_concurrent_positions
    if maximum is None:
        return None
    count = intent.open_positions_count
    is_over = not state.has_position and (count is None or not 0 <= count < maximum)
    return is_over, float(maximum), count, "positions"


def already_in_trade(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """A position in the order's direction, or one of which no log tells the direction."""
    if limits.is_pyramiding_allowed:
        return None
    held = intent.symbol_open_qty
    if state.is_in_trade is False:
        return False, 0.0, held if held is not None else 0.0, "qty"
    return True, 0.0, held, "qty"


def order_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """The symbol's and the universe's limit on one order."""
    cap = symbol.max_order_notional_usd
    return None if cap is None else (cap, 0.0)


def symbol_nav_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """The symbol's share of NAV."""
    ratio = symbol.max_symbol_nav_ratio
    return None if ratio is None else (_of_nav(intent, ratio), intent.current_gross_notional)


def equity_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """One order's share of NAV, by the older key."""
    return _of_nav(intent, limits.trade_equity_nav_ratio), 0.0


def trade_nav_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """One order's share of NAV."""
    return _of_nav(intent, limits.max_trade_nav_ratio), 0.0


def portfolio_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """Gross exposure of all symbols."""
    ratio = limits.max_portfolio_gross_nav_ratio
    return None if ratio is None else (_of_nav(intent, ratio), state.portfolio_gross_usd)


def tier_cap(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """The share of NAV that a symbol of the tier may have."""
    if not limits.tier_nav_ratios or intent.tier_name is None:
        return None
    ratio = limits.tier_nav_ratios.get(intent.tier_name)
    # A tier that has a name but no limit is unknown, and what is unknown is denied.
    return (None if ratio is None else _of_nav(intent, ratio)), intent.current_gross_notional


def _of_nav(intent: OrderIntent, ratio: float) -> float | None:
    nav_usd = intent.nav_usd
    return nav_usd * ratio if nav_usd is not None and 0 < nav_usd < inf else None
