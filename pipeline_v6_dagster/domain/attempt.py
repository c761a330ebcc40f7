"""An order attempt: what the strategy asked for, before any risk check."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Direction of an order. LONG is a BUY and SHORT is a SELL."""

    BUY = "BUY"
    SELL = "SELL"


class PositionSide(StrEnum):
    """Which position of a symbol an order changes. In one-way mode there is one, and the side is not logged."""

    LONG = "LONG"
    SHORT = "SHORT"


SIDES: Mapping[str, Side] = {
    "BUY": Side.BUY,
    "LONG": Side.BUY,
    "SELL": Side.SELL,
    "SHORT": Side.SELL,
}


@dataclass(slots=True, kw_only=True)
class NavSnapshot:
    """The account as the executor saw it when it made the attempt.

    `age_s` is seconds between the snapshot and the attempt; None where the snapshot has no time of its own,
    which makes it as fresh as the attempt. `symbol_gross_usd` is None where the producer writes no such map,
    `free_balance_usd` where it does not write what is free for margin.
    """

    nav_usd: float | None
    gross_usd: float | None
    symbol_gross_usd: Mapping[str, float] | None
    age_s: float | None
    free_balance_usd: float | None = None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One row of `orders_attempted.jsonl`. Optional fields are None where the row has none.

    `as_of` is the epoch at which the attempt was made (`local_ts`, else the log time). `amends` is the intent or
    attempt id that this attempt replaces from its time on. `position_side` is None in one-way mode (absent or BOTH).
    """

    symbol: str
    side: str
    qty: float | None
    price: float | None
    quote_notional_usd: float | None
    leverage: float | None
    tier: str | None
    strategy_id: str | None
    is_reduce_only: bool
    intent_id: str | None
    attempt_id: str | None
    as_of: float
    nav: NavSnapshot | None
    amends: str | None = None
    position_side: PositionSide | None = None
