"""The rolling state that is kept of what the live logs tell of the account.

Here are the records alone. What changes them is `shadow.account_book`. Times are epoch seconds, quantities in the base
asset, money in USD.
"""

from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.pending import PendingState
from pipeline_v6_dagster.domain.position_state import PositionState


@dataclass(slots=True, kw_only=True)
class Measured:
    """One ended order of a routing record. `is_fallback`: a taker order after a maker one that was not filled."""

    ts: float
    is_maker: bool
    is_filled: bool
    is_fallback: bool
    slippage_bps: float | None


@dataclass(slots=True, kw_only=True)
class SymbolState:
    """What is known of one symbol beside its position.

    `price` is that of the newest fill or mark, logged at `price_ts`, which is None where `price` is the entry price of
    a position. `opening_ts` are the log times of the newest opening orders, `pnl_usd` is realised per quarter of an
    hour, `missed_intent` is the intent whose maker order was the newest not to be filled.
    """

    price: float | None = None
    price_ts: float | None = None
    last_fill_ts: float | None = None
    last_loss_ts: float | None = None
    missed_intent: str | None = None
    opening_ts: list[float] = field(default_factory=list)
    pnl_usd: dict[int, float] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class AccountState:
    """All that decisions remember of the live logs; bounded, and written into the shadow log to go on from.

    `pnl_usd` is realised per quarter of an hour (its number since the epoch): midnight is one's edge in every time
    zone. `peak_nav_usd` is the highest NAV of an attempt since `peak_since`. `measured` is of all symbols.
    `positions` has no default, so that a checkpoint from before it was kept is not taken for one of a flat account.
    """

    positions: PositionState
    symbols: dict[str, SymbolState] = field(default_factory=dict)
    error_ts: list[float] = field(default_factory=list)
    pnl_usd: dict[int, float] = field(default_factory=dict)
    peak_nav_usd: float | None = None
    peak_since: float | None = None
    measured: list[Measured] = field(default_factory=list)
    pending: PendingState = field(default_factory=PendingState)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRecord:
    """How orders went of late, as of an attempt. None if there is nothing to measure.

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
