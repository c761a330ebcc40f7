"""Live rows, in the shapes of a real executor, to what they tell of the account."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.account import (
    AccountEvent,
    ExecutionMetrics,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
)
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.sources.account import parse_metrics, parse_order
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, SYMBOL, json_values, line, unhurried

PARSERS = (parse_order, parse_metrics)
NAMES = {"symbol": SYMBOL, "side": "BUY", "orderId": 7, "attempt_id": "sig_1", "intent_id": "ord_1", "ts": AS_OF_ISO}
ACK = NAMES | {"event_type": "order_ack", "request_qty": 2.0, "status": "NEW"}
FILL = NAMES | {"event_type": "order_fill", "executedQty": 2.0, "avgPrice": 101.0, "status": "FILLED"}
CLOSE = NAMES | {
    "event_type": "order_close",
    "positionSide": "SHORT",
    "closed_qty": 3.0,
    "position_size_after": -1.5,
    "realizedPnlUsd": -4.0,
}
METRICS = {
    "ts": AS_OF,
    "intent_id": "ord_1",
    "symbol": SYMBOL,
    "route": "market",
    "prices": {"mark": 100.0, "submitted": 100.0, "avg_fill": 101.0},
    "result": {"status": "FILLED"},
    "slippage_bps": 10.0,
}


def order(row: dict[str, Any]) -> AccountEvent | None:
    return parse_order(line(row))


def metrics(**changes: Any) -> ExecutionMetrics | None:
    return parse_metrics(line(METRICS | changes))


@pytest.mark.parametrize(
    ("row", "event"),
    [
        (ACK, OrderPlaced(AS_OF, SYMBOL, "7", False)),
        (ACK | {"reduceOnly": True}, OrderPlaced(AS_OF, SYMBOL, "7", True)),
        (ACK | {"attempt_id": "sig_1_reduce"}, OrderPlaced(AS_OF, SYMBOL, "7", True)),
        (ACK | {"accepted": False}, OrderFailed(AS_OF)),
        (ACK | {"status": "REJECTED"}, OrderFailed(AS_OF)),
        (FILL, OrderFilled(AS_OF, SYMBOL, "7", False, Side.BUY, 2.0, 101.0)),
        (FILL | {"avgPrice": 0.0}, OrderFilled(AS_OF, SYMBOL, "7", False, Side.BUY, 2.0, None)),
        (FILL | {"side": "?"}, OrderFilled(AS_OF, SYMBOL, "7", False, None, 2.0, 101.0)),
        (FILL | {"executedQty": 0.0}, None),
        (FILL | {"executedQty": -1.0}, None),
        (CLOSE, PositionReduced(AS_OF, SYMBOL, "7/3.0/-1.5", Side.SELL, 1.5, -4.0)),
        (
            {"event_type": "order_close", "symbol": SYMBOL, "ts": AS_OF_ISO},
            PositionReduced(AS_OF, SYMBOL, "/None/None", None, None, None),
        ),
        ({"event_type": "order_error", "ts": AS_OF_ISO, "exc": "HTTPError()"}, OrderFailed(AS_OF)),
        ({"event": "order_error", "ts": AS_OF}, OrderFailed(AS_OF)),
    ],
)
def test_what_an_order_row_changes(row: dict[str, Any], event: AccountEvent | None) -> None:
    assert order(row) == event


def test_an_ack_of_the_older_shape_tells_in_the_exchanges_answer() -> None:
    raw = {"orderId": 9, "symbol": SYMBOL, "side": "SELL", "status": "NEW", "reduceOnly": True, "origQty": "0.006"}
    row = {"event_type": "order_ack", "ts": AS_OF_ISO, "accepted": True, "order_id": 9, "raw": raw}
    assert order(row) == OrderPlaced(AS_OF, SYMBOL, "9", True)
    assert order(row | {"raw": raw | {"status": "REJECTED"}}) == OrderFailed(AS_OF)


@pytest.mark.parametrize(
    "changes",
    [
        {"dry_run": True},
        {"status": "DRY"},
        {"reason": "dry_run"},
        {"raw": {"dryRun": True}},
        {"ts": None},
        {"ts": "2025-11-01T12:26:40"},
        {"event_type": "order_executed"},
        {"symbol": None},
        {"orderId": None},
    ],
)
def test_what_was_not_real_or_names_no_order_changes_nothing(changes: dict[str, Any]) -> None:
    assert order(ACK | changes) is None
    assert order(FILL | changes) is None


def test_an_order_is_measured_by_its_metrics() -> None:
    assert metrics() == ExecutionMetrics(AS_OF, SYMBOL, "ord_1", False, True, 10.0, 100.0)
    for route in ("limit", "MAKER", "post_only"):
        found = metrics(route=route)
        assert found is not None
        assert found.is_maker


@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED", None])
def test_an_order_without_a_fill_is_open_and_measures_nothing_but_the_mark(status: str | None) -> None:
    found = metrics(prices={"mark": 100.0, "avg_fill": 0.0}, result={"status": status}, slippage_bps=-10_000.0)
    assert found == ExecutionMetrics(AS_OF, SYMBOL, "ord_1", False, None, None, 100.0)


@pytest.mark.parametrize("status", ["CANCELED", "CANCELLED", "EXPIRED", "REJECTED"])
def test_an_order_that_ended_without_a_fill_was_not_filled(status: str) -> None:
    found = metrics(prices={"mark": None, "avg_fill": None}, result={"status": status}, slippage_bps=10_000.0)
    assert found == ExecutionMetrics(AS_OF, SYMBOL, "ord_1", False, False, None, None)


def test_a_slippage_of_the_whole_price_is_no_measurement() -> None:
    found = metrics(slippage_bps=-10_000.0)
    assert found is not None
    assert (found.is_filled, found.slippage_bps) == (True, None)


def test_a_row_that_closes_a_position_measures_no_order() -> None:
    assert metrics(event="position_close") is None


@unhurried
@given(st.dictionaries(st.sampled_from([*ACK, *FILL, *CLOSE, *METRICS, "raw"]), json_values()))
def test_no_row_breaks_a_parser(row: dict[str, Any]) -> None:
    for parse in PARSERS:
        parse(line(row))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"ts": NaN}'])
def test_no_garbage_breaks_a_parser(raw: bytes) -> None:
    assert [parse(raw) for parse in PARSERS] == [None, None]
