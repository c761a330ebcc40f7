"""Exposure that is on its way: how live events and v6's own decisions change it, and what of it counts for an attempt.

A snapshot of the account is a moment. To it are added the unfilled rest of live opening orders that were acked and
have not ended, what was filled after it, and what v6 allowed since and no live event has answered. Sums are made from
the records each time, in their order, so that a log gives the same figures however it is split.
"""

from bisect import insort
from collections.abc import Callable
from typing import Protocol

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.pending import (
    AllowedAttempt,
    Figures,
    OpeningFill,
    OpenOrder,
    PendingExposure,
    PendingState,
)
from pipeline_v6_dagster.shadow.readings import EPSILON, is_positive

# Until when an attempt may be answered, and an order that cannot rest may end: `PIPELINE_COMPARE_MATCH_TOLERANCE`.
DEFAULT_TOLERANCE_S = 900.0
# More orders than an exchange lets an account have open; the oldest are dropped first.
MAX_ORDERS = 1000
MAX_FILLS = 1000
MAX_ATTEMPTS = 1000
_MAX_SYMBOLS = 5000
# An attempt may carry an older snapshot than the one before it, by as much as clocks of a log may disagree.
_KEEP_S = 3600.0


class DecidedIntent(Protocol):
    """What is read of an intent, or of a row that holds one."""

    symbol: str
    side: Side | None
    qty: float | None
    price: float | None
    nav_usd: float | None
    open_positions_count: int | None
    reduce_only: bool
    intent_id: str | None
    attempt_id: str | None
    amends: str | None


class DecidedState(Protocol):
    """What is read of a state, or of a row that holds one."""

    portfolio_gross_usd: float | None
    snapshot_ts: float | None
    position_qty: float | None


class DecidedSize(Protocol):
    """What v6 would have ordered."""

    qty: float
    gross_usd: float


_NOTHING = PendingExposure(0.0, 0.0, 0.0, 0.0, 0.0, 0, frozenset())

# The newest price of a symbol, or None.
PriceOf = Callable[[str], float | None]


class PendingOrders:
    """Applies events to a `PendingState`. Events and attempts are given in the order of time."""

    def __init__(self, state: PendingState | None = None, tolerance_s: float = DEFAULT_TOLERANCE_S) -> None:
        self.state = state or PendingState()
        self._tolerance_s = tolerance_s

    # What live did.

    def place(self, key: str, order: OpenOrder) -> None:
        """A live opening order was acked and has not ended. A repeated ack changes nothing."""
        answered = self.answer(order.ts, order.symbol, order.side, order.intent_id, order.attempt_id)
        if key in self.state.orders:
            return
        if answered is not None:
            order = order._replace(
                side=order.side or answered.side,
                qty=answered.qty if order.qty is None else order.qty,
                price=answered.usd / answered.qty if order.price is None and answered.qty else order.price,
            )
        orders = self.state.orders
        orders[key] = order
        if len(orders) > MAX_ORDERS:
            del orders[next(iter(orders))]

    def fill(self, key: str, fill: OpeningFill, executed_qty: float) -> None:
        """A live opening order executed `fill.qty` more, `executed_qty` in all."""
        order = self.state.orders.get(key)
        if order is not None:
            self.state.orders[key] = order._replace(executed_qty=executed_qty)
        if fill.qty > 0:
            fills = self.state.fills
            fills.append(fill)
            if len(fills) > MAX_FILLS:
                del fills[0]

    def end(self, key: str) -> None:
        """A live order ended: its rest is no longer on its way."""
        self.state.orders.pop(key, None)

    def answer(
        self, ts: float, symbol: str, side: Side | None, intent_id: str | None, attempt_id: str | None
    ) -> AllowedAttempt | None:
        """A live event answers the attempt with its ids; without ids the oldest one of its symbol and side."""
        attempts = self.state.attempts
        by_time = None
        for index, attempt in enumerate(attempts):
            if (intent_id is not None and attempt.intent_id == intent_id) or (
                attempt_id is not None and attempt.attempt_id == attempt_id
            ):
                return attempts.pop(index)
            if (
                by_time is None
                and (attempt.intent_id is None or intent_id is None)
                and (attempt.attempt_id is None or attempt_id is None)
                and attempt.symbol == symbol
                and side in (None, attempt.side)
                and attempt.as_of <= ts
            ):
                by_time = index
        return None if by_time is None else attempts.pop(by_time)

    # What v6 decided.

    def snapshot_time(self, as_of: float, age_s: float | None, figures: Figures) -> float:
        """When a snapshot was taken: by its own age, else when the unbroken run of its figures began."""
        if age_s is not None:
            return as_of - age_s
        return min(self.state.figures_since, as_of) if figures == self.state.figures else as_of

    def note_snapshot(self, as_of: float, figures: Figures) -> None:
        """An attempt with a snapshot of these figures was decided."""
        state = self.state
        if figures != state.figures:
            state.figures, state.figures_since = figures, as_of
        fills = state.fills
        while fills and fills[0].ts < state.figures_since - _KEEP_S:
            del fills[0]

    def note_price(self, symbol: str, price: float) -> None:
        """The price hint of an attempt."""
        hints = self.state.hints
        if symbol in hints or len(hints) < _MAX_SYMBOLS:
            hints[symbol] = price

    def note_allowed(self, attempt: AllowedAttempt, replaces: str | None = None) -> None:
        """v6 allowed an opening. `replaces` is the intent or attempt id that it amends."""
        attempts = self.state.attempts
        if replaces is not None:
            attempts[:] = [one for one in attempts if replaces not in (one.intent_id, one.attempt_id)]
        insort(attempts, attempt, key=_as_of)
        oldest = attempt.as_of - self._tolerance_s - _KEEP_S
        while len(attempts) > MAX_ATTEMPTS or attempts[0].as_of < oldest:
            del attempts[0]

    # What counts.

    def exposure(
        self,
        symbol: str,
        side: Side | None,
        as_of: float,
        snapshot_ts: float | None,
        price_of: PriceOf,
        amends: str | None = None,
    ) -> PendingExposure:
        """What is pending for an attempt made at `as_of` on a snapshot taken at `snapshot_ts`.

        Without a snapshot (None) exposure is that of the live logs, which holds all fills. `amends` is the intent or
        attempt id that the attempt replaces: what is left of it does not count.
        """
        state, since = self.state, as_of - self._tolerance_s
        total = _Sums(symbol, side)
        for order in state.orders.values():
            if order.is_immediate and order.ts < since:
                continue
            if amends is not None and amends in (order.intent_id, order.attempt_id):
                continue
            rest = 0.0 if order.qty is None else max(order.qty - order.executed_qty, 0.0)
            price = order.price or price_of(order.symbol) or state.hints.get(order.symbol)
            total.add_live(order.symbol, order.side, rest, price, is_order=True)
        if snapshot_ts is not None:
            for fill in reversed(state.fills):
                if fill.ts <= snapshot_ts:
                    break
                price = fill.price or price_of(fill.symbol) or state.hints.get(fill.symbol)
                total.add_live(fill.symbol, fill.side, fill.qty, price, is_order=False)
            since = max(since, snapshot_ts)
        for attempt in reversed(state.attempts):
            if attempt.as_of < since:
                break
            if amends is None or amends not in (attempt.intent_id, attempt.attempt_id):
                total.add_v6(attempt)
        return total.exposure()


