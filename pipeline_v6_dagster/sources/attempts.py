"""`orders_attempted.jsonl`: a row to an `Attempt`."""

from math import inf

import msgspec

from pipeline_v6_dagster.domain.attempt import Attempt, NavSnapshot
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import decode_row, epoch_s, position_side, row_time, text

EVENT_TYPE = "order_attempt"


class _NavRow(msgspec.Struct, gc=False, kw_only=True):
    nav_usd: float | None = None
    nav: float | None = None
    gross_usd: float | None = None
    portfolio_gross_usd: float | None = None
    symbol_gross_usd: dict[str, float] | None = None
    ts: float | str | None = None
    updated_ts: float | str | None = None
    nav_age_s: float | None = None
    free_balance_usd: float | None = None
    free_balance: float | None = None
    available_balance: float | None = None
    availableBalance: float | None = None


class _AttemptRow(msgspec.Struct, gc=False, kw_only=True):
    event_type: str | None = None
    symbol: str | None = None
    side: str | None = None
    qty: float | None = None
    price_hint: float | None = None
    price: float | None = None
    notional: float | None = None
    gross_usd: float | None = None
    quote_notional: float | None = None
    leverage: float | None = None
    lev: float | None = None
    tier: str | None = None
    strategy_id: str | None = None
    strategy: str | None = None
    reduce_only: bool | None = None
    reduceOnly: bool | None = None
    positionSide: str | None = None
    position_side: str | None = None
    amends: str | int | None = None
    intent_id: str | int | None = None
    attempt_id: str | int | None = None
    local_ts: float | str | None = None
    ts: float | str | None = None
    nav_snapshot: _NavRow | None = None


_decoder = msgspec.json.Decoder(_AttemptRow)


def parse_attempt(line: bytes) -> Attempt | Unusable:
    """One attempt. A row of another event type is dropped, one without a time rejected."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    if row.event_type is not None and row.event_type != EVENT_TYPE:
        return Unusable(IgnoredRow.UNKNOWN_EVENT)
    as_of = row_time(row.local_ts, row.ts)
    if as_of is None:
        return Unusable(Rejection.NO_TIME)
    return Attempt(
        symbol=row.symbol or "",
        side=row.side.upper() if row.side else "",
        qty=row.qty,
        price=_either(row.price_hint, row.price),
        quote_notional_usd=_either(_either(row.notional, row.gross_usd), row.quote_notional),
        leverage=_either(row.leverage, row.lev),
        tier=row.tier,
        strategy_id=row.strategy_id or row.strategy,
        is_reduce_only=(row.reduceOnly if row.reduce_only is None else row.reduce_only) is True,
        intent_id=text(row.intent_id),
        attempt_id=text(row.attempt_id),
        as_of=as_of,
        nav=_nav(row.nav_snapshot, as_of) if row.nav_snapshot is not None else None,
        amends=text(row.amends),
        position_side=position_side(row.positionSide, row.position_side),
    )


def _nav(row: _NavRow, as_of: float) -> NavSnapshot:
    age_s = row.nav_age_s
    if age_s is None:
        own_time = row.ts if row.ts is not None else row.updated_ts
        if own_time is not None:
            taken = epoch_s(own_time)
            # A time that cannot be read makes the snapshot infinitely old, not fresh.
            age_s = inf if taken is None else as_of - taken
    return NavSnapshot(
        nav_usd=_either(row.nav_usd, row.nav),
        gross_usd=_either(row.gross_usd, row.portfolio_gross_usd),
        symbol_gross_usd=row.symbol_gross_usd,
        # One that claims to be from the future is as doubtful as one that far in the past.
        age_s=None if age_s is None else abs(age_s),
        free_balance_usd=_either(
            _either(row.free_balance_usd, row.free_balance), _either(row.available_balance, row.availableBalance)
        ),
    )


def _either(first: float | None, second: float | None) -> float | None:
    return second if first is None else first
