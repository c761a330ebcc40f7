"""Exposure that is on its way: how live events and v6's own decisions change it, and what of it counts for an attempt.

A snapshot of the account is a moment. To it are added the unfilled rest of live opening orders that were acked and
have not ended, what was filled after it, and what v6 allowed since and no live event has answered. Sums are made from
the records each time, in their order, so that a log gives the same figures however it is split.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import chain
from math import isnan, nan

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.live import Veto
from pipeline_v6_dagster.domain.pending import (
    AllowedAttempt,
    Figures,
    OpeningFill,
    OpenOrder,
    PendingExposure,
    PendingState,
)
from pipeline_v6_dagster.shadow.readings import is_positive

# Until when an attempt may be answered, and an order that cannot rest may end: `PIPELINE_COMPARE_MATCH_TOLERANCE`.
DEFAULT_TOLERANCE_S = 900.0
# More orders than an exchange lets an account have open; the oldest are dropped first.
MAX_ORDERS = 1000
MAX_FILLS = 1000
MAX_ATTEMPTS = 1000
_MAX_SYMBOLS = 5000
# An attempt may carry an older snapshot than the one before it, by as much as clocks of a log may disagree.
_KEEP_S = 3600.0


_NOTHING = PendingExposure(0.0, 0.0, 0.0, 0.0, 0.0, 0, frozenset())

# The newest price of a symbol, or None.
FindPrice = Callable[[str], float | None]


class PendingOrders:
    """Applies events to a `PendingState`. Events and attempts are given in the order of time."""

    def __init__(self, state: PendingState | None = None, tolerance_s: float = DEFAULT_TOLERANCE_S) -> None:
        self.state = state or PendingState()
        self._tolerance_s = tolerance_s
        # The attempts of `state` by each of their ids; those without one stand under None.
        self._by_intent: dict[str | None, list[AllowedAttempt]] = {}
        self._by_attempt: dict[str | None, list[AllowedAttempt]] = {}
        for attempt in self.state.attempts:
            self._index(attempt)

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
        """A live opening order executed `fill.qty` (above 0) more, `executed_qty` in all."""
        order = self.state.orders.get(key)
        if order is not None:
            self.state.orders[key] = order._replace(executed_qty=max(order.executed_qty, executed_qty))
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
        found = self._named(intent_id, attempt_id)
        if (
            found is None
            and (intent_id is None or None in self._by_intent)
            and (attempt_id is None or None in self._by_attempt)
        ):
            found = self._unnamed(ts, symbol, side, intent_id, attempt_id)
        if found is not None:
            self._forget(found)
        return found

    def veto(self, veto: Veto) -> None:
        """Live vetoed an attempt: nothing of it is on its way.

        A veto whose ids name no attempt is of the newest attempt of its symbol. Where v6 denied that one, or an id or
        the side says otherwise, it answers nothing, because what is left out of pending exposure is let through.
        """
        found = self._named(veto.intent_id, veto.attempt_id)
        newest = self.state.newest.get(veto.symbol or "")
        if found is None and newest is not None:
            found = self._unnamed(veto.ts, veto.symbol or "", veto.side, veto.intent_id, veto.attempt_id, since=newest)
        if found is not None:
            self._forget(found)

    def _named(self, intent_id: str | None, attempt_id: str | None) -> AllowedAttempt | None:
        for name, index in ((intent_id, self._by_intent), (attempt_id, self._by_attempt)):
            if name is not None and name in index:
                return index[name][0]
        return None

    def _unnamed(
        self,
        ts: float,
        symbol: str,
        side: Side | None,
        intent_id: str | None,
        attempt_id: str | None,
        since: float | None = None,
    ) -> AllowedAttempt | None:
        """The oldest attempt of the symbol and side (from `since` on) of which no id says that it is another."""
        attempts = self.state.attempts
        for attempt in attempts if since is None else attempts[bisect_left(attempts, since, key=_as_of) :]:
            if (
                attempt.symbol == symbol
                and side in (None, attempt.side)
                and (attempt.intent_id is None or intent_id is None)
                and (attempt.attempt_id is None or attempt_id is None)
                and attempt.as_of <= ts
            ):
                return attempt
        return None

    def _index(self, attempt: AllowedAttempt) -> None:
        self._by_intent.setdefault(attempt.intent_id, []).append(attempt)
        self._by_attempt.setdefault(attempt.attempt_id, []).append(attempt)

    def _forget(self, attempt: AllowedAttempt) -> None:
        attempts = self.state.attempts
        del attempts[attempts.index(attempt, bisect_left(attempts, attempt.as_of, key=_as_of))]
        self._unindex(attempt)

    def _unindex(self, attempt: AllowedAttempt) -> None:
        for name, index in ((attempt.intent_id, self._by_intent), (attempt.attempt_id, self._by_attempt)):
            index[name].remove(attempt)
            if not index[name]:
                del index[name]

    # What v6 decided.

    def snapshot_time(self, as_of: float, age_s: float | None, figures: Figures) -> float:
        """When a snapshot was taken: by its own age, else when the unbroken run of its figures began."""
        if age_s is not None:
            return as_of - age_s
        return min(self.state.figures_since, as_of) if figures == self.state.figures else as_of

    def note_snapshot(self, as_of: float, figures: Figures) -> None:
        """An attempt with a snapshot of these figures was decided."""
        state = self.state
        if state.figures is not None and is_positive(state.figures[0]) and not is_positive(figures[0]):
            return  # Without a NAV it does not say that the account changed.
        if as_of < state.figures_since - _KEEP_S and not state.is_behind:
            state.is_behind = True  # Its clock is wrong, or that of the attempt before it, as the next one shows.
            return
        state.is_behind = False
        if figures != state.figures:
            state.figures, state.figures_since = figures, as_of
        fills = state.fills
        while fills and fills[0].ts < state.figures_since - _KEEP_S:
            del fills[0]

    def note_attempt(self, as_of: float, symbol: str, price: float | None) -> None:
        """An attempt was decided, whatever the decision; `price` is its hint."""
        newest, hints = self.state.newest, self.state.hints
        if symbol in newest or len(newest) < _MAX_SYMBOLS:
            newest[symbol] = as_of
        if price is not None and is_positive(price) and (symbol in hints or len(hints) < _MAX_SYMBOLS):
            hints[symbol] = price

    def note_allowed(self, attempt: AllowedAttempt, replaces: str | None = None) -> None:
        """v6 allowed an opening. `replaces` is the intent or attempt id that it amends."""
        attempts = self.state.attempts
        if replaces is not None:
            for each in list(attempts):
                if each.symbol == attempt.symbol and replaces in (each.intent_id, each.attempt_id):
                    self._forget(each)
        if not attempts or attempts[-1].as_of <= attempt.as_of:  # As nearly always, and it takes no search.
            attempts.append(attempt)
        else:
            insort(attempts, attempt, key=_as_of)
        self._index(attempt)
        # Of half of them, so that one attempt with a wrong clock drops no others.
        oldest = attempts[len(attempts) // 2].as_of - self._tolerance_s
        while len(attempts) > MAX_ATTEMPTS or attempts[0].as_of < oldest:
            self._unindex(attempts.pop(0))

    # What counts.

    def exposure(
        self,
        symbol: str,
        side: Side | None,
        as_of: float,
        snapshot_ts: float | None,
        find_price: FindPrice,
        amends: str | None = None,
    ) -> PendingExposure:
        """What is pending for an attempt made at `as_of` on a snapshot taken at `snapshot_ts`.

        Without a snapshot (None) exposure is that of the live logs, which holds all fills. `amends` is the intent or
        attempt id that the attempt replaces: what is left of it does not count, unless it is of another symbol.
        """
        since = as_of - self._tolerance_s
        live = self._sum_live(symbol, side, since, snapshot_ts, amends, find_price)
        open_orders, symbols, live_usd, others_usd, side_usd, total_qty = live
        v6_usd = v6_others_usd = v6_side_usd = 0.0
        since = since if snapshot_ts is None else max(since, snapshot_ts)
        for made, name, its_side, qty, usd, intent_id, attempt_id in reversed(self.state.attempts):
            if made < since:
                break
            if amends is not None and name == symbol and amends in (intent_id, attempt_id):
                continue
            symbols.add(name)
            if name == symbol:
                open_orders += 1
                v6_usd += usd
                total_qty += qty if its_side is side else 0.0
            else:
                v6_others_usd += usd
            if its_side is side:
                v6_side_usd += usd
        if not symbols and not open_orders:
            return _NOTHING
        return PendingExposure(
            _known(live_usd),
            v6_usd,
            _known(live_usd + others_usd + v6_usd + v6_others_usd),
            _known(side_usd + v6_side_usd),
            total_qty,
            open_orders,
            frozenset(symbols),
        )

    def count_unanswered(self, symbol: str, as_of: float) -> int:
        """How many openings of a symbol v6 allowed, within the tolerance, that no live event has answered."""
        attempts = self.state.attempts
        first = bisect_left(attempts, as_of - self._tolerance_s, key=_as_of)
        return sum(attempts[number].symbol == symbol for number in range(first, len(attempts)))

    def _sum_live(
        self,
        symbol: str,
        side: Side | None,
        since: float,
        snapshot_ts: float | None,
        amends: str | None,
        find_price: FindPrice,
    ) -> tuple[int, set[str], float, float, float, float]:
        """What live has on its way, in one pass, since every attempt goes through all of it.

        Open orders of the symbol; the symbols with any quantity; USD of the symbol, of the others and of the side;
        quantity of the symbol on the side. USD are NaN where a price is not known, because every sum with it is.
        """
        hints, fills = self.state.hints, self._filled_since(snapshot_ts)
        open_orders = -sum(fill[1] == symbol for fill in fills)  # They are counted below, and are no orders.
        symbols: set[str] = set()
        live_usd = others_usd = side_usd = total_qty = 0.0
        # Tuples are unpacked, which reads no attribute.
        for ts, name, its_side, qty, executed_qty, price, intent_id, attempt_id, is_immediate in chain(
            self.state.orders.values(), fills
        ):
            is_own = name == symbol
            if (is_immediate and ts < since) or (amends is not None and is_own and amends in (intent_id, attempt_id)):
                continue
            open_orders += is_own
            if qty is None or not qty > executed_qty:
                continue
            left_qty = qty - executed_qty
            usd = left_qty * (price or find_price(name) or hints.get(name) or nan)
            symbols.add(name)
            is_same_side = its_side is side or its_side is None
            if is_same_side:
                side_usd += usd
            if is_own:
                live_usd += usd
                total_qty += left_qty if is_same_side else 0.0
            else:
                others_usd += usd
        return open_orders, symbols, live_usd, others_usd, side_usd, total_qty

    def _filled_since(self, snapshot_ts: float | None) -> list[OpenOrder]:
        """What live filled after the snapshot, newest first, in the form of orders that name no ids."""
        found: list[OpenOrder] = []
        if snapshot_ts is not None:
            for ts, name, side, qty, price in reversed(self.state.fills):
                if ts <= snapshot_ts:
                    break
                found.append(OpenOrder(ts, name, side, qty, 0.0, price, None, None, is_immediate=False))
        return found


def _known(usd: float) -> float | None:
    return None if isnan(usd) else usd


def _as_of(attempt: AllowedAttempt) -> float:
    return attempt.as_of
