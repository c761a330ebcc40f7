"""Who broke a criterion: how many, and the ids of the newest and of the largest of them."""

from dataclasses import dataclass, field

MAX_NEWEST = 25
MAX_LARGEST = 25


@dataclass(slots=True)
class FailingOrder:
    """One of them. `usd` is the worth of its live order, 0 where it is not known; `ts` the decision's time."""

    id: str
    symbol: str | None
    ts: float
    usd: float


@dataclass(slots=True)
class FailingOrders:
    """All of one criterion. `newest` stands oldest first, `largest` smallest first; an order may be in both."""

    count: int = 0
    newest: list[FailingOrder] = field(default_factory=list)
    largest: list[FailingOrder] = field(default_factory=list)

    def add(self, failing: FailingOrder) -> None:
        """Count one, and remember it where it is among the newest or the largest."""
        self.count += 1
        self.newest.append(failing)
        del self.newest[:-MAX_NEWEST]
        self.largest.append(failing)
        self.largest.sort(key=lambda one: (one.usd, one.ts, one.id))
        del self.largest[:-MAX_LARGEST]

    def remove(self, failing: FailingOrder) -> None:
        """Take one back that a revision has cleared."""
        self.count = max(0, self.count - 1)
        for known in (self.newest, self.largest):
            place = next((place for place, one in enumerate(known) if one.id == failing.id), None)
            if place is not None:
                del known[place]

    @property
    def ids(self) -> tuple[str, ...]:
        """The newest first, then the largest that are not among them: at most 50."""
        return tuple(dict.fromkeys(one.id for one in [*reversed(self.newest), *reversed(self.largest)]))

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols of those that are remembered."""
        return frozenset(one.symbol for one in [*self.newest, *self.largest] if one.symbol is not None)
