"""What is on its way and not yet in an account snapshot: open live orders, recent fills, v6's unanswered attempts.

Times are epoch seconds, quantities in the base asset, money in USD. How events change the records is `shadow.pending`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline_v6_dagster.domain.attempt import Side


class OpenOrder(NamedTuple):
    """A live opening order that was acked at `ts` and has not ended. None where no log says.

    `is_immediate`: it cannot rest on the book (MARKET, IOC, FOK).
    """

    ts: float
    symbol: str
    side: Side | None
    qty: float | None
    executed_qty: float
    price: float | None
    intent_id: str | None
    attempt_id: str | None
    is_immediate: bool


class OpeningFill(NamedTuple):
    """What a live opening order executed at `ts`."""

    ts: float
    symbol: str
    side: Side | None
    qty: float
    price: float | None


class AllowedAttempt(NamedTuple):
    """An opening that v6 allowed and that no live event has answered, at the size that v6 gave it."""

    as_of: float
    symbol: str
    side: Side | None
    qty: float
    usd: float
    intent_id: str | None
    attempt_id: str | None


# (NAV, gross exposure, open positions) of a snapshot: what is compared to recognise it.
Figures = tuple[float | None, float | None, int | None]


@dataclass(slots=True, kw_only=True)
class PendingState:
    """Bounded, and written into checkpoints. `orders` by their keys, `fills` and `attempts` in the order of time.

    `figures` are those of the newest snapshot, `figures_since` is when the unbroken run of attempts with them began.
    `is_behind`: the newest attempt was made long before that, so that one of the two clocks is wrong.
    `hints` are the prices of the newest attempts by symbol: a last resort to value an order that names no price.
    `newest` is when the newest attempt of each symbol was made, whatever was decided.
    """

    orders: dict[str, OpenOrder] = field(default_factory=dict)
    fills: list[OpeningFill] = field(default_factory=list)
    attempts: list[AllowedAttempt] = field(default_factory=list)
    figures: Figures | None = None
    figures_since: float = 0.0
    is_behind: bool = False
    hints: dict[str, float] = field(default_factory=dict)
    newest: dict[str, float] = field(default_factory=dict)


class PendingExposure(NamedTuple):
    """What counts for one attempt, beyond its snapshot. USD are None where an order has no price.

    `live_usd`, `v6_usd`, `qty` (in the attempt's direction) and `open_orders` are of its symbol, `portfolio_usd` and
    `side_usd` (in its direction) of all; `symbols` are those with any.
    """

    live_usd: float | None
    v6_usd: float
    portfolio_usd: float | None
    side_usd: float | None
    qty: float
    open_orders: int
    symbols: frozenset[str]
