"""Rules on the price of an order and on what it makes the order worth, and their entries in the table.

The reference price is that of the symbol's newest fill or metrics row, never the hint of the attempt itself.
"""

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState
from pipeline_v6_dagster.shadow.readings import EPSILON, Gate, Reading, is_positive

# Wider than any market order that a desk would want to send, narrower than a misplaced decimal point.
DEFAULT_COLLAR_RATIO = 0.10
# More than rounding to a lot step or a price that moved while the order was made.
DEFAULT_MISMATCH_RATIO = 0.05


def notional_mismatch(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """|quantity times price - notional| as a ratio of the notional. Bad numbers are `invalid_intent`."""
    qty, price, notional = intent.qty, intent.price, intent.quote_notional
    widest = limits.notional_mismatch_ratio or DEFAULT_MISMATCH_RATIO
    if qty is None or price is None or notional is None or not is_positive(notional):
        return None
    difference = abs(qty * price - notional) / notional
    return not difference <= widest * (1 + EPSILON), widest, difference, "ratio"


def price_collar(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """How far the price is from the reference, as a ratio of the latter."""
    configured, reference, price = symbol.price_collar_ratio, state.reference_price, intent.price
    widest = DEFAULT_COLLAR_RATIO if configured is None else configured
    if reference is None or price is None or not is_positive(reference):
        return configured is not None, widest, None, "ratio"
    distance = abs(price - reference) / reference
    return not distance <= widest * (1 + EPSILON), widest, distance, "ratio"


def percent_price(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Reading | None:
    """A BUY at most, a SELL at least the reference price times the multiplier of its side."""
    is_buy = intent.side is Side.BUY
    multiplier = symbol.price_multiplier_up if is_buy else symbol.price_multiplier_down
    if multiplier is None:
        return None
    reference, price = state.reference_price, intent.price
    if reference is None or price is None or not is_positive(reference):
        return True, None, price, "price"
    bound = reference * multiplier
    is_within = price <= bound * (1 + EPSILON) if is_buy else price >= bound * (1 - EPSILON)
    return not is_within, bound, price, "price"


R = DenyReason
PRICE_RULES: tuple[Gate, ...] = (
    Gate(
        reason=R.NOTIONAL_MISMATCH,
        denies_when="quantity times price differs from the notional by more than the ratio",
        limit_keys=("notional_mismatch_pct",),
        unit="ratio",
        check=notional_mismatch,
        default="5 %",
        source="SEC 15c3-5(c)(1)(ii)",
    ),
    Gate(
        reason=R.PRICE_COLLAR,
        denies_when="price further than the ratio from the symbol's newest fill or metrics price",
        limit_keys=("price_collar_pct",),
        unit="ratio",
        check=price_collar,
        when_unknown="no price of the last five minutes: denies where configured",
        default="10 %",
        source="RTS 6 art. 15; SEC 15c3-5(c)(1)(ii)",
    ),
    Gate(
        reason=R.PERCENT_PRICE,
        denies_when="BUY price above, SELL price below the reference price times the multiplier",
        limit_keys=("multiplier_up", "multiplier_down"),
        unit="price",
        check=percent_price,
        when_unknown="no price of the last five minutes: denies",
        source="`PERCENT_PRICE`",
        is_set=lambda limits, symbol: (
            symbol.price_multiplier_up is not None or symbol.price_multiplier_down is not None
        ),
    ),
)
