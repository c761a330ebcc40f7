"""`order_metrics.jsonl`: how one order went. The comparison takes the arrival price, the shadow all the rest."""

from dataclasses import dataclass

import msgspec

from pipeline_v6_dagster.domain.account_events import ExecutionMetrics
from pipeline_v6_dagster.domain.live import UNFILLED_ENDS, Arrival
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import decode_row, positive, row_time, text

_MAKER_ROUTES = ("maker", "limit", "post_only")
# Rows without a fill carry a slippage of +-10,000 bps: the price of nothing against the price asked for.
_NO_MEASUREMENT_BPS = 9_999.0
_UNFILLED_ENDS = frozenset(status.value for status in UNFILLED_ENDS) | {"CANCELLED"}


class _Prices(msgspec.Struct, gc=False):
    mark: float | None = None
    submitted: float | None = None
    avg_fill: float | None = None


class _Result(msgspec.Struct, gc=False):
    status: str | None = None


class _MetricsRow(msgspec.Struct, gc=False, kw_only=True):
    event: str | None = None
    ts: str | float | None = None
    local_ts: str | float | None = None
    symbol: str | None = None
    intent_id: int | str | None = None
    attempt_id: int | str | None = None
    route: str | None = None
    prices: _Prices | None = None
    result: _Result | None = None
    slippage_bps: float | None = None


_decoder = msgspec.json.Decoder(_MetricsRow)
_NO_PRICES = _Prices()


@dataclass(slots=True, kw_only=True)
class OrderMetrics:
    """One usable row, at `ts` (epoch s). Prices are None where the row has none above 0.

    `is_filled` is None while the order is open. `slippage_bps` is positive for a cost and None where nothing was
    filled.
    """

    ts: float
    symbol: str | None
    intent_id: str | None
    attempt_id: str | None
    is_maker: bool
    is_filled: bool | None
    slippage_bps: float | None
    mark_price: float | None
    arrival_price: float | None


def parse_order_metrics(line: bytes) -> OrderMetrics | Unusable:
    """One row, or why it is not used. Rows that close a position measure no order."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    if row.event is not None:
        return Unusable(IgnoredRow.UNKNOWN_EVENT)
    ts = row_time(row.ts, row.local_ts)
    if ts is None:
        return Unusable(Rejection.NO_TIME)
    prices, slippage_bps = row.prices or _NO_PRICES, row.slippage_bps
    is_filled: bool | None = prices.avg_fill is not None and prices.avg_fill > 0
    if not is_filled:
        slippage_bps = None
        if row.result is None or row.result.status not in _UNFILLED_ENDS:
            is_filled = None
    elif slippage_bps is not None and abs(slippage_bps) >= _NO_MEASUREMENT_BPS:
        slippage_bps = None
    return OrderMetrics(
        ts=ts,
        symbol=row.symbol,
        intent_id=text(row.intent_id),
        attempt_id=text(row.attempt_id),
        is_maker=(row.route or "").lower() in _MAKER_ROUTES,
        is_filled=is_filled,
        slippage_bps=slippage_bps,
        mark_price=positive(prices.mark),
        arrival_price=positive(prices.mark or prices.submitted),
    )


def parse_arrival(line: bytes) -> Arrival | Unusable:
    """The arrival price of one order, or why the row has none: the mark price, else the price that was submitted."""
    row = parse_order_metrics(line)
    if isinstance(row, Unusable):
        return row
    if row.arrival_price is None or (row.intent_id is None and row.attempt_id is None):
        return Unusable(IgnoredRow.NO_ARRIVAL)
    return Arrival(row.ts, row.intent_id, row.attempt_id, row.arrival_price)


def execution_metrics(row: OrderMetrics) -> ExecutionMetrics | None:
    """What the row tells of the account; None where it names no symbol."""
    if not row.symbol:
        return None
    return ExecutionMetrics(
        ts=row.ts,
        symbol=row.symbol,
        intent_id=row.intent_id,
        is_maker=row.is_maker,
        is_filled=row.is_filled,
        slippage_bps=row.slippage_bps,
        mark_price=row.mark_price,
    )
