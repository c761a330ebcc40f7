"""What the live logs tell of the account, one record a row.

Here are the records alone. How they change what is known is `shadow.account_book`; where they come from is
`sources.account`, `sources.metrics`, `sources.positions` and `sources.vetoes`. Times are epoch seconds, quantities in
the base asset, money in USD.
"""

from dataclasses import dataclass

from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.live import OrderStatus, Veto
from pipeline_v6_dagster.domain.position_state import PositionRow


@dataclass(slots=True, kw_only=True)
class OrderPlaced:
    """The exchange has an order. `order_key` names it also where executors use order ids again.

    `status` is what the row says of it; `requested_qty` is None where the row does not say. `is_immediate`: it cannot
    rest on the book (MARKET, IOC, FOK).
    """

    ts: float
    symbol: str
    order_key: str
    is_reduce_only: bool
    side: Side | None
    position_side: PositionSide | None
    requested_qty: float | None
    status: OrderStatus | None
    intent_id: str | None = None
    attempt_id: str | None = None
    is_immediate: bool = False


@dataclass(slots=True, kw_only=True)
class OrderFilled:
    """What is filled of an order so far: `executed_qty` is cumulative and repeats while it is polled."""

    ts: float
    symbol: str
    order_key: str
    is_reduce_only: bool
    side: Side | None
    position_side: PositionSide | None
    executed_qty: float
    avg_price: float | None
    status: OrderStatus | None
    intent_id: str | None = None
    attempt_id: str | None = None


@dataclass(slots=True)
class OrderEnded:
    """An order ended and the row tells of no fill."""

    ts: float
    symbol: str
    order_key: str
    status: OrderStatus


@dataclass(slots=True, kw_only=True)
class PositionReduced:
    """An order closed a position or a part of it. `pnl_usd` is realised, before fees; quantities are unsigned."""

    ts: float
    symbol: str
    order_key: str
    position_side: PositionSide | None
    closed_qty: float | None
    remaining_qty: float | None
    pnl_usd: float | None


@dataclass(slots=True, kw_only=True)
class OrderFailed:
    """An order that the exchange refused or that never reached it. The last three are None where the row has none."""

    ts: float
    symbol: str | None = None
    order_key: str | None = None
    intent_id: str | None = None
    attempt_id: str | None = None


@dataclass(slots=True)
class PositionsSnapshot:
    """A snapshot of one or more positions. Of a symbol that it does not list it tells nothing."""

    ts: float
    positions: tuple[PositionRow, ...]


@dataclass(slots=True, kw_only=True)
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
    OrderPlaced | OrderFilled | OrderEnded | PositionReduced | OrderFailed | PositionsSnapshot | ExecutionMetrics | Veto
)
