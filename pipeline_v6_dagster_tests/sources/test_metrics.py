"""Metrics rows: the arrival price for the comparison, how an order went for the shadow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.account_events import ExecutionMetrics
from pipeline_v6_dagster.domain.live import Arrival
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.metrics import execution_metrics, parse_arrival, parse_order_metrics
from pipeline_v6_dagster_tests.builders import AS_OF, SYMBOL, line, unhurried

METRICS = {
    "ts": AS_OF,
    "intent_id": "ord_1",
    "symbol": SYMBOL,
    "route": "market",
    "prices": {"mark": 100.0, "submitted": 100.0, "avg_fill": 101.0},
    "result": {"status": "FILLED"},
    "slippage_bps": 10.0,
}


def metrics(**changes: Any) -> ExecutionMetrics | None:
    found = parse_order_metrics(line(METRICS | changes))
    return None if isinstance(found, Unusable) else execution_metrics(found)


def row(**changes: Any) -> dict[str, Any]:
    prices = {"mark": 100.0, "submitted": 100.1, "avg_fill": 0.0}
    return {"attempt_id": "sig_1", "intent_id": "ord_1", "prices": prices, "ts": AS_OF} | changes


def test_the_mark_price_is_where_the_market_stood() -> None:
    assert parse_arrival(line(row())) == Arrival(AS_OF, "ord_1", "sig_1", 100.0)


@pytest.mark.parametrize("mark", [None, 0.0])
def test_else_it_is_the_price_that_was_submitted(mark: float | None) -> None:
    found = parse_arrival(line(row(prices={"mark": mark, "submitted": 100.1})))
    assert isinstance(found, Arrival)
    assert found.price == 100.1


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"event": "position_close"}, IgnoredRow.UNKNOWN_EVENT),
        ({"ts": None}, Rejection.NO_TIME),
        ({"prices": None}, IgnoredRow.NO_ARRIVAL),
        ({"prices": {"mark": 0.0, "submitted": 0.0}}, IgnoredRow.NO_ARRIVAL),
        ({"prices": {"mark": -1.0}}, IgnoredRow.NO_ARRIVAL),
        ({"intent_id": None, "attempt_id": ""}, IgnoredRow.NO_ARRIVAL),
        ({"prices": {"mark": "high"}}, Rejection.BAD_FIELD),
        ({"prices": 5}, Rejection.BAD_FIELD),
    ],
)
def test_a_row_without_one_is_counted_by_what_it_lacks(changes: dict[str, Any], kind: IgnoredRow | Rejection) -> None:
    assert parse_arrival(line(row(**changes))) == Unusable(kind)


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes_are_an_arrival_or_counted(garbage: bytes) -> None:
    assert isinstance(parse_arrival(garbage), Arrival | Unusable)


def test_an_order_is_measured_by_its_metrics() -> None:
    assert metrics() == ExecutionMetrics(
        ts=AS_OF, symbol=SYMBOL, intent_id="ord_1", is_maker=False, is_filled=True, slippage_bps=10.0, mark_price=100.0
    )
    for route in ("limit", "MAKER", "post_only"):
        found = metrics(route=route)
        assert found is not None
        assert found.is_maker


@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED", None])
def test_an_order_without_a_fill_is_open_and_measures_nothing_but_the_mark(status: str | None) -> None:
    found = metrics(prices={"mark": 100.0, "avg_fill": 0.0}, result={"status": status}, slippage_bps=-10_000.0)
    assert found == ExecutionMetrics(
        ts=AS_OF, symbol=SYMBOL, intent_id="ord_1", is_maker=False, is_filled=None, slippage_bps=None, mark_price=100.0
    )


@pytest.mark.parametrize("status", ["CANCELED", "CANCELLED", "EXPIRED", "REJECTED"])
def test_an_order_that_ended_without_a_fill_was_not_filled(status: str) -> None:
    found = metrics(prices={"mark": None, "avg_fill": None}, result={"status": status}, slippage_bps=10_000.0)
    assert found == ExecutionMetrics(
        ts=AS_OF, symbol=SYMBOL, intent_id="ord_1", is_maker=False, is_filled=False, slippage_bps=None, mark_price=None
    )


def test_a_slippage_of_the_whole_price_is_no_measurement() -> None:
    found = metrics(slippage_bps=-10_000.0)
    assert found is not None
    assert (found.is_filled, found.slippage_bps) == (True, None)


def test_a_row_that_closes_a_position_measures_no_order() -> None:
    assert metrics(event="position_close") is None
