"""What an order cost against the price at which it was decided, in parts (Perold 1988).

    delay        from the decision to the arrival price: the market moved before the order was sent
    execution    from the arrival price to the average fill: spread, impact, waiting
    fees         what the exchange charged
    opportunity  what was not filled, at the market price after the order's last row

All in USD, positive where it costs, for either side. A part that was not measured is None, and so is a sum with such a
part in it; that of delay and execution is known without the arrival price. An arrival price that equals the price of
the decision is only the strategy's own hint, written down again: it does not say where the market stood.
"""

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import LiveSide, ShadowSide, Shortfall
from pipeline_v6_dagster.domain.figures import finite


def measure_shortfall(decision: ShadowSide, live: LiveSide | None, later_price: float | None) -> Shortfall | None:
    """The shortfall of what live executed against what v6 would have; None where nothing of it was measured.

    `later_price` is the market price after the order's last row; None where none was logged by then.
    """
    price, side = decision.price, decision.side
    if live is None or live.executed_qty is None or not price or side is None:
        return None
    asked_qty = decision.sized_qty or (decision.quote_notional or 0.0) / price
    if not asked_qty:
        return None
    sign = 1.0 if side is Side.BUY else -1.0
    filled, average = live.executed_qty, live.avg_price
    arrival = live.arrival_price if live.arrival_price != price else None
    delay = execution = paid = None
    if not filled:
        delay = execution = paid = 0.0
    elif average is not None:
        paid = sign * (average - price) * filled
        if arrival is not None:
            delay, execution = sign * (arrival - price) * filled, sign * (average - arrival) * filled
    missed = max(0.0, asked_qty - filled)
    opportunity = 0.0 if not missed else None if later_price is None else sign * (later_price - price) * missed
    fees = live.fees_usd if filled else live.fees_usd or 0.0
    asked_usd = asked_qty * price
    total = None if paid is None or fees is None or opportunity is None else paid + fees + opportunity
    return Shortfall(
        delay_usd=finite(delay),
        execution_usd=finite(execution),
        fees_usd=finite(fees),
        opportunity_usd=finite(opportunity),
        total_usd=finite(total),
        total_bps=finite(1e4 * total / asked_usd) if total is not None and asked_usd else None,
    )
