"""What is not settled yet, by value: decisions, live evidence, and which of it ids have paired.

It is carried from run to run in the compare log, because the logs that it comes from may be gone by then. What it
does to a decision is `compare.settlement`.
"""

from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import ExchangeFilter, IntentOrders, OrderEvent, Veto
from pipeline_v6_dagster.domain.position_state import PositionState

# Decisions and orders of one stream may want each other: symbol, side, reduce-only or not.
PairingKey = tuple[str | None, Side | None, bool]


@dataclass(slots=True, kw_only=True)
class OpenDecision:
    """A decision and the evidence that ids have paired with it; it is due at `ready_ts` (epoch s).

    `shares_intent` tells that another decision was open for the same intent. Of an amendment, `replaces` are the ids of
    what it amends. Of a decision that was amended, `superseded` is its order as it was at `superseded_ts` (epoch s),
    when the amendment was carried out.
    """

    decision: ShadowSide
    order_key: str | None = None
    method: MatchMethod | None = None
    veto: Veto | None = None
    error: OrderEvent | None = None
    ready_ts: float = 0.0
    arrival_price: float | None = None
    shares_intent: bool = False
    replaces: tuple[str, ...] = ()
    superseded: IntentOrders | None = None
    superseded_ts: float = 0.0

    @property
    def is_undecided(self) -> bool:
        """Whether no id has paired it, so that time may."""
        return self.order_key is None and self.veto is None and self.error is None and self.superseded is None


@dataclass(slots=True)
class FillOwner:
    """Whose the fills of an order are where they carry no ids of their own. `ts` is the newest of them."""

    symbol: str | None
    intent_id: str | None
    attempt_id: str | None
    ts: float


@dataclass(slots=True, kw_only=True)
class VetoedDecision:
    """A decision of `qty` that live vetoed at `ts` (epoch s), for the order that repeats it under another id."""

    decision_id: str
    symbol: str
    side: Side | None
    intent_id: str | None
    attempt_id: str | None
    ts: float
    qty: float


@dataclass(slots=True)
class SeenPrice:
    """The newest price at which a symbol traded, and when that was logged (epoch s)."""

    ts: float
    price: float


@dataclass(slots=True, kw_only=True)
class OpenState:
    """All that a matcher knows. `orders` stand under the keys by which events find them, vetoes and errors by number.

    `fill_owners` holds per order id whose the fills without ids are, also after their order is settled; `filters` what
    the exchange asks per symbol. `has_arrivals` tells that the executor logs arrival prices, right after the fill.
    `unmatched_orders` are the keys of orders with ids that no decision carries; time alone may still pair them.
    `positions` is what the account holds, `prices` where each symbol traded last, `vetoed` the decisions that live
    vetoed of late, oldest first.
    """

    decisions: dict[str, OpenDecision] = field(default_factory=dict)
    orders: dict[str, IntentOrders] = field(default_factory=dict)
    vetoes: dict[int, Veto] = field(default_factory=dict)
    errors: dict[int, OrderEvent] = field(default_factory=dict)
    fill_owners: dict[str, FillOwner] = field(default_factory=dict)
    filters: dict[str, ExchangeFilter] = field(default_factory=dict)
    has_arrivals: bool = False
    unmatched_orders: dict[str, None] = field(default_factory=dict)
    positions: PositionState = field(default_factory=PositionState)
    prices: dict[str, SeenPrice] = field(default_factory=dict)
    vetoed: list[VetoedDecision] = field(default_factory=list)


def pairing_key(decision: ShadowSide) -> PairingKey:
    """The stream that a decision is of."""
    return decision.symbol, decision.side, decision.is_reduce_only
