"""What another configuration would have come to in dollars.

Only what live placed is counted. An order counts as far as v6 would have placed it:
not at all where it is denied, in the proportion of v6's size to live's where live ordered more. A decision that is
allowed and that live never executed changes no dollars here; it is counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from pipeline_v6_dagster.compare.profit import Profit
from pipeline_v6_dagster.domain.comparison import LiveOutcome, ShadowSide
from pipeline_v6_dagster.stages.replay.rows import DiffPart, ShadowPart, compute_slippage_usd


@dataclass(slots=True, kw_only=True)
class Money:
    """Sums over orders, USD. Slippage and fees are costs; profit is before fees, of the orders that opened.

    `placed_usd` is what was asked of the exchange, `gross_usd` what is known to have been executed. The counts say of
    how many orders a part was not logged and is not in its sum; of those without a fill only `placed_usd` is known.
    `as_data` gives None for a sum of orders none of which has the part; without any order a sum is 0.
    """

    orders: int = 0
    placed_usd: float = 0.0
    without_fill: int = 0
    gross_usd: float = 0.0
    fees_usd: float = 0.0
    slippage_usd: float = 0.0
    profit_usd: float = 0.0
    without_fees: int = 0
    without_slippage: int = 0
    without_size: int = 0
    without_profit: int = 0

    def add(self, diff: DiffPart, share: float, profit: Profit | None) -> None:
        """One live order, as far as it counts."""
        live = diff.live
        if live is None or diff.live_outcome != LiveOutcome.EXECUTED or not share:
            return
        self.orders += 1
        if live.gross_usd is None:
            self.without_size += 1
        else:
            self.placed_usd += share * live.gross_usd
        if not live.executed_gross_usd:
            self.without_fill += 1
            return
        self.gross_usd += share * live.executed_gross_usd
        slippage_usd = compute_slippage_usd(diff)
        if live.fees_usd is None:
            self.without_fees += 1
        else:
            self.fees_usd += share * live.fees_usd
        if slippage_usd is None:
            self.without_slippage += 1
        else:
            self.slippage_usd += share * slippage_usd
        if profit is None:
            self.without_profit += 1
        else:
            self.profit_usd += share * profit.price_usd

    def as_data(self) -> dict[str, float | int | None]:
        """Sums and counts by name; None where not measured."""
        sums: dict[str, float | int | None] = asdict(self)
        filled = self.orders - self.without_fill
        for name, measured in (
            ("placed_usd", self.orders - self.without_size),
            ("gross_usd", filled),
            ("fees_usd", filled - self.without_fees),
            ("slippage_usd", filled - self.without_slippage),
            ("profit_usd", filled - self.without_profit),
        ):
            if self.orders and not measured:
                sums[name] = None
        return sums


@dataclass(slots=True)
class Dollars:
    """Under the configuration of then, under that of now. `allowed_unexecuted` are (then, now) without an execution."""

    then: Money = field(default_factory=Money)
    now: Money = field(default_factory=Money)
    allowed_unexecuted: tuple[int, int] = (0, 0)

    @property
    def change(self) -> dict[str, float | None]:
        """Now minus then; None where one of them was not measured."""
        names = ("orders", "placed_usd", "gross_usd", "fees_usd", "slippage_usd", "profit_usd")
        then, now = self.then.as_data(), self.now.as_data()
        return {name: _difference(now[name], then[name]) for name in names}


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def sum_dollars(pairs: Iterable[tuple[DiffPart, ShadowSide]], profits: Mapping[object, Profit]) -> Dollars:
    """Sums over decisions (what was decided then with its live side, what is decided now)."""
    dollars = Dollars()
    unexecuted = [0, 0]
    for diff, new in pairs:
        old = diff.shadow
        if old is None:
            continue
        profit = profits.get(diff.decision_id)
        is_executed = diff.live_outcome == LiveOutcome.EXECUTED
        sides: tuple[tuple[ShadowPart | ShadowSide, Money], ...] = ((old, dollars.then), (new, dollars.now))
        for index, (side, money) in enumerate(sides):
            if side.is_allowed and not is_executed:
                unexecuted[index] += 1
            money.add(diff, _share(side, diff), profit)
    dollars.allowed_unexecuted = (unexecuted[0], unexecuted[1])
    return dollars


def _share(side: ShadowPart | ShadowSide, diff: DiffPart) -> float:
    if not side.is_allowed:
        return 0.0
    live_usd = diff.live.gross_usd if diff.live is not None else None
    if not live_usd or side.sized_gross_usd is None:
        return 1.0
    return min(1.0, side.sized_gross_usd / live_usd)
