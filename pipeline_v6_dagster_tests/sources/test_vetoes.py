from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.live import Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, SYMBOL, json_values, line, unhurried

FIELDS = ("event_type", "ts", "symbol", "side", "intent_id", "attempt_id", "veto_reason", "reason", "veto_detail")


def plain_row(**changes: Any) -> dict[str, Any]:
    """The shape without ids and side."""
    row = {
        "symbol": SYMBOL,
        "strategy": None,
        "veto_reason": "leverage_cap",
        "original_reason": "leverage_exceeded",
        "veto_detail": {"reasons": ["leverage_exceeded"], "thresholds": {"max_leverage": 2.0}},
        "qty_req": 0.5,
        "context": {"nav": 10_000.0},
        "ts": AS_OF_ISO,
        "event_type": "risk_veto",
    }
    return row | changes


def detailed_row(**changes: Any) -> dict[str, Any]:
    """The shape with its ids inside the detail."""
    row = {
        "symbol": SYMBOL,
        "side": "SELL",
        "veto_reason": "bucket_cap",
        "veto_detail": {"intent": {"signal": "SELL", "attempt_id": "sig_1", "intent_id": "ord_1"}},
        "ts": AS_OF_ISO,
        "event_type": "risk_veto",
    }
    return row | changes


def test_the_shape_without_ids_gives_symbol_and_reason() -> None:
    assert parse_veto(line(plain_row())) == Veto(
        ts=AS_OF, symbol=SYMBOL, side=None, intent_id=None, attempt_id=None, reason="leverage_cap"
    )


def test_the_shape_with_ids_in_its_detail_gives_them() -> None:
    assert parse_veto(line(detailed_row())) == Veto(
        ts=AS_OF, symbol=SYMBOL, side=Side.SELL, intent_id="ord_1", attempt_id="sig_1", reason="bucket_cap"
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"intent_id": "top"}, "intent_id", "top"),
        ({"attempt_id": 7}, "attempt_id", "7"),
        ({"intent_id": ""}, "intent_id", "ord_1"),
        ({"side": None}, "side", Side.SELL),
        ({"side": "long"}, "side", Side.BUY),
        ({"side": "FLAT"}, "side", None),
        ({"ts": AS_OF + 1}, "ts", AS_OF + 1),
        ({"symbol": None}, "symbol", None),
        ({"symbol": ""}, "symbol", None),
        ({"veto_reason": None, "reason": "kill_switch"}, "reason", "kill_switch"),
        ({"veto_reason": None}, "reason", "unknown"),
        ({"veto_detail": None}, "intent_id", None),
        ({"veto_detail": "text"}, "intent_id", None),
        ({"veto_detail": {"intent": "text"}}, "intent_id", None),
    ],
)
def test_a_field_is_read_from_where_it_stands(changes: dict[str, Any], field: str, value: object) -> None:
    veto = parse_veto(line(detailed_row(**changes)))
    assert isinstance(veto, Veto)
    assert getattr(veto, field) == value


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (plain_row(event_type="risk_screen"), IgnoredRow.UNKNOWN_EVENT),
        (plain_row(symbol=None), IgnoredRow.NO_SYMBOL),
        (plain_row(symbol=""), IgnoredRow.NO_SYMBOL),
        (plain_row(ts=None), Rejection.NO_TIME),
        (plain_row(ts="2025-11-01T12:26:40"), Rejection.NO_TIME),
        (plain_row(symbol=5), Rejection.BAD_FIELD),
        (plain_row(veto_reason=["a"]), Rejection.BAD_FIELD),
        (plain_row(intent_id=1.5), Rejection.BAD_FIELD),
        (detailed_row(veto_detail={"intent": {"intent_id": {}}}), Rejection.BAD_FIELD),
        (detailed_row(side=None, veto_detail={"intent": {"signal": True}}), Rejection.BAD_FIELD),
        ([plain_row()], Rejection.NOT_OBJECT),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: object, kind: IgnoredRow | Rejection) -> None:
    assert parse_veto(line(row)) == Unusable(kind)


def test_a_row_without_an_event_type_is_a_veto() -> None:
    row = plain_row()
    del row["event_type"]
    assert isinstance(parse_veto(line(row)), Veto)


@pytest.mark.parametrize("constant", [b"NaN", b"-Infinity"])
def test_a_row_with_a_number_that_is_not_finite_is_rejected(constant: bytes) -> None:
    assert parse_veto(line(plain_row()).replace(b"2.0", constant)) == Unusable(Rejection.NOT_FINITE)


@unhurried
@given(st.binary(max_size=80))
def test_any_bytes_are_a_veto_or_counted(garbage: bytes) -> None:
    assert isinstance(parse_veto(garbage), Veto | Unusable)


@unhurried
@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values(), max_size=4),
    st.none() | st.dictionaries(st.sampled_from(("signal", "intent_id", "attempt_id")), json_values(), max_size=3),
)
def test_any_object_is_a_veto_or_counted(changes: dict[str, Any], intent: dict[str, Any] | None) -> None:
    detail = {} if intent is None else {"veto_detail": {"intent": intent}}
    assert isinstance(parse_veto(line(detailed_row(**changes) | detail)), Veto | Unusable)
