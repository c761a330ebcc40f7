"""What the live logs tell of the account: positions, prices, fills, openings, errors, profit, the router's record.

Events are applied in the order of time; nothing here knows of files. All of it is bounded, so that it costs the same on
day one and in a year, and stands in an `AccountState`, which checkpoints hold.
"""

from bisect import bisect_right, insort
from collections.abc import Callable
from typing import Any

from pipeline_v6_dagster.domain.account import AccountState, Measured, RoutingRecord, SymbolState
from pipeline_v6_dagster.domain.account_events import (
    AccountEvent,
    ExecutionMetrics,
    OrderEnded,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
    PositionsSnapshot,
)
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.limits import MAX_COUNTED
from pipeline_v6_dagster.domain.live import ENDED, UNFILLED_ENDS, OrderStatus, Veto
from pipeline_v6_dagster.domain.pending import OpeningFill, OpenOrder
from pipeline_v6_dagster.domain.position_book import Filled, PositionBook
from pipeline_v6_dagster.domain.position_state import PositionState
from pipeline_v6_dagster.shadow.pending import DEFAULT_TOLERANCE_S, PendingOrders
from pipeline_v6_dagster.shadow.route_record import FillStats

HOUR_S = 3600.0
QUARTER_HOUR_S = 900
# Two days: a day of any time zone, and the hours by which clocks of a log may disagree.
_MAX_QUARTER_HOURS = 192
# Real desks trade hundreds. Beyond it a log is made up, and its symbols are not in the universe anyway.
_MAX_SYMBOLS = 5000
# Below this the symbol's own record says too little and that of all symbols is asked.
MIN_RECORD = 20
# An ack with one of these may be of another order that has an id which was used before.
_BEGINNINGS = frozenset({OrderStatus.NEW, OrderStatus.NEW_INSURANCE, OrderStatus.NEW_ADL, OrderStatus.PENDING_NEW})

_HELD_SIDES = {Side.BUY: PositionSide.LONG, Side.SELL: PositionSide.SHORT}

# (start, end) of the desk's day that holds a time, epoch seconds.
TradingDayBounds = Callable[[float], tuple[float, float]]


