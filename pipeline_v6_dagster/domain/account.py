"""What the live logs tell of the account over time, and the rolling state that is kept of it.

Here are the records alone. How one changes the other is `shadow.rolling`; where the records come from is
`sources.account` and `sources.positions`. Times are epoch seconds, quantities in the base asset, money in USD.
"""

from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.pending import PendingState


@dataclass(slots=True)
class OrderPlaced:
    """The exchange has an order."""

    ts: float
    symbol: str
    order_id: str
    is_reduce_only: bool


@dataclass(slots=True)
class OrderFilled:
    """What is filled of an order so far: `executed_qty` is cumulative and repeats while it is polled."""

    ts: float
    symbol: str
    order_id: str
    is_reduce_only: bool
    side: Side | None
    executed_qty: float
    avg_price: float | None


@dataclass(slots=True)
class PositionReduced:
    """A reduce-only order ended. `pnl_usd` is realised, before fees; `remaining_qty` is unsigned."""

    ts: float
    symbol: str
    order_id: str
    held_side: Side | None
    remaining_qty: float | None
    pnl_usd: float | None


@dataclass(slots=True)
class OrderFailed:
    """An order that the exchange refused or that never reached it."""

    ts: float


@dataclass(slots=True)
class PositionSnapshot:
    """A position snapshot: `qty` (unsigned) is held on `held_side`, 0 where nothing is.

    `is_net` tells that the account holds one side only, so that nothing is held on the other.
    """

    ts: float
    symbol: str
    held_side: Side
    qty: float
    entry_price: float | None
    is_net: bool


@dataclass(slots=True)
class PositionsSnapshot:
    """A snapshot of several positions. Of a symbol that it does not list it tells nothing."""

    ts: float
    positions: tuple[PositionSnapshot, ...]


@dataclass(slots=True)
class ExecutionMetrics:
    """How one order went. `is_filled` is None while it is open.

    `slippage_bps` is positive for a cost and None where nothing was filled.
    """

    ts: float
    symbol: str
    intent_id: str | None
    is_maker: bool
    is_filled: bool | None
    slippage_bps: float | None
    mark_price: float | None


AccountEvent = (
    OrderPlaced | OrderFilled | PositionReduced | OrderFailed | PositionSnapshot | PositionsSnapshot | ExecutionMetrics
)


@dataclass(slots=True)
class Measured:
    """One ended order of a routing record. `is_fallback`: a taker order after a maker one that was not filled."""

    ts: float
    is_maker: bool
    is_filled: bool
    is_fallback: bool
    slippage_bps: float | None


@dataclass(slots=True)
class SymbolState:
    """What is known of one symbol. A position that no log has told of is None.

    `price` is that of the newest fill or mark. `opening_ts` are the log times of the newest opening orders,
    `executed_qty` what is filled of the newest orders (cumulative, by order id), `last_close` names the newest close,
    `missed_intent` the intent whose maker order was the newest not to be filled.
    """

    long_qty: float | None = None
    short_qty: float | None = None
    price: float | None = None
    last_fill_ts: float | None = None
    last_loss_ts: float | None = None
    last_close: str | None = None
    missed_intent: str | None = None
    opening_ts: list[float] = field(default_factory=list)
    executed_qty: dict[str, float] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)


@dataclass(slots=True)
class AccountState:
    """All that decisions remember of the live logs; bounded, and written into the shadow log to go on from.

    `pnl_usd` is realised per quarter of an hour (its number since the epoch): midnight is one's edge in every time
    zone. `peak_nav_usd` is the highest NAV of an attempt since `peak_since`. `measured` is of all symbols.
    """

    symbols: dict[str, SymbolState] = field(default_factory=dict)
    error_ts: list[float] = field(default_factory=list)
    pnl_usd: dict[int, float] = field(default_factory=dict)
    peak_nav_usd: float | None = None
    peak_since: float | None = None
    measured: list[Measured] = field(default_factory=list)
    pending: PendingState = field(default_factory=PendingState)


@dataclass(slots=True)
class RoutingRecord:
    """How orders went of late, as of an attempt. None where there is nothing to measure.

    Shares are of ended orders: of taker orders that were filled, of maker orders that were filled, of maker orders
    that a taker order followed. Quantiles are of the signed slippage (bps, positive = cost) of filled orders.
    """

    taker_orders: int = 0
    taker_fill_share: float | None = None
    maker_orders: int = 0
    maker_fill_share: float | None = None
    fallback_share: float | None = None
    maker_slippage_p50_bps: float | None = None
    taker_slippage_p50_bps: float | None = None
    taker_slippage_p90_bps: float | None = None