def note_decision(
    pending: PendingOrders, intent: DecidedIntent, state: DecidedState, as_of: float, size: DecidedSize | None
) -> None:
    """Remember what was decided; `size` is None where it was denied. The same from a decision and from its row."""
    if state.snapshot_ts is not None:
        pending.note_snapshot(as_of, (intent.nav_usd, state.portfolio_gross_usd, intent.open_positions_count))
    if intent.price is not None and is_positive(intent.price):
        pending.note_price(intent.symbol, intent.price)
    if size is None:
        return
    opening = opening_share(intent, state)
    if opening > 0 and size.qty > 0:
        pending.note_allowed(
            AllowedAttempt(
                as_of,
                intent.symbol,
                intent.side,
                size.qty * opening,
                size.gross_usd * opening,
                intent.intent_id,
                intent.attempt_id,
            ),
            intent.amends,
        )


def opening_share(intent: DecidedIntent, state: DecidedState) -> float:
    """The share of the order that opens: 1 without reduce-only, of a reduce-only order what exceeds the position.

    0 where the position is not known, because the exchange enforces the flag, and where it is known to be 0, because
    `reduce_only_invalid` denies that.
    """
    if not intent.reduce_only:
        return 1.0
    position, qty = state.position_qty, intent.qty
    if position is None or not is_positive(position) or qty is None or not is_positive(qty):
        return 0.0
    return (qty - position) / qty if qty > position * (1 + EPSILON) else 0.0


def _as_of(attempt: AllowedAttempt) -> float:
    return attempt.as_of


class _Sums:
    """Sums for one attempt's symbol and side, and for all."""

    def __init__(self, symbol: str, side: Side | None) -> None:
        self._symbol, self._side = symbol, side
        self._live_usd: float | None = 0.0
        self._others_usd: float | None = 0.0
        self._live_side_usd: float | None = 0.0
        self._v6_usd = self._v6_others_usd = self._v6_side_usd = self._qty = 0.0
        self._open_orders = 0
        self._symbols: set[str] = set()

    def add_live(self, symbol: str, side: Side | None, qty: float, price: float | None, *, is_order: bool) -> None:
        usd = None if price is None else qty * price
        is_own, is_same_side = symbol == self._symbol, side is None or side is self._side
        if is_own:
            self._open_orders += is_order
        if not qty > 0:
            return
        self._symbols.add(symbol)
        if is_own:
            self._live_usd = None if usd is None or self._live_usd is None else self._live_usd + usd
            self._qty += qty if is_same_side else 0.0
        else:
            self._others_usd = None if usd is None or self._others_usd is None else self._others_usd + usd
        if is_same_side:
            self._live_side_usd = None if usd is None or self._live_side_usd is None else self._live_side_usd + usd

    def add_v6(self, attempt: AllowedAttempt) -> None:
        is_same_side = attempt.side is self._side
        self._symbols.add(attempt.symbol)
        if attempt.symbol == self._symbol:
            self._open_orders += 1
            self._v6_usd += attempt.usd
            self._qty += attempt.qty if is_same_side else 0.0
        else:
            self._v6_others_usd += attempt.usd
        if is_same_side:
            self._v6_side_usd += attempt.usd

    def exposure(self) -> PendingExposure:
        if not self._symbols and not self._open_orders:
            return _NOTHING
        live, others, side = self._live_usd, self._others_usd, self._live_side_usd
        return PendingExposure(
            live,
            self._v6_usd,
            None if live is None or others is None else live + others + self._v6_usd + self._v6_others_usd,
            None if side is None else side + self._v6_side_usd,
            self._qty,
            self._open_orders,
            frozenset(self._symbols),
        )
