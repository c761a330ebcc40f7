"""Rules on the intent itself and on what the configuration says of its symbol, and their entries in the table."""

from math import inf

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits, TradingState
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState
from pipeline_v6_dagster.shadow.lots import round_down
from pipeline_v6_dagster.shadow.readings import EPSILON, Cap, Gate, Number, Reading, is_positive

_HALTED, _REDUCING = TradingState.HALTED, TradingState.REDUCING


def invalid_intent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The first bad field."""
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


def halted(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Denies everything while trading is halted."""
    current = limits.trading_state.stricter(state.trading_state)
    return current is _HALTED, "not halted", current, "state"


def reducing(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Denies what opens while only reducing orders are let through."""
    current = limits.trading_state.stricter(state.trading_state)
    return current is _REDUCING, "active", current, "state"


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
    return intent.symbol in limits.restricted_symbols, "not restricted", intent.symbol, "symbol"


def not_whitelisted(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Not on the whitelist, where there is one."""
    return intent.symbol not in (limits.whitelist or ()), "whitelisted", intent.symbol, "symbol"


def quote_not_allowed(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The symbol ends with none of the quote currencies."""
    quotes = limits.quote_symbols or ()
    return not intent.symbol.endswith(tuple(quotes)), " or ".join(sorted(quotes)), intent.symbol, "symbol"


def side_blocked(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The side is blocked for the symbol."""
    return intent.side in symbol.block_sides, "not blocked", intent.side, "side"


def below_min_notional(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Too small as it is, or once it is rounded down to the lot step: v6 does not raise an order to a minimum.

    The exchange takes a reduce-only order of any size above 0 (Binance error -4164 names the exemption).
    """
    notional, qty = intent.quote_notional, intent.qty
    minimum = None if intent.reduce_only else symbol.min_notional_usd
    if notional is None or not qty or (minimum is None and symbol.lot_step is None):
        return None
    if symbol.lot_step is not None:
        notional *= round_down(qty, symbol.lot_step) / qty
    return not notional > 0 or (minimum is not None and notional < minimum * (1 - EPSILON)), minimum, notional, "usd"


def below_min_qty(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Fewer than the exchange takes, once rounded down to the lot step."""
    minimum, qty = symbol.min_qty, intent.qty
    if minimum is None:
        return None
    rounded = None if qty is None else round_down(qty, symbol.lot_step)
    return rounded is None or not rounded >= minimum * (1 - EPSILON), minimum, rounded, "qty"


def max_qty(
    intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits
) -> tuple[Number, Number] | None:
    """The value of the largest quantity that the exchange takes in one order."""
    return None if symbol.max_qty is None else (convert_to_usd(symbol.max_qty, intent), 0.0)


def convert_to_usd(qty: float, intent: OrderIntent) -> float | None:
    """`qty` (base asset) in USD, at what the intent pays per unit."""
    if intent.quote_notional is None or not intent.qty:
        return None
    return qty * (intent.quote_notional / intent.qty)


def duplicate_intent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """The same intent id, or the same order again too soon."""
    if state.is_intent_seen:
        return True, "a new intent", intent.intent_id, "intent"
    window_s, since_s = limits.duplicate_window_s, state.since_same_order_s
    if window_s is None:
        return False, "a new intent", intent.intent_id, "intent"
    return since_s is not None and not since_s >= window_s, window_s, since_s, "s"


_CONTROLS = "RTS 6 art. 15"
R = DenyReason
INTENT_RULES: tuple[Gate | Cap, ...] = (
    Gate(
        reason=R.INVALID_INTENT,
        denies_when="quantity, notional or price not finite or not above 0; side not BUY, SELL, LONG or SHORT; no"
        " symbol",
        limit_keys=(),
        unit="-",
        check=invalid_intent,
        when_unknown="denies",
        default="on",
    ),
    Gate(
        reason=R.KILL_SWITCH,
        denies_when="the kill switch is on",
        limit_keys=("kill_switch",),
        unit="switch",
        check=kill_switch,
        source="RTS 6 art. 12",
        can_deny=lambda limits, symbol: limits.is_kill_switch_on,
    ),
    Gate(
        reason=R.TRADING_STATE,
        denies_when="the trading state of the limits or of the rollout is `halted`",
        limit_keys=("trading_state",),
        unit="state",
        check=halted,
        default="active",
        source="RTS 6 art. 12",
    ),
    Gate(
        reason=R.TRADING_STATE,
        denies_when="the trading state of the limits or of the rollout is `reducing` and the order opens",
        limit_keys=("trading_state",),
        unit="state",
        check=reducing,
        applies_to_reduce_only=False,
        default="active",
        source="RTS 6 art. 12",
    ),
    Gate(
        reason=R.NAV_STALE,
        denies_when="NAV missing, not finite, not above 0, or older than the limit"
        " (only a warning where `fail_closed_on_nav_stale` is false)",
        limit_keys=("nav_freshness_seconds", "fail_closed_on_nav_stale"),
        unit="s",
        check=nav_stale,
        when_unknown="denies",
        default="any age",
    ),
    Gate(
        reason=R.UNKNOWN_SYMBOL,
        denies_when="the universe does not list the symbol",
        limit_keys=("symbols", "universe"),
        unit="symbol",
        check=unknown_symbol,
        default="on",
        can_deny=lambda limits, symbol: not symbol.is_known,
    ),
    Gate(
        reason=R.SYMBOL_DISABLED,
        denies_when="the symbol is switched off",
        limit_keys=("enabled", "status"),
        unit="switch",
        check=symbol_disabled,
        default="enabled",
        can_deny=lambda limits, symbol: not symbol.is_enabled,
    ),
    Gate(
        reason=R.RESTRICTED_SYMBOL,
        denies_when="the symbol is restricted",
        limit_keys=("restricted_symbols",),
        unit="symbol",
        check=restricted,
        source="SEC 15c3-5(c)(2)(ii)",
        is_set=lambda limits, symbol: bool(limits.restricted_symbols),
    ),
    Gate(
        reason=R.NOT_WHITELISTED,
        denies_when="there is a whitelist and the symbol is not on it",
        limit_keys=("whitelist",),
        unit="symbol",
        check=not_whitelisted,
        source="RTS 6 art. 15",
        is_set=lambda limits, symbol: limits.whitelist is not None,
    ),
    Gate(
        reason=R.QUOTE_NOT_ALLOWED,
        denies_when="the symbol is quoted in none of the listed currencies",
        limit_keys=("quote_symbols",),
        unit="symbol",
        check=quote_not_allowed,
        is_set=lambda limits, symbol: limits.quote_symbols is not None,
    ),
    Gate(
        reason=R.SIDE_BLOCKED,
        denies_when="the side is blocked for the symbol",
        limit_keys=("block_sides",),
        unit="side",
        check=side_blocked,
        is_set=lambda limits, symbol: bool(symbol.block_sides),
    ),
    Gate(
        reason=R.BELOW_MIN_NOTIONAL,
        denies_when="notional, rounded down to the lot step, below the largest of the global, symbol and universe"
        " minima, or 0"
        " (reduce-only: 0)",
        limit_keys=("min_notional", "min_notional_usd", "min_notional_usdt", "min_gross_usd", "step_size"),
        unit="usd",
        check=below_min_notional,
        source="`MIN_NOTIONAL`",
    ),
    Gate(
        reason=R.ORDER_QTY,
        denies_when="quantity, rounded down to the lot step, below the larger minimum",
        limit_keys=("min_qty", "market_min_qty", "step_size"),
        unit="qty",
        check=below_min_qty,
        when_unknown="denies",
        source="`LOT_SIZE`, `MARKET_LOT_SIZE`",
        is_set=lambda limits, symbol: symbol.min_qty is not None,
    ),
    Cap(
        reason=R.ORDER_QTY,
        denies_when="quantity above the smaller maximum",
        limit_keys=("max_qty", "market_max_qty"),
        measure=max_qty,
        applies_to_reduce_only=True,
        source=f"`LOT_SIZE`, `MARKET_LOT_SIZE`; {_CONTROLS}",
        is_set=lambda limits, symbol: symbol.max_qty is not None,
    ),
    Gate(
        reason=R.DUPLICATE_INTENT,
        denies_when="the same intent id among the last 5,000 attempts, or the same symbol, side and quantity within"
        " the window",
        limit_keys=("duplicate_window_sec",),
        unit="s",
        check=duplicate_intent,
        default="the same id",
        source="SEC 15c3-5(c)(1)(ii)",
    ),
)