class AccountBook:
    """An `AccountState`, changed in place, and what is derived from it.

    `trading_day_bounds` says when the desk's day begins and ends.
    """

    def __init__(
        self,
        trading_day_bounds: TradingDayBounds,
        state: AccountState | None = None,
        tolerance_s: float = DEFAULT_TOLERANCE_S,
    ) -> None:
        self.state = state or AccountState(positions=PositionState())
        self.pending = PendingOrders(self.state.pending, tolerance_s)
        self.positions = PositionBook(self.state.positions)
        self._day_of = trading_day_bounds
        self._day = (0.0, 0.0)
        self._day_pnl_usd: float | None = None
        self._routes = {name: FillStats(symbol.measured) for name, symbol in self.state.symbols.items()}
        self._all_routes = FillStats(self.state.measured)
        self._on: dict[type, Callable[[Any], None]] = {
            OrderPlaced: self._on_placed,
            OrderFilled: self._on_filled,
            OrderEnded: self._on_ended,
            PositionReduced: self._on_reduced,
            OrderFailed: self._on_failed,
            PositionsSnapshot: self._on_snapshot,
            ExecutionMetrics: self._on_measured,
            Veto: self.pending.veto,
        }

    def apply(self, event: AccountEvent) -> None:
        """A live row that was logged by now."""
        self._on[type(event)](event)

    # What it tells.

    def known(self, symbol: str) -> SymbolState | None:
        """What is known of a symbol beside its position."""
        return self.state.symbols.get(symbol)

    def held_qty(self, symbol: str, side: Side | None) -> float | None:
        """What is held in the direction of `side`; None if no log says so.

        If nothing says what was held when the logs began, it is what their fills come to.
        """
        if side is None:
            return None
        return self.positions.supposed(symbol, _HELD_SIDES[side])

    def gross_usd(self) -> dict[str, float] | None:
        """Gross exposure of every symbol that is held, by the newest positions and prices.

        None if no log says so of a position, or a held one has no price.
        """
        gross: dict[str, float] = {}
        is_known = False
        for name in self.state.positions.symbols:
            held_long, held_short = self.held_qty(name, Side.BUY), self.held_qty(name, Side.SELL)
            if held_long is None or held_short is None:
                continue
            is_known = True
            qty = held_long + held_short
            if qty:
                symbol = self.state.symbols.get(name)
                if symbol is None or symbol.price is None:
                    return None
                gross[name] = qty * symbol.price
        return gross if is_known else None

    def net_usd(self) -> float | None:
        """Long minus short of all symbols; None where a position is not known, or a held one has no price."""
        net_usd = 0.0
        for name in self.state.positions.symbols:
            net_qty, known = self.positions.net(name), self.state.symbols.get(name)
            if net_qty == 0:
                continue
            if net_qty is None or known is None or known.price is None:
                return None
            net_usd += net_qty * known.price
        return net_usd

    def openings_since(self, symbol: str, ts: float) -> int:
        """How many opening orders of a symbol were logged after `ts`, within the last hour of its log."""
        known = self.state.symbols.get(symbol)
        return 0 if known is None else _newer(known.opening_ts, ts)

    def errors_since(self, ts: float) -> int:
        """How many orders failed after `ts`."""
        return _newer(self.state.error_ts, ts)

    def routing_record(self, symbol: str, as_of: float) -> RoutingRecord:
        """How the symbol's orders went of late, or those of all symbols where it has too few."""
        own = self._routes.get(symbol)
        if own is not None:
            record = own.record(as_of)
            if record.taker_orders + record.maker_orders >= MIN_RECORD:
                return record
        return self._all_routes.record(as_of)

    def day_pnl_usd(self, as_of: float, symbol: str | None = None) -> float:
        """What closes of the desk's day (of one symbol, or of all) have realised, before fees."""
        start, end = self._day
        if not start <= as_of < end:
            self._day = start, end = self._day_of(as_of)
            self._day_pnl_usd = None
        if symbol is not None:
            known = self.state.symbols.get(symbol)
            return 0.0 if known is None else _sum_between(known.pnl_usd, start, end)
        if self._day_pnl_usd is None:
            self._day_pnl_usd = _sum_between(self.state.pnl_usd, start, end)
        return self._day_pnl_usd

    # What changes it.

    def _symbol(self, name: str) -> SymbolState:
        symbol = self.state.symbols.get(name)
        if symbol is None:
            symbol = SymbolState()
            if len(self.state.symbols) < _MAX_SYMBOLS:
                self.state.symbols[name] = symbol
        return symbol

    def _on_placed(self, event: OrderPlaced) -> None:
        says_new = event.status is None or event.status in _BEGINNINGS
        is_new = self.positions.place(event.symbol, event.order_key, event.ts, says_new=says_new)
        if event.status in UNFILLED_ENDS:
            self.positions.end(event.symbol, event.order_key, event.ts)
        if is_new:
            self._note_opening(self._symbol(event.symbol), event.ts, event.is_reduce_only)
        if event.is_reduce_only:
            return
        order = self.positions.order(event.symbol, event.order_key)
        if order is None or order.is_ended:
            self.pending.answer(event.ts, event.symbol, event.side, event.intent_id, event.attempt_id)
            self.pending.end(event.order_key)
            return
        self.pending.place(
            event.order_key,
            OpenOrder(
                event.ts,
                event.symbol,
                event.side,
                event.requested_qty,
                order.executed_qty,
                None,
                event.intent_id,
                event.attempt_id,
                event.is_immediate,
            ),
        )

    @staticmethod
    def _note_opening(symbol: SymbolState, ts: float, is_reduce_only: bool) -> None:
        if not is_reduce_only:
            _insert(symbol.opening_ts, ts, HOUR_S)

    def _on_filled(self, event: OrderFilled) -> None:
        is_ended = event.status in ENDED
        filled = self.positions.fill(
            event.symbol,
            event.order_key,
            event.ts,
            event.side,
            event.position_side,
            event.executed_qty,
            is_reduce_only=event.is_reduce_only,
            is_ended=is_ended,
        )
        if not event.is_reduce_only:
            self._note_pending_fill(event, filled, is_ended=is_ended)
        if not filled.qty:
            return  # The same fill, polled again.
        symbol = self._symbol(event.symbol)
        if filled.is_new_order:
            self._note_opening(symbol, event.ts, event.is_reduce_only)
        symbol.last_fill_ts = event.ts
        if event.avg_price is not None:
            symbol.price, symbol.price_ts = event.avg_price, event.ts

    def _note_pending_fill(self, event: OrderFilled, filled: Filled, *, is_ended: bool) -> None:
        if filled.is_new_order:
            self.pending.answer(event.ts, event.symbol, event.side, event.intent_id, event.attempt_id)
        if filled.qty:
            fill = OpeningFill(event.ts, event.symbol, event.side, filled.qty, event.avg_price)
            self.pending.fill(event.order_key, fill, event.executed_qty)
        if is_ended:
            self.pending.end(event.order_key)

    def _on_ended(self, event: OrderEnded) -> None:
        self.positions.end(event.symbol, event.order_key, event.ts)
        self.pending.end(event.order_key)

    def _on_reduced(self, event: PositionReduced) -> None:
        is_new = self.positions.close(
            event.symbol, event.order_key, event.ts, event.position_side, event.closed_qty, event.remaining_qty
        )
        if not is_new or event.pnl_usd is None:
            return
        symbol, quarter = self._symbol(event.symbol), int(event.ts // QUARTER_HOUR_S)
        if event.pnl_usd < 0:
            symbol.last_loss_ts = event.ts
        for pnl in (self.state.pnl_usd, symbol.pnl_usd):
            pnl[quarter] = pnl.get(quarter, 0.0) + event.pnl_usd
            if len(pnl) > _MAX_QUARTER_HOURS:
                del pnl[min(pnl)]
        self._day_pnl_usd = None

    def _on_failed(self, event: OrderFailed) -> None:
        _insert(self.state.error_ts, event.ts, None)
        self.pending.answer(event.ts, event.symbol or "", None, event.intent_id, event.attempt_id)
        if event.symbol and event.order_key is not None:
            self.positions.end(event.symbol, event.order_key, event.ts)
            self.pending.end(event.order_key)

    def _on_snapshot(self, event: PositionsSnapshot) -> None:
        self.positions.snapshot(event.ts, event.positions)
        for row in event.positions:
            symbol = self._symbol(row.symbol)
            if symbol.price is None:
                symbol.price = row.entry_price

    def _on_measured(self, event: ExecutionMetrics) -> None:
        symbol = self._symbol(event.symbol)
        if event.mark_price is not None:
            symbol.price, symbol.price_ts = event.mark_price, event.ts
        if event.is_filled is None:
            return
        is_fallback = False
        if event.is_maker:
            symbol.missed_intent = None if event.is_filled else event.intent_id
        else:
            is_fallback = event.intent_id is not None and event.intent_id == symbol.missed_intent
        one = Measured(
            ts=event.ts,
            is_maker=event.is_maker,
            is_filled=event.is_filled,
            is_fallback=is_fallback,
            slippage_bps=event.slippage_bps,
        )
        self._all_routes.add(one)
        route = self._routes.get(event.symbol)
        if route is None:
            route = FillStats(symbol.measured)
            if event.symbol in self.state.symbols:
                self._routes[event.symbol] = route
        route.add(one)


def _sum_between(pnl_usd: dict[int, float], start: float, end: float) -> float:
    """The sum over the quarters of an hour of a day, in their order."""
    first, last = int(start // QUARTER_HOUR_S), int(end // QUARTER_HOUR_S)
    return sum((pnl for quarter, pnl in sorted(pnl_usd.items()) if first <= quarter < last), 0.0)


def _newer(times: list[float], than: float) -> int:
    return len(times) - bisect_right(times, than)


def _insert(times: list[float], ts: float, keep_s: float | None) -> None:
    """Keep the newest `MAX_COUNTED` times, sorted, and (with `keep_s`) none older than that before the newest."""
    insort(times, ts)
    if len(times) > MAX_COUNTED:
        del times[0]
    if keep_s is not None:
        while times[0] < times[-1] - keep_s:
            del times[0]
