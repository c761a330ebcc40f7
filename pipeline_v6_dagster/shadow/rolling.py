"""Rolling state: what was known of the account as of each attempt, in one forward pass over attempts and live rows.

Belongs here: how an event or an attempt changes the state, and what a rule is told of it. The stage feeds it in the
order of time; nothing here knows of files. All of it is bounded, so that it costs the same on day one and in a year.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from typing import Any

from pipeline_v6_dagster.domain.account import (
    AccountEvent,
    AccountState,
    ExecutionMetrics,
    Measured,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
    PositionSnapshot,
    PositionsSnapshot,
    RoutingRecord,
    SymbolState,
)
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.limits import MAX_COUNTED, Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.pending import DEFAULT_TOLERANCE_S, PendingOrders
from pipeline_v6_dagster.shadow.route_record import FillStats

# How many of the newest attempts are known again by their ids, and how many a burst is counted over.
MAX_ATTEMPTS = 5000
HOUR_S = 3600.0
QUARTER_HOUR_S = 900
# Orders of one symbol that may still be polled.
_MAX_ORDERS = 32
# Two days: a day of any time zone, and the hours by which clocks of a log may disagree.
_MAX_QUARTER_HOURS = 192
# Real desks trade hundreds. Beyond it a log is made up, and its symbols are not in the universe anyway.
_MAX_SYMBOLS = 5000
# Below this the symbol's own record says too little and that of all symbols is asked.
MIN_RECORD = 20

# (start, end) of the desk's day that holds a time, epoch seconds.
TradingDayBounds = Callable[[float], tuple[float, float]]
_SameOrder = tuple[str, Side | None, float | None]


class RollingState:
    """The state and what is derived from it.

    `trading_day_bounds` says when the desk's day begins and ends. Only what a limit asks for is remembered of
    attempts, since the shadow log holds them all.
    """

    def __init__(
        self,
        limits: Limits,
        trading_day_bounds: TradingDayBounds,
        state: AccountState | None = None,
        tolerance_s: float = DEFAULT_TOLERANCE_S,
    ) -> None:
        self._peak_since = limits.peak_since
        self._burst_window_s = limits.burst_window_s
        self._breaker_window_s = limits.breaker_window_s
        self._duplicate_window_s = limits.duplicate_window_s
        self.state = state or AccountState()
        self.pending = PendingOrders(self.state.pending, tolerance_s)
        self._day_of = trading_day_bounds
        self._day = (0.0, 0.0)
        self._day_pnl_usd: float | None = None
        self._routes = {name: FillStats(symbol.measured) for name, symbol in self.state.symbols.items()}
        self._all_routes = FillStats(self.state.measured)
        self._recent: deque[tuple[float, str | None, _SameOrder, bool]] = deque()
        self._times: list[float] = []
        self._ids: dict[str, int] = {}
        self._same: dict[_SameOrder, list[float]] = {}
        self._on: dict[type, Callable[[Any], None]] = {
            OrderPlaced: self._on_placed,
            OrderFilled: self._on_filled,
            PositionReduced: self._on_reduced,
            OrderFailed: self._on_failed,
            PositionSnapshot: self._on_seen,
            PositionsSnapshot: self._on_all_seen,
            ExecutionMetrics: self._on_measured,
        }

    def apply(self, event: AccountEvent) -> None:
        """A live row that was logged by now."""
        self._on[type(event)](event)

    def note_attempt(
        self,
        as_of: float,
        symbol: str,
        side: Side | None,
        qty: float | None,
        intent_id: str | None,
        nav_usd: float | None,
        *,
        is_allowed: bool = True,
    ) -> None:
        """Remember an attempt once it is decided, whatever the decision."""
        same = (symbol, side, qty)
        self._recent.append((as_of, intent_id, same, is_allowed))
        if self._burst_window_s is not None and is_allowed:
            insort(self._times, as_of)
        if intent_id is not None:
            self._ids[intent_id] = self._ids.get(intent_id, 0) + 1
        if self._duplicate_window_s is not None:
            self._same.setdefault(same, []).append(as_of)
        if len(self._recent) > MAX_ATTEMPTS:
            self._forget_oldest()
        self._begin_peak(as_of)
        state = self.state
        if nav_usd is not None and nav_usd > 0 and (state.peak_nav_usd is None or nav_usd > state.peak_nav_usd):
            state.peak_nav_usd = nav_usd

    def _forget_oldest(self) -> None:
        as_of, intent_id, same, is_allowed = self._recent.popleft()
        if self._burst_window_s is not None and is_allowed:
            del self._times[bisect_left(self._times, as_of)]
        if intent_id is not None:
            self._ids[intent_id] -= 1
            if not self._ids[intent_id]:
                del self._ids[intent_id]
        if self._duplicate_window_s is not None:
            times = self._same[same]
            del times[0]
            if not times:
                del self._same[same]

    def _begin_peak(self, as_of: float) -> None:
        since, state = self._peak_since, self.state
        if since != state.peak_since and (since is None or as_of >= since):
            state.peak_since, state.peak_nav_usd = since, None

    def price_of(self, symbol: str) -> float | None:
        """The newest price of a symbol; None where no log has one."""
        known = self.state.symbols.get(symbol)
        return None if known is None else known.price

    def net_usd(self) -> float | None:
        """Long minus short of all symbols; None where no log says a position, or a held one has no price."""
        net, is_known = 0.0, False
        for symbol in self.state.symbols.values():
            if symbol.long_qty is None and symbol.short_qty is None:
                continue
            is_known, qty = True, (symbol.long_qty or 0.0) - (symbol.short_qty or 0.0)
            if qty and symbol.price is None:
                return None
            net += qty * (symbol.price or 0.0)
        return net if is_known else None

    def position_against(self, symbol: str, side: Side, position_side: PositionSide | None) -> float | None:
        """The position that a reduce-only order on `side` reduces; None where it is not known."""
        return self.held_qty(symbol, Side.SELL if side is Side.BUY else Side.BUY)

    def held_qty(self, symbol: str, side: Side | None, position_side: PositionSide | None = None) -> float | None:
        """What is held in the direction of `side`; None where no log has told."""
        known = self.state.symbols.get(symbol)
        if known is None or side is None:
            return None
        held, other = (known.long_qty, known.short_qty) if side is Side.BUY else (known.short_qty, known.long_qty)
        return 0.0 if held is None and other is not None else held

    def was_filled_since(self, symbol: str, ts: float) -> bool:
        """Whether the live logs tell of a fill of the symbol after `ts`."""
        known = self.state.symbols.get(symbol)
        return known is not None and known.last_fill_ts is not None and known.last_fill_ts > ts

    def gross_usd(self) -> dict[str, float] | None:
        """Gross exposure of every symbol that is held, by the newest positions and prices.

        None where no log has told of a position, or a held one has no price.
        """
        gross: dict[str, float] = {}
        is_known = False
        for name, symbol in self.state.symbols.items():
            if symbol.long_qty is None and symbol.short_qty is None:
                continue
            is_known = True
            qty = (symbol.long_qty or 0.0) + (symbol.short_qty or 0.0)
            if qty:
                if symbol.price is None:
                    return None
                gross[name] = qty * symbol.price
        return gross if is_known else None

    def risk_state(
        self,
        intent: OrderIntent,
        as_of: float,
        nav_age_s: float | None,
        portfolio_gross_usd: float | None,
        has_position: bool | None,
    ) -> RiskState:
        """What the rules are told beside the intent."""
        state = self.state
        symbol = state.symbols.get(intent.symbol)
        self._begin_peak(as_of)
        peak, nav = state.peak_nav_usd, intent.nav_usd
        burst_s, breaker_s, repeat_s = self._burst_window_s, self._breaker_window_s, self._duplicate_window_s
        same_ts = None
        if repeat_s is not None:
            same = self._same.get((intent.symbol, intent.side, intent.qty), ())
            same_ts = max((ts for ts in same if ts <= as_of + repeat_s), default=None)
        return RiskState(
            as_of,
            nav_age_s,
            portfolio_gross_usd,
            has_position,
            self._is_in_trade(intent, has_position),
            _since(symbol.last_fill_ts, as_of) if symbol else None,
            _since(symbol.last_loss_ts, as_of) if symbol else None,
            _newer(symbol.opening_ts, as_of - HOUR_S) if symbol else 0,
            0 if burst_s is None else _within(self._times, as_of, burst_s),
            0 if breaker_s is None else _newer(state.error_ts, as_of - breaker_s),
            self._day_pnl(as_of),
            peak if nav is None or (peak is not None and not nav > peak) else nav,
            symbol.price if symbol else None,
            intent.amends is None and intent.intent_id is not None and intent.intent_id in self._ids,
            _since(same_ts, as_of),
        )

    def routing_record(self, symbol: str, as_of: float) -> RoutingRecord:
        """How the symbol's orders went of late, or those of all symbols where it has too few."""
        own = self._routes.get(symbol)
        if own is not None:
            record = own.record(as_of)
            if record.taker_orders + record.maker_orders >= MIN_RECORD:
                return record
        return self._all_routes.record(as_of)

    def _is_in_trade(self, intent: OrderIntent, has_position: bool | None) -> bool | None:
        """Whether the intent's direction is held already; None where it cannot be known.

        The account snapshot says whether there is a position, the live logs in which direction.
        """
        if has_position is False:
            return False
        held = self.held_qty(intent.symbol, intent.side)
        if held is None or (held == 0 and has_position and not self._is_other_side_held(intent)):
            return None
        return held > 0

    def _is_other_side_held(self, intent: OrderIntent) -> bool:
        other = Side.SELL if intent.side is Side.BUY else Side.BUY
        return bool(self.held_qty(intent.symbol, other))

    def _day_pnl(self, as_of: float) -> float:
        start, end = self._day
        if not start <= as_of < end:
            self._day = start, end = self._day_of(as_of)
            self._day_pnl_usd = None
        if self._day_pnl_usd is None:
            first, last = int(start // QUARTER_HOUR_S), int(end // QUARTER_HOUR_S)
            days = (pnl for quarter, pnl in sorted(self.state.pnl_usd.items()) if first <= quarter < last)
            self._day_pnl_usd = sum(days, 0.0)
        return self._day_pnl_usd

    def _symbol(self, name: str) -> SymbolState:
        symbol = self.state.symbols.get(name)
        if symbol is None:
            symbol = SymbolState()
            if len(self.state.symbols) < _MAX_SYMBOLS:
                self.state.symbols[name] = symbol
        return symbol

    def _on_placed(self, event: OrderPlaced) -> None:
        symbol = self._symbol(event.symbol)
        # An id that comes again after a fill is another order: executors that restart count from 1.
        if symbol.executed_qty.get(event.order_id) == 0.0:
            return
        self._note_order(symbol, event.order_id, event.ts, event.is_reduce_only)

    def _note_order(self, symbol: SymbolState, order_id: str, ts: float, is_reduce_only: bool) -> None:
        executed = symbol.executed_qty
        executed.pop(order_id, None)
        executed[order_id] = 0.0
        if len(executed) > _MAX_ORDERS:
            del executed[next(iter(executed))]
        if not is_reduce_only:
            _insert(symbol.opening_ts, ts, HOUR_S)

    def _on_filled(self, event: OrderFilled) -> None:
        symbol = self._symbol(event.symbol)
        before = symbol.executed_qty.get(event.order_id)
        if before is None or event.executed_qty < before:
            self._note_order(symbol, event.order_id, event.ts, event.is_reduce_only)
            before = 0.0
        new_qty = event.executed_qty - before
        if new_qty <= 0:
            return  # The same fill, polled again.
        symbol.executed_qty[event.order_id] = event.executed_qty
        symbol.last_fill_ts = event.ts
        if event.avg_price is not None:
            symbol.price = event.avg_price
        if event.side is None:
            return
        is_long = (event.side is Side.BUY) is not event.is_reduce_only
        held = (symbol.long_qty if is_long else symbol.short_qty) or 0.0
        held = max(held - new_qty, 0.0) if event.is_reduce_only else held + new_qty
        if is_long:
            symbol.long_qty = held
        else:
            symbol.short_qty = held

    def _on_reduced(self, event: PositionReduced) -> None:
        symbol = self._symbol(event.symbol)
        if symbol.last_close == event.order_id:
            return
        symbol.last_close = event.order_id
        if event.remaining_qty is not None and event.held_side is not None:
            self._hold(symbol, event.held_side, event.remaining_qty)
        if event.pnl_usd is None:
            return
        if event.pnl_usd < 0:
            symbol.last_loss_ts = event.ts
        pnl, quarter = self.state.pnl_usd, int(event.ts // QUARTER_HOUR_S)
        pnl[quarter] = pnl.get(quarter, 0.0) + event.pnl_usd
        if len(pnl) > _MAX_QUARTER_HOURS:
            del pnl[min(pnl)]
        self._day_pnl_usd = None

    def _on_failed(self, event: OrderFailed) -> None:
        _insert(self.state.error_ts, event.ts, None)

    def _on_seen(self, event: PositionSnapshot) -> None:
        symbol = self._symbol(event.symbol)
        self._hold(symbol, event.held_side, event.qty)
        if event.is_net:
            self._hold(symbol, Side.SELL if event.held_side is Side.BUY else Side.BUY, 0.0)
        if symbol.price is None:
            symbol.price = event.entry_price

    def _on_all_seen(self, event: PositionsSnapshot) -> None:
        for position in event.positions:
            self._on_seen(position)

    @staticmethod
    def _hold(symbol: SymbolState, side: Side, qty: float) -> None:
        if side is Side.BUY:
            symbol.long_qty = qty
        else:
            symbol.short_qty = qty

    def _on_measured(self, event: ExecutionMetrics) -> None:
        symbol = self._symbol(event.symbol)
        if event.mark_price is not None:
            symbol.price = event.mark_price
        if event.is_filled is None:
            return
        is_fallback = False
        if event.is_maker:
            symbol.missed_intent = None if event.is_filled else event.intent_id
        else:
            is_fallback = event.intent_id is not None and event.intent_id == symbol.missed_intent
        one = Measured(event.ts, event.is_maker, event.is_filled, is_fallback, event.slippage_bps)
        self._all_routes.add(one)
        route = self._routes.get(event.symbol)
        if route is None:
            route = FillStats(symbol.measured)
            if event.symbol in self.state.symbols:
                self._routes[event.symbol] = route
        route.add(one)


def _since(ts: float | None, as_of: float) -> float | None:
    """Seconds since `ts`; 0 where clocks disagree and it is still to come."""
    return None if ts is None else max(as_of - ts, 0.0)


def _newer(times: list[float], than: float) -> int:
    return len(times) - bisect_right(times, than)


def _within(times: list[float], as_of: float, window_s: float) -> int:
    """How many are in the window before `as_of`, or as little after it: an attempt further ahead had a wrong clock."""
    return bisect_right(times, as_of + window_s) - bisect_right(times, as_of - window_s)


def _insert(times: list[float], ts: float, keep_s: float | None) -> None:
    """Keep the newest `MAX_COUNTED` times, sorted, and (with `keep_s`) none older than that before the newest."""
    insort(times, ts)
    if len(times) > MAX_COUNTED:
        del times[0]
    if keep_s is not None:
        while times[0] < times[-1] - keep_s:
            del times[0]
