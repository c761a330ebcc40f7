"""The state of a `PositionBook`, and how a fill or a snapshot changes the two positions of one symbol.

Quantities are unsigned and in the base asset, times are log times in epoch seconds.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline_v6_dagster.domain.attempt import PositionSide, Side

# Never fewer orders of a symbol than these are kept, however old.
MIN_ORDERS = 16
# What is left below this share of the quantities that cancel is the rounding of floats.
_ROUNDING = 1e-9

_BUY = Side.BUY
_LONG, _SHORT = PositionSide.LONG, PositionSide.SHORT


class OrderProgress(NamedTuple):
    """How far one order has come. `executed_qty` is cumulative, `closed_qty` the part of it that closes report.

    `ack_ts` is None until an ack was logged. A tuple, because checkpoints hold many of them.
    """

    executed_qty: float
    closed_qty: float
    last_ts: float
    ack_ts: float | None
    is_ended: bool


@dataclass(slots=True)
class HeldSide:
    """One position: `qty` is supposed until `is_known`. All fills up to `known_ts` are in it."""

    qty: float = 0.0
    is_known: bool = False
    known_ts: float | None = None
    # The rows of the snapshot at `known_ts` that were added up: (quantity, entry price).
    rows: list[tuple[float, float | None]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SymbolPositions:
    """The two positions of a symbol and the orders that may still change them.

    `is_one_way` is what the newest order showed, None before the first. `prune_at` is the number of orders at which
    the old ones are dropped; it is part of the state so that a log gives the same state however it is split. `dropped`
    holds filled orders that were dropped, by the digests of their keys: the executed quantity and the time of the last
    row, so that one which is polled again is known.
    """

    long: HeldSide = field(default_factory=HeldSide)
    short: HeldSide = field(default_factory=HeldSide)
    is_one_way: bool | None = None
    last_fill_ts: float | None = None
    last_close: str | None = None
    orders: dict[str, OrderProgress] = field(default_factory=dict)
    prune_at: int = MIN_ORDERS
    dropped: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(slots=True)
class PositionState:
    """All that a `PositionBook` remembers: bounded, plain, and written into checkpoints to go on from."""

    symbols: dict[str, SymbolPositions] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PositionRow:
    """One row of a position snapshot: `qty` (unsigned) is held on `position_side`, 0 where nothing is.

    `is_net` tells that the account holds one side only, so that nothing is held on the other.
    """

    symbol: str
    position_side: PositionSide
    qty: float
    entry_price: float | None
    is_net: bool


def change_side(
    found: SymbolPositions, ts: float, side: Side | None, position_side: PositionSide, new_qty: float
) -> None:
    """A fill changes one position of a hedged account."""
    held = found.long if position_side is _LONG else found.short
    if held.known_ts is not None and ts <= held.known_ts:
        return
    if side is None:
        held.is_known = False
    elif (side is _BUY) is (position_side is _LONG):
        held.qty += new_qty
    else:
        held.qty = max(_less(held.qty, new_qty), 0.0)


def change_net(found: SymbolPositions, ts: float, side: Side | None, new_qty: float, is_reduce_only: bool) -> None:
    """A fill changes the net position of a one-way account."""
    for held in (found.long, found.short):
        if held.known_ts is not None and ts <= held.known_ts:
            return
    if side is None:
        found.long.is_known = found.short.is_known = False
        return
    opened, reduced = (found.long, found.short) if side is _BUY else (found.short, found.long)
    if opened.is_known and opened.qty > 0:
        reduced.qty, reduced.is_known = 0.0, True
    elif reduced.is_known and reduced.qty > 0:
        opened.qty, opened.is_known = 0.0, True
    left = _less(reduced.qty, new_qty)
    reduced.qty = max(left, 0.0)
    # Where the position is not known, a reduce-only order closed what was held when the log began.
    if left < 0 and (reduced.is_known or not is_reduce_only):
        opened.qty -= left


def _less(held_qty: float, qty: float) -> float:
    left = held_qty - qty
    return 0.0 if abs(left) <= _ROUNDING * max(held_qty, qty) else left


def set_side(
    found: SymbolPositions, position_side: PositionSide, ts: float, qty: float, row: PositionRow | None
) -> None:
    """A snapshot or a close says what is held on a side."""
    held, other = (found.long, found.short) if position_side is _LONG else (found.short, found.long)
    if held.known_ts is not None and ts < held.known_ts:
        return
    held.qty, held.is_known, held.known_ts = qty, True, ts
    held.rows = [] if row is None else [(row.qty, row.entry_price)]
    if found.is_one_way and qty > 0 and not other.is_known:
        other.qty, other.is_known, other.known_ts = 0.0, True, ts


def add_row(
    found: SymbolPositions, position_side: PositionSide, row: PositionRow, ts: float, *, is_repeat_added: bool
) -> None:
    """A row of a snapshot, added to those of the same side and time."""
    held = found.long if position_side is _LONG else found.short
    if held.known_ts != ts or not held.rows:
        set_side(found, position_side, ts, row.qty, row)
    elif is_repeat_added or (row.qty, row.entry_price) not in held.rows:
        held.rows.append((row.qty, row.entry_price))
        held.qty += row.qty


def set_net(found: SymbolPositions, row: PositionRow, ts: float, *, is_repeat_added: bool) -> None:
    """The same of a row that tells the net position."""
    own, other = (found.long, found.short) if row.position_side is _LONG else (found.short, found.long)
    if own.known_ts == ts and other.known_ts == ts and (own.rows or other.rows):
        if not is_repeat_added and (row.qty, row.entry_price) in own.rows:
            return
        own.rows.append((row.qty, row.entry_price))
        net = own.qty + row.qty - other.qty
        own.qty, other.qty = max(net, 0.0), max(-net, 0.0)
        return
    for held, qty in ((own, row.qty), (other, 0.0)):
        if held.known_ts is None or ts >= held.known_ts:
            held.qty, held.is_known, held.known_ts, held.rows = qty, True, ts, []
    own.rows = [(row.qty, row.entry_price)]
