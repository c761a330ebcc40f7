"""Arrival prices from metrics rows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.live import Arrival
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.arrivals import parse_arrival
from pipeline_v6_dagster_tests.builders import AS_OF, line, unhurried


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
