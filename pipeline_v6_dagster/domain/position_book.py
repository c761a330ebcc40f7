"""What the account holds per symbol and position side, from fills, closes and position snapshots.

Quantities are unsigned and in the base asset, times are log times in epoch seconds. Whether an account is in one-way
or in hedge mode shows in each order: without a position side a BUY first reduces the short and then opens a long (and
a SELL the other way round); with one it changes that position alone.

A position is *known* once a snapshot or a close has said what is held, or once it was known to be flat. Before that,
fills alone give what would be held if the account had been flat when the log began (`supposed`).
"""

from base64 import b64encode
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.position_state import (
    MIN_ORDERS,
    OrderProgress,
    PositionRow,
    PositionState,
    SymbolPositions,
    add_row,
    change_net,
    change_side,
    set_net,
    set_side,
)

# An order that ended may be polled for a while. One that is open and partly filled is kept for as long as an exchange
# keeps an order without an end in practice.
ENDED_KEEP_S = 3600.0
OPEN_KEEP_S = 90 * 86_400.0
# Never more orders of a symbol than these are kept, and of those that ended: checkpoints hold them all.
_MAX_ORDERS = 10_000
MAX_ENDED = 128
# Of filled orders that were dropped some 35 bytes each are kept: so many of a symbol, and for so long after their end.
MAX_DROPPED = 1000
_DROPPED_KEEP_S = 2 * ENDED_KEEP_S
# Real desks trade hundreds. Beyond it a log is made up.
_MAX_SYMBOLS = 5000

_LONG, _SHORT = PositionSide.LONG, PositionSide.SHORT


class Filled(NamedTuple):
    """What a fill added: `qty` is newly executed (0 where the row repeats what was known)."""

    qty: float
    is_new_order: bool


_NOTHING = Filled(0.0, is_new_order=False)


def order_key(order_id: str, intent_id: str | None, attempt_id: str | None) -> str:
    """What names an order: executors use order ids again, so the attempt's or intent's id is part of it."""
    return f"{order_id}|{attempt_id or intent_id or ''}"


