"""The order logs as the shadow reads them: `orders_executed` and `order_metrics` to account events.

Only what rolling state is made of is decoded, since each live row passes here once. What the comparison needs of an
order is `sources.orders`. A row that tells nothing of the account is None, and so is a malformed one: the comparison
reads the same rows and counts them.
"""

from typing import Any

import msgspec

from pipeline_v6_dagster.domain.account import (
    AccountEvent,
    ExecutionMetrics,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
)
from pipeline_v6_dagster.domain.attempt import SIDES
from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, UNFILLED_ENDS
from pipeline_v6_dagster.sources.decoding import epoch_s

_MAKER_ROUTES = ("maker", "limit", "post_only")
# Rows without a fill carry a slippage of +-10,000 bps: the price of nothing against the price asked for.
_NO_MEASUREMENT_BPS = 9_999.0
_UNFILLED_ENDS = frozenset(status.value for status in UNFILLED_ENDS) | {"CANCELLED"}


class _Answer(msgspec.Struct, gc=False):
    """The exchange's answer inside an ack of the older shape."""

    symbol: str | None = None
    side: str | None = None
    orderId: int | str | None = None
    reduceOnly: bool | None = None
    dryRun: bool | None = None
    status: str | None = None


_NO_ANSWER = _Answer()
_DRY_RUN = "DRY"


class _OrderRow(msgspec.Struct, gc=False):
    event_type: str | None = None
    event: str | None = None
    ts: str | float | None = None
    symbol: str | None = None
    side: str | None = None
    orderId: int | str | None = None
    order_id: int | str | None = None
    attempt_id: int | str | None = None
    reduceOnly: bool | None = None
    reduce_only: bool | None = None
    positionSide: str | None = None
    executedQty: float | None = None
    avgPrice: float | None = None
    realizedPnlUsd: float | None = None
    position_size_after: float | None = None
    closed_qty: float | None = None
    accepted: bool | None = None
    status: str | None = None
    dry_run: bool | None = None
    reason: Any = None
    raw: _Answer | None = None


class _Prices(msgspec.Struct, gc=False):
    mark: float | None = None
    avg_fill: float | None = None


class _Result(msgspec.Struct, gc=False):
    status: str | None = None


class _MetricsRow(msgspec.Struct, gc=False):
    event: str | None = None
    ts: str | float | None = None
    symbol: str | None = None
    intent_id: int | str | None = None
    route: str | None = None
    prices: _Prices | None = None
    result: _Result | None = None
    slippage_bps: float | None = None


_order_decoder = msgspec.json.Decoder(_OrderRow)
_metrics_decoder = msgspec.json.Decoder(_MetricsRow)


def parse_order(line: bytes) -> AccountEvent | None:
    """What one row of `orders_executed.jsonl` changes."""
    try:
        row = _order_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    make = _ORDER_EVENTS.get(row.event_type or row.event or "")
    if make is None or row.dry_run or row.status == _DRY_RUN or row.reason == "dry_run":
        return None
    answer = row.raw or _NO_ANSWER
    if answer.dryRun or answer.status == _DRY_RUN:
        return None
    ts = epoch_s(row.ts)
    if ts is None:
        return None
    order_id = row.orderId if row.orderId is not None else row.order_id
    if order_id is None:
        order_id = answer.orderId
    return make(row, answer, ts, row.symbol or answer.symbol or "", "" if order_id is None else str(order_id))


def _failed(row: _OrderRow, answer: _Answer, ts: float, symbol: str, order_id: str) -> AccountEvent | None:
    return OrderFailed(ts)


def _placed(row: _OrderRow, answer: _Answer, ts: float, symbol: str, order_id: str) -> AccountEvent | None:
    if row.accepted is False or (row.status or answer.status) == "REJECTED":
        return OrderFailed(ts)
    return OrderPlaced(ts, symbol, order_id, _is_reduce_only(row, answer)) if symbol and order_id else None


def _filled(row: _OrderRow, answer: _Answer, ts: float, symbol: str, order_id: str) -> AccountEvent | None:
    executed_qty, side, price = row.executedQty, row.side or answer.side, row.avgPrice
    if not symbol or not order_id or not executed_qty or executed_qty < 0:
        return None
    return OrderFilled(
        ts,
        symbol,
        order_id,
        _is_reduce_only(row, answer),
        SIDES.get(side.upper()) if side else None,
        executed_qty,
        price if price and price > 0 else None,
    )


def _reduced(row: _OrderRow, answer: _Answer, ts: float, symbol: str, order_id: str) -> AccountEvent | None:
    if not symbol:
        return None
    after = row.position_size_after
    held_side = SIDES.get(row.positionSide.upper()) if row.positionSide else None
    # Two closes of one order differ in what they closed; a row that is written twice does not.
    name = f"{order_id}/{row.closed_qty}/{after}"
    return PositionReduced(ts, symbol, name, held_side, None if after is None else abs(after), row.realizedPnlUsd)


_ORDER_EVENTS = {"order_ack": _placed, "order_fill": _filled, "order_close": _reduced, "order_error": _failed}


def parse_metrics(line: bytes) -> ExecutionMetrics | None:
    """How one order went. Rows that close a position measure none."""
    try:
        row = _metrics_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    ts = epoch_s(row.ts)
    if ts is None or not row.symbol or row.event is not None:
        return None
    prices, slippage_bps = row.prices, row.slippage_bps
    is_filled: bool | None = prices is not None and prices.avg_fill is not None and prices.avg_fill > 0
    if not is_filled:
        slippage_bps = None
        if row.result is None or row.result.status not in _UNFILLED_ENDS:
            is_filled = None
    elif slippage_bps is not None and abs(slippage_bps) >= _NO_MEASUREMENT_BPS:
        slippage_bps = None
    return ExecutionMetrics(
        ts,
        row.symbol,
        None if row.intent_id is None else str(row.intent_id),
        (row.route or "").lower() in _MAKER_ROUTES,
        is_filled,
        slippage_bps,
        prices.mark if prices is not None and prices.mark and prices.mark > 0 else None,
    )


def _is_reduce_only(row: _OrderRow, answer: _Answer) -> bool:
    for value in (row.reduceOnly, row.reduce_only, answer.reduceOnly):
        if value is not None:
            return value
    return isinstance(row.attempt_id, str) and row.attempt_id.endswith(REDUCE_SUFFIX)
