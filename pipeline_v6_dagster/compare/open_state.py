"""What is not settled yet, by value: decisions, live evidence, and which of it ids have paired.

It is carried from run to run in the compare log, because the logs that it comes from may be gone by then. What it
does to a decision is `compare.settlement`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.comparison import MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import LiveOrder, OrderEvent, Veto


@dataclass(slots=True)
class OpenDecision:
    """A decision and the evidence that ids have paired with it; it is due at `ready_ts` (epoch s)."""

    decision: ShadowSide
    order_key: str | None = None
    method: MatchMethod | None = None
    veto: Veto | None = None
    error: OrderEvent | None = None
    ready_ts: float = 0.0

    @property
    def is_undecided(self) -> bool:
        """Whether no id has paired it, so that time may."""
        return self.order_key is None and self.veto is None and self.error is None


@dataclass(slots=True)
class FillOwner:
    """Whose the fills of an order are where they carry no ids of their own. `ts` is the newest of them."""

    symbol: str | None
    intent_id: str | None
    attempt_id: str | None
    ts: float


@dataclass(slots=True)
class OpenState:
    """All that a settler knows. `orders` stand under the keys by which events find them.

    `fill_owners` holds per order id whose the fills without ids are, also after their order is settled.
    """

    decisions: dict[str, OpenDecision] = field(default_factory=dict)
    orders: dict[str, LiveOrder] = field(default_factory=dict)
    vetoes: list[Veto] = field(default_factory=list)
    errors: list[OrderEvent] = field(default_factory=list)
    fill_owners: dict[str, FillOwner] = field(default_factory=dict)

    def rivals(self, decision: ShadowSide, until: float) -> Iterator[float]:
        """As-of times of the other undecided decisions of the same stream, from this one's on."""
        for other in self.decisions.values():
            if other.is_undecided and is_same_stream(other.decision, decision):
                if decision.as_of <= other.decision.as_of <= until:
                    yield other.decision.as_of

    def free_orders(self, decision: ShadowSide) -> list[tuple[str, LiveOrder]]:
        """Orders without an id on the decision's stream, with their keys, oldest first."""
        orders = [
            (key, order)
            for key, order in self.orders.items()
            if not order.has_id
            and order.symbol == decision.symbol
            and order.side is decision.side
            and order.legs[0].is_reduce_only == decision.is_reduce_only
        ]
        return sorted(orders, key=lambda item: item[1].first_ts)


def is_same_stream(one: ShadowSide, other: ShadowSide) -> bool:
    """Whether two decisions may want the same order."""
    return one.symbol == other.symbol and one.side is other.side and one.is_reduce_only == other.is_reduce_only