class PositionBook:
    """Applies events to a `PositionState`. Events are given in the order of their log times.

    Events with equal times may come in any order: a snapshot holds the fills that were logged up to its time.
    """

    def __init__(self, state: PositionState | None = None) -> None:
        self.state = state or PositionState()

    # What is held.

    def held(self, symbol: str, position_side: PositionSide | None) -> float | None:
        """The unsigned quantity that is held on a side (of `None`: the net of both); None where it is not known."""
        if position_side is None:
            net = self.net(symbol)
            return None if net is None else abs(net)
        found = self.state.symbols.get(symbol)
        if found is None:
            return None
        own, other = (found.long, found.short) if position_side is _LONG else (found.short, found.long)
        if own.is_known:
            return own.qty
        # In one-way mode there is no short beside a long.
        return 0.0 if found.is_one_way and other.is_known and other.qty > 0 else None

    def net(self, symbol: str) -> float | None:
        """The signed quantity (long minus short); None where a part of it is not known."""
        held_long, held_short = self.held(symbol, _LONG), self.held(symbol, _SHORT)
        return None if held_long is None or held_short is None else held_long - held_short

    def reducible(self, symbol: str, side: Side, position_side: PositionSide | None) -> float | None:
        """The quantity that an order can close; 0 for one that opens, None where the position is not known."""
        against = _SHORT if side is Side.BUY else _LONG
        if position_side is not None and position_side is not against:
            return 0.0
        return self.held(symbol, against)

    def supposed(self, symbol: str, position_side: PositionSide) -> float | None:
        """What is known to be held, else what fills come to from a flat start; None where nothing was logged."""
        found = self.state.symbols.get(symbol)
        if found is None or not (found.last_fill_ts is not None or found.long.is_known or found.short.is_known):
            return None
        return found.long.qty if position_side is _LONG else found.short.qty

    def order(self, symbol: str, key: str) -> OrderProgress | None:
        """How far an order has come; None where no row of it is remembered."""
        found = self.state.symbols.get(symbol)
        return None if found is None else found.orders.get(key)

    # What changes it.

    def place(self, symbol: str, key: str, ts: float, *, says_new: bool = True) -> bool:
        """An order was acknowledged. Returns whether it is a new one and not a repeated or later row of a known one.

        Executors that restart count their order ids from 1: a later ack of an order that has ended is another order,
        where its status says that the order has just begun (`says_new`).
        """
        found = self.state.symbols.get(symbol) or self._symbol(symbol)
        if found is None:
            return False
        known = found.orders.get(key) or _restore(found, key)
        if known is None or (says_new and known.is_ended and known.ack_ts is not None and ts > known.last_ts):
            self._put(found, key, OrderProgress(0.0, 0.0, ts, ts, is_ended=False))
            return True
        if known.ack_ts is None:
            found.orders[key] = known._replace(ack_ts=ts)
        return False

    def fill(
        self,
        symbol: str,
        key: str,
        ts: float,
        side: Side | None,
        position_side: PositionSide | None,
        executed_qty: float,
        *,
        is_reduce_only: bool = False,
        is_ended: bool = False,
    ) -> Filled:
        """`executed_qty` is filled of an order so far; the same order may say so any number of times.

        A smaller quantity than before is a row that comes late, or another order where the first had ended and the
        key names no intent. A fill whose direction is not known makes the position unknown.
        """
        found = self.state.symbols.get(symbol) or self._symbol(symbol)
        if found is None or not executed_qty > 0:
            return _NOTHING
        known = found.orders.get(key) or _restore(found, key)
        if known is None:
            before = 0.0
            after = OrderProgress(executed_qty, 0.0, ts, None, is_ended)
        else:
            before, closed_qty, last_ts, ack_ts, was_ended = known
            if was_ended and executed_qty < before and ts > last_ts and key.endswith("|"):
                known, before = None, 0.0
                after = OrderProgress(executed_qty, 0.0, ts, None, is_ended)
            else:
                after = OrderProgress(
                    executed_qty if executed_qty > before else before,
                    closed_qty,
                    ts if ts > last_ts else last_ts,
                    ack_ts,
                    is_ended or was_ended,
                )
        self._put(found, key, after)
        new_qty = executed_qty - before
        if new_qty <= 0:
            return _NOTHING
        if found.last_fill_ts is None or ts > found.last_fill_ts:
            found.last_fill_ts = ts
        found.is_one_way = position_side is None
        if position_side is not None:
            change_side(found, ts, side, position_side, new_qty)
        else:
            change_net(found, ts, side, new_qty, is_reduce_only)
        return Filled(new_qty, known is None)

    def end(self, symbol: str, key: str, ts: float) -> None:
        """An order ended: filled, cancelled, expired or rejected. It is dropped some time after its last row."""
        found = self.state.symbols.get(symbol)
        known = None if found is None else found.orders.get(key)
        if found is not None and known is not None:
            self._put(found, key, known._replace(is_ended=True, last_ts=max(ts, known.last_ts)))

    def close(
        self,
        symbol: str,
        key: str,
        ts: float,
        position_side: PositionSide | None,
        closed_qty: float | None,
        remaining_qty: float | None,
    ) -> bool:
        """An order closed `closed_qty` of a position and left `remaining_qty` (unsigned); None where not logged.

        Returns whether the row was new: two closes of one order differ in their quantities, a repeated row does not.
        """
        found = self._symbol(symbol)
        name = f"{key}/{closed_qty}/{remaining_qty}"
        if found is None or found.last_close == name:
            return False
        found.last_close = name
        if closed_qty is not None and closed_qty > 0:
            known = found.orders.get(key) or OrderProgress(0.0, 0.0, ts, None, is_ended=False)
            closed = known.closed_qty + closed_qty
            # The fill that is logged after its close is in what the close left.
            executed = max(known.executed_qty, closed) if remaining_qty is not None else known.executed_qty
            after = known._replace(closed_qty=closed, executed_qty=executed, last_ts=max(ts, known.last_ts))
            self._put(found, key, after)
        if remaining_qty is None:
            return True
        if position_side is not None:
            set_side(found, position_side, ts, remaining_qty, None)
        elif remaining_qty == 0:
            set_side(found, _LONG, ts, 0.0, None)
            set_side(found, _SHORT, ts, 0.0, None)
        return True

    def snapshot(self, ts: float, rows: Iterable[PositionRow]) -> None:
        """What is held as of `ts`. Rows of one symbol, side and time add up; a symbol without a row is unknown.

        Rows that are equal in quantity and entry price are one row that was written twice where they come alone, and
        two positions where they come in one snapshot.
        """
        listed = list(rows)
        for row in listed:
            found = self._symbol(row.symbol)
            if found is None:
                continue
            if row.is_net:
                set_net(found, row, ts, is_repeat_added=len(listed) > 1)
            else:
                add_row(found, row.position_side, row, ts, is_repeat_added=len(listed) > 1)

    def flat(self, symbol: str, ts: float) -> None:
        """Nothing was held as of `ts`. Only a position that is not known, and was not filled since, is changed."""
        found = self._symbol(symbol)
        if found is None or (found.last_fill_ts is not None and found.last_fill_ts > ts):
            return
        for held in (found.long, found.short):
            if not held.is_known:
                held.qty, held.is_known, held.known_ts = 0.0, True, ts

    def _symbol(self, name: str) -> SymbolPositions | None:
        found = self.state.symbols.get(name)
        if found is None and name and len(self.state.symbols) < _MAX_SYMBOLS:
            found = self.state.symbols[name] = SymbolPositions()
        return found

    @staticmethod
    def _put(found: SymbolPositions, key: str, order: OrderProgress) -> None:
        """Keeps `orders` sorted by when they were heard of last, and drops what is too old to be heard of."""
        orders = found.orders
        if key in orders:
            del orders[key]
        orders[key] = order
        if len(orders) > found.prune_at:
            PositionBook._prune(found, order)

    @staticmethod
    def _prune(found: SymbolPositions, order: OrderProgress) -> None:
        orders = found.orders
        droppable = len(orders) - MIN_ORDERS
        surplus = sum(known.is_ended for known in orders.values()) - MAX_ENDED
        for name, known in list(orders.items())[:droppable]:
            keep_s = ENDED_KEEP_S if known.is_ended or not known.executed_qty else OPEN_KEEP_S
            is_surplus = known.is_ended and surplus > 0
            surplus -= known.is_ended
            if is_surplus or known.last_ts < order.last_ts - keep_s or len(orders) > _MAX_ORDERS:
                del orders[name]
                if known.executed_qty:
                    _note_dropped(found, name, known, order.last_ts)
        found.prune_at = max(MIN_ORDERS, len(orders) + min(len(orders), MAX_ENDED))


def _note_dropped(found: SymbolPositions, key: str, order: OrderProgress, now: float) -> None:
    """Keep the little that tells a poll of a dropped order from another order."""
    dropped, digest = found.dropped, _digest(key)
    dropped.pop(digest, None)  # so that the oldest stand first
    dropped[digest] = (order.executed_qty, order.last_ts)
    for oldest, (_, last_ts) in list(islice(dropped.items(), 2)):
        if len(dropped) > MAX_DROPPED or last_ts < now - _DROPPED_KEEP_S:
            del dropped[oldest]


def _restore(found: SymbolPositions, key: str) -> OrderProgress | None:
    """A filled order that was dropped; None for one that never was, or was too long ago."""
    if not found.dropped:
        return None
    executed_qty, last_ts = found.dropped.get(_digest(key), (0.0, 0.0))
    return OrderProgress(executed_qty, 0.0, last_ts, last_ts, is_ended=True) if executed_qty else None


def _digest(key: str) -> str:
    """Eight characters of 48 bits: no other of some thousand orders has the same."""
    return b64encode(blake2b(key.encode("utf-8", "replace"), digest_size=6).digest()).decode()
