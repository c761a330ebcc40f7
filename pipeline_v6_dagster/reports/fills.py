"""The prices of each symbol over time as the parity report shows them: decisions of v6, fills of live, upsizes.

Drawing them is `reports.verdict_plots`. A decision or an order without a price is left out, never drawn at 0.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.comparison import Diff

# A page with more drawings takes seconds to make and to open; the table by symbol holds every symbol.
MOST_FILL_PLOTS = 12
_NO_ANCHOR_CHARACTER = re.compile(r"[^A-Za-z0-9._-]")

# A time (epoch s) and a price.
PricePoint = tuple[float, float]


@dataclass(slots=True, kw_only=True)
class SymbolFills:
    """One symbol's prices over time, oldest first: (epoch s, price in the quote asset).

    `orders` counts the live orders, also those without a price. An upsize stands in `upsizes` and not in `fills`.
    """

    symbol: str
    orders: int = 0
    allowed: list[PricePoint] = field(default_factory=list)
    denied: list[PricePoint] = field(default_factory=list)
    fills: list[PricePoint] = field(default_factory=list)
    upsizes: list[PricePoint] = field(default_factory=list)

    @property
    def has_points(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.allowed or self.denied or self.fills or self.upsizes)


def symbol_anchor(symbol: str) -> str:
    """What a link names after `#` to reach the part of the page about a symbol."""
    return f"symbol-{_NO_ANCHOR_CHARACTER.sub('_', symbol)}"


def collect_fills(diffs: Iterable[Diff], most: int = MOST_FILL_PLOTS) -> list[SymbolFills]:
    """The `most` symbols with the most live orders, most first; equals stand by name. Symbols without a price are out.

    Decisions stand at the time and the price that they were made at, fills at their average price and the time of the
    newest fill (else the first ack, else the decision). An upsize that is not filled stands at the decision price.
    """
    found: dict[str, SymbolFills] = {}
    for diff in diffs:
        symbol = diff.symbol or "-"
        one = found.setdefault(symbol, SymbolFills(symbol=symbol))
        _add_decision(one, diff)
        _add_order(one, diff)
    drawable = [one for one in found.values() if one.has_points]
    for one in drawable:
        for points in (one.allowed, one.denied, one.fills, one.upsizes):
            points.sort()
    return sorted(drawable, key=lambda one: (-one.orders, one.symbol))[:most]


def _add_decision(fills: SymbolFills, diff: Diff) -> None:
    decision = diff.shadow
    if decision is None or decision.price is None:
        return
    (fills.allowed if decision.is_allowed else fills.denied).append((decision.as_of, decision.price))


def _add_order(fills: SymbolFills, diff: Diff) -> None:
    live = diff.live
    if live is None or not (live.legs or live.avg_price is not None or diff.is_upsize):
        return
    fills.orders += 1
    price = live.avg_price
    if price is None and diff.is_upsize and diff.shadow is not None:
        price = diff.shadow.price
    if price is None:
        return
    times = (live.last_fill_ts, live.first_ack_ts)
    ts = next((time for time in times if time is not None), diff.ts)
    (fills.upsizes if diff.is_upsize else fills.fills).append((ts, price))
