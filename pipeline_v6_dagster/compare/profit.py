"""What each opening order earned or lost, from the fills that later closed it.

First in, first out, per symbol and held side (the executor trades in hedge mode): a close takes the oldest lots. What
is never closed is marked at the last price that the symbol traded at. A close of more than is known to be held closes
what was opened before the history, and earns nobody here anything.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from pipeline_v6_dagster.domain.attempt import Side

_OPPOSITE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class Execution(NamedTuple):
    """What one exchange order executed. `fees_usd` is None where nobody logged them."""

    key: Hashable
    symbol: str
    side: Side
    is_reduce_only: bool
    ts: float
    qty: float
    price: float
    fees_usd: float | None


@dataclass(slots=True)
class Profit:
    """What one key's openings came to, USD. `price_usd` is before fees; `open_usd` the part of it that is only marked.

    `fees_usd` are its own and its share of the closing orders'; None where a part was not logged.
    """

    price_usd: float = 0.0
    open_usd: float = 0.0
    fees_usd: float | None = 0.0


@dataclass(slots=True)
class _Lot:
    key: Hashable
    qty: float
    price: float


def compute_profits(executions: Iterable[Execution]) -> dict[Hashable, Profit]:
    """By key, of every opening order."""
    profits: dict[Hashable, Profit] = {}
    held: dict[tuple[str, Side], deque[_Lot]] = {}
    last_price: dict[str, float] = {}
    for one in sorted(executions, key=attrgetter("ts")):
        last_price[one.symbol] = one.price
        if one.is_reduce_only:
            _close(one, held.get((one.symbol, _OPPOSITE[one.side]), deque()), profits)
            continue
        profit = profits.setdefault(one.key, Profit())
        profit.fees_usd = _plus(profit.fees_usd, one.fees_usd)
        held.setdefault((one.symbol, one.side), deque()).append(_Lot(one.key, one.qty, one.price))
    for (symbol, side), lots in held.items():
        for lot in lots:
            marked_usd = _earned(side, lot.qty, lot.price, last_price[symbol])
            profits[lot.key].price_usd += marked_usd
            profits[lot.key].open_usd += marked_usd
    return profits


def _close(one: Execution, lots: deque[_Lot], profits: dict[Hashable, Profit]) -> None:
    left = one.qty
    while lots and left > 0:
        lot = lots[0]
        qty = min(lot.qty, left)
        profit = profits[lot.key]
        profit.price_usd += _earned(_OPPOSITE[one.side], qty, lot.price, one.price)
        profit.fees_usd = _plus(profit.fees_usd, None if one.fees_usd is None else one.fees_usd * qty / one.qty)
        left -= qty
        lot.qty -= qty
        if lot.qty <= 0:
            lots.popleft()


def _earned(side: Side, qty: float, entry: float, exit_: float) -> float:
    return (1.0 if side is Side.BUY else -1.0) * qty * (exit_ - entry)


def _plus(known: float | None, more: float | None) -> float | None:
    return None if known is None or more is None else known + more
