"""Gates on what is held and on what is on its way, and their entries in the table."""

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState
from pipeline_v6_dagster.shadow.readings import EPSILON, Gate, Reading, is_positive


def reduce_only_invalid(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """A reduce-only order with no position against it. Where the position is not known, a warning (see `risk`)."""
    if not intent.reduce_only:
        return None
    position = state.position_qty
    return not is_positive(position), 0.0, position, "qty"


def open_qty(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """What is held and pending in the direction of the order, to which it would add."""
    maximum = symbol.max_open_qty
    if maximum is None:
        return None
    held = intent.symbol_open_qty
    used = None if held is None else abs(held) + state.pending_qty
    return used is None or not used < maximum * (1 - EPSILON), maximum, used, "qty"


def leverage(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Leverage asked for, else the universe's target."""
    maximum = symbol.max_leverage
    if maximum is None:
        return None
    asked = intent.leverage
    return asked is None or not is_positive(asked) or asked > maximum * (1 + EPSILON), maximum, asked, "x"


def max_concurrent(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Open and pending positions, unless this symbol is one of those held."""
    maximum, count = limits.max_concurrent_positions, intent.open_positions_count
    if maximum is None:
        return None
    total = None if count is None else count + state.pending_positions
    return not state.has_position and (total is None or not 0 <= total < maximum), float(maximum), total, "positions"


def symbol_positions(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Positions of the symbol to which the order would not add."""
    maximum = symbol.max_concurrent_positions
    if maximum is None:
        return None
    return not state.other_positions < maximum, float(maximum), float(state.other_positions), "positions"


def already_in_trade(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """A position in the order's direction, or one of which no log says the direction."""
    held = intent.symbol_open_qty
    if state.is_in_trade is False:
        return False, 0.0, held if held is not None else 0.0, "qty"
    return True, 0.0, held, "qty"


def max_open_orders(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """Orders of the symbol that are on their way."""
    maximum = symbol.max_open_orders
    if maximum is None:
        return None
    return not state.open_orders < maximum, float(maximum), float(state.open_orders), "orders"


R = DenyReason
POSITION_RULES: tuple[Gate, ...] = (
    Gate(
        reason=R.REDUCE_ONLY_INVALID,
        denies_when="a reduce-only order, and the position against it is 0",
        limit_keys=(),
        unit="qty",
        check=reduce_only_invalid,
        when_unknown="position not known: allowed with a warning, since the exchange enforces the flag",
        default="on",
        source="Binance error -2022",
    ),
    Gate(
        reason=R.SYMBOL_CAP,
        denies_when="open quantity in the order's direction at its limit",
        limit_keys=("max_open_qty",),
        unit="qty",
        check=open_qty,
        applies_to_reduce_only=False,
        when_unknown="denies",
        is_set=lambda limits, symbol: symbol.max_open_qty is not None,
    ),
    Gate(
        reason=R.LEVERAGE_EXCEEDED,
        denies_when="leverage (of the attempt, else the universe's target) above the smallest of the global, symbol"
        " and universe limits",
        limit_keys=("max_leverage", "target_leverage"),
        unit="x",
        check=leverage,
        applies_to_reduce_only=False,
        when_unknown="denies",
        source="SEC 15c3-5(c)(1)(i)",
        is_set=lambda limits, symbol: symbol.max_leverage is not None,
    ),
    Gate(
        reason=R.MAX_CONCURRENT,
        denies_when="open and pending positions at the limit and this symbol is not one of those open",
        limit_keys=("max_concurrent_positions",),
        unit="positions",
        check=max_concurrent,
        applies_to_reduce_only=False,
        when_unknown="denies",
        is_set=lambda limits, symbol: limits.max_concurrent_positions is not None,
    ),
    Gate(
        reason=R.MAX_CONCURRENT,
        denies_when="other positions of the symbol (hedge mode: the other side) at the limit; a limit of 0 admits"
        " no opening",
        limit_keys=("caps.max_concurrent_positions",),
        unit="positions",
        check=symbol_positions,
        applies_to_reduce_only=False,
        is_set=lambda limits, symbol: symbol.max_concurrent_positions is not None,
    ),
    Gate(
        reason=R.ALREADY_IN_TRADE,
        denies_when="an open position in the order's direction (unless `allow_pyramiding`)",
        limit_keys=("allow_pyramiding",),
        unit="qty",
        check=already_in_trade,
        applies_to_reduce_only=False,
        when_unknown="denies",
        default="on",
        is_set=lambda limits, symbol: not limits.is_pyramiding_allowed,
    ),
    Gate(
        reason=R.MAX_OPEN_ORDERS,
        denies_when="orders of the symbol that are on their way at the limit",
        limit_keys=("max_open_orders",),
        unit="orders",
        check=max_open_orders,
        applies_to_reduce_only=False,
        when_unknown="no log of an order: passes",
        source="`MAX_NUM_ORDERS`; RTS 6 art. 15",
        is_set=lambda limits, symbol: symbol.max_open_orders is not None,
    ),
)
