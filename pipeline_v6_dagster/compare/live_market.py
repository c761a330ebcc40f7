"""What order events and position snapshots say of the account and of prices, as of each leg's first event."""

from pipeline_v6_dagster.compare.folding import starts_order
from pipeline_v6_dagster.compare.open_state import OpenState, SeenPrice
from pipeline_v6_dagster.domain.live import ENDED, FILL, FLAT, IntentOrders, Leg, OrderEvent
from pipeline_v6_dagster.domain.position_book import PositionBook, order_key


class LiveMarket:
    """Positions and prices of a state, changed in place."""

    def __init__(self, state: OpenState) -> None:
        self._prices = state.prices
        self._positions = PositionBook(state.positions)

    def apply(self, event: OrderEvent, order: IntentOrders, leg: Leg, *, is_first: bool) -> None:
        """An event that was folded into a leg. Of a leg's first event, the position against it is remembered."""
        symbol = event.symbol or order.symbol
        if symbol is None:
            return
        side = event.side or order.side
        positions = self._positions
        if is_first and side is not None:
            leg.held_qty = positions.reducible(symbol, side, leg.position_side)
        if event.kind is FILL:
            is_new, is_ended = leg.last_fill_ts == event.ts, event.status in ENDED
            if event.executed_qty is not None and (is_new or is_ended):  # Else it repeats what is known.
                positions.fill(
                    symbol,
                    order_key(event.order_id, event.intent_id, event.attempt_id),
                    event.ts,
                    side,
                    event.position_side or leg.position_side,
                    event.executed_qty,
                    is_reduce_only=leg.is_reduce_only,
                    is_ended=is_ended,
                )
                if event.avg_price is not None and is_new:
                    self._see_price(symbol, event.ts, event.avg_price)
            return
        key = order_key(event.order_id, event.intent_id, event.attempt_id)
        positions.place(symbol, key, event.ts, says_new=starts_order(event))
        if event.kind is FLAT and leg.executed_qty is not None:
            positions.fill(symbol, key, event.ts, side, leg.position_side, leg.executed_qty, is_ended=True)

    def _see_price(self, symbol: str, ts: float, price: float) -> None:
        seen = self._prices.get(symbol)
        if seen is None:
            self._prices[symbol] = SeenPrice(ts, price)
        else:
            seen.ts, seen.price = ts, price


def apply_close(state: OpenState, event: OrderEvent) -> None:
    """A row that says how a reduce-only order ended: it is no order, but it tells what is left of the position."""
    if event.symbol is None:
        return
    key = order_key(event.order_id, event.intent_id, event.attempt_id)
    PositionBook(state.positions).close(
        event.symbol, key, event.ts, event.position_side, event.closed_qty, event.position_qty_after
    )
