"""What the live executor did: its events, the orders folded from them, its vetoes."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.decision import Route


class EventKind(StrEnum):
    """What a row of `orders_executed.jsonl` says of an order. FLAT is a row that is an order by itself.

    CLOSE says how a reduce-only order ended; it repeats quantities that its fills carry, and is no order.
    """

    ACK = "ack"
    FILL = "fill"
    ERROR = "error"
    FLAT = "flat"
    CLOSE = "close"


# By these names a member is found at once: through its class it costs Python 3.11 as much as a call, for every row.
ACK, FILL, ERROR, FLAT, CLOSE = EventKind


class OrderStatus(StrEnum):
    """The exchange's own words for the state of an order."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    PENDING_NEW = "PENDING_NEW"
    PENDING_CANCEL = "PENDING_CANCEL"
    NEW_INSURANCE = "NEW_INSURANCE"
    NEW_ADL = "NEW_ADL"


# The reduce leg of a flip carries its attempt's id with this suffix.
# What an executor writes into `placed_by` of the rows of an order that v6 placed in a rollout.
PLACED_BY_V6 = "v6"
REDUCE_SUFFIX = "_reduce"

UNFILLED_ENDS = frozenset(
    {OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.EXPIRED_IN_MATCH, OrderStatus.REJECTED}
)
ENDED = UNFILLED_ENDS | {OrderStatus.FILLED}


@dataclass(slots=True, kw_only=True)
class OrderEvent:
    """One usable row. `ts` is when it was logged (epoch s). None where the row does not say.

    `executed_qty` and `avg_price` of a fill are cumulative per order, as the exchange reports them.
    `lot_step` and `min_notional_usd` are the exchange's own filters, `route` is maker or taker, where the row carries
    them. `position_side` is None in one-way mode. `process` names the executor process that wrote the row, as
    `hostname/pid`. Of a CLOSE, `closed_qty` is what it closed, `position_qty_after` what is left of the position
    (unsigned) and `realized_pnl_usd` is before fees. `placed_by` is who placed the order, `v6` in a rollout.
    """

    kind: EventKind
    ts: float
    symbol: str | None
    side: Side | None
    intent_id: str | None
    attempt_id: str | None
    order_id: str
    is_reduce_only: bool
    requested_qty: float | None
    executed_qty: float | None
    avg_price: float | None
    fees_usd: float | None
    gross_usd: float | None
    status: OrderStatus | None
    reason: str | None
    lot_step: float | None
    route: Route | None = None
    min_notional_usd: float | None = None
    position_side: PositionSide | None = None
    process: str | None = None
    closed_qty: float | None = None
    position_qty_after: float | None = None
    realized_pnl_usd: float | None = None
    placed_by: str | None = None


@dataclass(slots=True, kw_only=True)
class Veto:
    """A live veto. `side` is None where the row does not name it."""

    ts: float
    symbol: str | None
    side: Side | None
    intent_id: str | None
    attempt_id: str | None
    reason: str


@dataclass(slots=True)
class Arrival:
    """Where the market stood when an order was sent: its metrics row, logged at `ts` (epoch s)."""

    ts: float
    intent_id: str | None
    attempt_id: str | None
    price: float


@dataclass(slots=True)
class ExchangeFilter:
    """What the exchange itself asks of an order of one symbol, as the newest row that carried it said."""

    lot_step: float | None
    min_notional_usd: float | None


@dataclass(slots=True, kw_only=True)
class Leg:
    """One exchange order, folded from its events. Times are log times (epoch s).

    `requested_qty` is the largest that an ack carried. `held_qty` is the position against it at its first
    event, unsigned and 0 for an order that can only open; None where that is not known. `placed_by` is `v6` where v6
    placed it.
    """

    order_id: str
    is_reduce_only: bool
    requested_qty: float | None = None
    executed_qty: float | None = None
    avg_price: float | None = None
    fees_usd: float | None = None
    gross_usd: float | None = None
    status: OrderStatus | None = None
    lot_step: float | None = None
    first_ts: float = 0.0
    last_ts: float = 0.0
    first_ack_ts: float | None = None
    last_fill_ts: float | None = None
    route: Route | None = None
    position_side: PositionSide | None = None
    held_qty: float | None = None
    placed_by: str | None = None

    @property
    def is_final(self) -> bool:
        """Nothing more is to come: filled and the fill seen, or ended without (the rest of) a fill.

        An ack that says FILLED is not enough: quantity and price come with the fill row.
        """
        if self.status is OrderStatus.FILLED:
            return self.executed_qty is not None or self.gross_usd is not None
        return self.status in UNFILLED_ENDS

    @property
    def is_rejected(self) -> bool:
        """The exchange refused it and nothing was executed."""
        return self.status is OrderStatus.REJECTED and not self.executed_qty


@dataclass(slots=True, kw_only=True)
class IntentOrders:
    """All orders that the executor sent for one intent. Legs stand in the order of their first event.

    `symbol` and `side` are those of the first event that names them; `other_symbol` and `other_side` are of the first
    event that names others, of sides except reduce-only ones; None where all agree. `other_position_side` is one that
    an order named after it had named another.
    """

    symbol: str | None
    side: Side | None
    intent_id: str | None
    attempt_id: str | None
    legs: list[Leg]
    position_side: PositionSide | None = None
    other_symbol: str | None = None
    other_side: Side | None = None
    other_position_side: PositionSide | None = None

    @property
    def first_ts(self) -> float:
        """Log time of the first event (epoch s)."""
        return min(leg.first_ts for leg in self.legs)

    @property
    def last_ts(self) -> float:
        """Log time of the newest event (epoch s)."""
        return max(leg.last_ts for leg in self.legs)

    @property
    def has_id(self) -> bool:
        """Whether an id can pair it."""
        return self.intent_id is not None or self.attempt_id is not None
