"""`order_metrics.jsonl` as far as a comparison needs it: where the market stood when an order was sent."""

from typing import Any

import msgspec

from pipeline_v6_dagster.domain.live import Arrival
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import BadFieldError, decode_row, epoch_s, number, text


class _Prices(msgspec.Struct, gc=False):
    mark: Any = None
    submitted: Any = None


class _MetricsRow(msgspec.Struct, gc=False):
    event: str | None = None
    ts: float | str | None = None
    intent_id: str | int | None = None
    attempt_id: str | int | None = None
    prices: _Prices | None = None


_decoder = msgspec.json.Decoder(_MetricsRow)


def parse_arrival(line: bytes) -> Arrival | Unusable:
    """The arrival price of one order, or why the row has none: the mark price, else the price that was submitted."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    if row.event is not None:
        return Unusable(IgnoredRow.UNKNOWN_EVENT)
    ts = epoch_s(row.ts)
    if ts is None:
        return Unusable(Rejection.NO_TIME)
    prices = row.prices or _Prices()
    try:
        intent_id, attempt_id = text(row.intent_id), text(row.attempt_id)
        price = number(prices.mark) or number(prices.submitted)
    except BadFieldError:
        return Unusable(Rejection.BAD_FIELD)
    if price is None or price <= 0 or (intent_id is None and attempt_id is None):
        return Unusable(IgnoredRow.NO_ARRIVAL)
    return Arrival(ts, intent_id, attempt_id, price)
