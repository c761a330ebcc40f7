"""What the simulated executor has in hand: an intent, the exchange's orders for it, a line of its logs."""

from dataclasses import dataclass

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, OrderStatus
from pipeline_v6_dagster.simulator.configuration import Instrument

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One row for the log of that name (a file name without its suffix); `ts` is its log time (epoch s).

    `raw` are the bytes that it was read from, None where the row was made or changed.
    """

    log: str
    ts: float
    row: Row
    raw: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Intent:
    """What a strategy asks for. `flip_lots` are held the other way and closed first."""

    instrument: Instrument
    side: Side
    lots: int
    price: float
    ts: float
    intent_id: str
    attempt_id: str
    is_reduce_only: bool = False
    flip_lots: int = 0
    is_upsized: bool = False

    @property
    def notional_usd(self) -> float:
        """What was asked for, USD."""
        return self.instrument.qty(self.lots) * self.price

    @property
    def opening_usd(self) -> float:
        """Gross exposure that the order will add, USD."""
        return 0.0 if self.is_reduce_only else self.notional_usd * (1 + self.is_upsized)


@dataclass(slots=True, kw_only=True)
class Order:
    """One order at the exchange; the sums are of its fills. `held_side` is the position that it opens or reduces."""

    intent: Intent
    held_side: Side
    is_maker: bool
    lots: int
    order_id: int
    client_id: str
    ack_ts: float
    latency_ms: float
    status: OrderStatus = OrderStatus.NEW
    filled_lots: int = 0
    gross_usd: float = 0.0
    fees_usd: float = 0.0
    pnl_usd: float = 0.0
    fill_ts: tuple[float, ...] = ()
    trade_ids: tuple[str, ...] = ()

    @property
    def is_reduce_only(self) -> bool:
        """Whether it closes what is held."""
        return self.held_side is not self.intent.side

    @property
    def attempt_id(self) -> str:
        """The attempt; the reduce leg of a flip has its suffix."""
        is_flip_leg = self.is_reduce_only and not self.intent.is_reduce_only
        return self.intent.attempt_id + (REDUCE_SUFFIX if is_flip_leg else "")

    @property
    def filled_qty(self) -> float:
        """Cumulative executed quantity, base asset."""
        return self.intent.instrument.qty(self.filled_lots)

    @property
    def avg_price(self) -> float:
        """Average price of the fills; 0 before the first, as the exchange reports it."""
        return self.gross_usd / self.filled_qty if self.filled_lots else 0.0
