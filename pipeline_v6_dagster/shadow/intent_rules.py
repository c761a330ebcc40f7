"""Gates on the intent itself and on what the configuration says of its symbol."""

from math import inf

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.lots import round_down
from pipeline_v6_dagster.shadow.readings import EPSILON, Reading, is_positive


def invalid_intent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The first field at fault."""
    if not intent.symbol:
        return True, "a symbol", None, "text"
    if intent.side is None:
        return True, "BUY, SELL, LONG or SHORT", None, "text"
    if not is_positive(intent.qty):
        return True, 0.0, intent.qty, "qty"
    if not is_positive(intent.price):
        return True, 0.0, intent.price, "price"
    return not is_positive(intent.quote_notional), 0.0, intent.quote_notional, "usd"


def kill_switch(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Denies everything."""
    return limits.is_kill_switch_on, "off", "on" if limits.is_kill_switch_on else "off", "switch"


def nav_stale(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """NAV itself first, then its age."""
    if not is_positive(intent.nav_usd):
        return True, 0.0, intent.nav_usd, "usd"
    age_s, fresh_s = state.nav_age_s, limits.nav_freshness_s
    is_stale = age_s is None or not 0 <= age_s < inf or (fresh_s is not None and age_s > fresh_s)
    return is_stale, fresh_s, age_s, "s"


def unknown_symbol(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Not in the universe."""
    return not symbol.is_known, "in the universe", intent.symbol, "symbol"


def symbol_disabled(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Switched off by either file."""
    return not symbol.is_enabled, "enabled", "enabled" if symbol.is_enabled else "disabled", "switch"


def restricted(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """On the list of restricted symbols."""
    if not limits.restricted_symbols:
        return None
    return intent.symbol in limits.restricted_symbols, "not restricted", intent.symbol, "symbol"


def not_whitelisted(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Not on the whitelist, where there is one."""
    if limits.whitelist is None:
        return None
    return intent.symbol not in limits.whitelist, "whitelisted", intent.symbol, "symbol"


def side_blocked(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The side is blocked for the symbol."""
    if not symbol.block_sides:
        return None
    return intent.side in symbol.block_sides, "not blocked", intent.side, "side"


def below_min_notional(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Too small as it is, or once it is rounded down to the lot step: v6 does not lift an order to a minimum.

    The exchange takes a reduce-only order of any size (Binance error -4164 names the exemption) but none of nothing.
    """
    notional, qty = intent.quote_notional, intent.qty
    minimum = None if intent.reduce_only else symbol.min_notional_usd
    if notional is None or not qty or (minimum is None and symbol.lot_step is None):
        return None
    if symbol.lot_step is not None:
        notional *= round_down(qty, symbol.lot_step) / qty
    return not notional > 0 or (minimum is not None and notional < minimum * (1 - EPSILON)), minimum, notional, "usd"


def price_collar(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """How far the price is from the symbol's newest known fill or mark, as a ratio of the latter."""
    widest = symbol.price_collar_ratio
    if widest is None:
        return None
    reference, price = state.reference_price, intent.price
    if reference is None or price is None or not is_positive(reference):
        return True, widest, None, "ratio"
    distance = abs(price - reference) / reference
    return not distance <= widest * (1 + EPSILON), widest, distance, "ratio"


def duplicate_intent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The same intent id, or the same order again too soon."""
    if state.is_intent_seen:
        return True, "a new intent", intent.intent_id, "intent"
    window_s, since_s = limits.duplicate_window_s, state.since_same_order_s
    if window_s is None:
        return False, "a new intent", intent.intent_id, "intent"
    return since_s is not None and not since_s >= window_s, window_s, since_s, "s"
