from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import Attempt, NavSnapshot, PositionSide
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, attempt, attempt_row, json_values, line, unhurried

NUMBERS = ("qty", "price_hint", "price", "notional", "gross_usd", "quote_notional", "leverage", "lev")
TEXTS = ("event_type", "symbol", "side", "tier", "strategy_id", "strategy")
FIELDS = (*NUMBERS, *TEXTS, "reduce_only", "intent_id", "attempt_id", "local_ts", "ts", "nav_snapshot")
NAV_FIELDS = ("nav_usd", "nav", "gross_usd", "portfolio_gross_usd", "symbol_gross_usd", "ts", "updated_ts", "nav_age_s")


def parsed(**changes: Any) -> Attempt:
    found = parse_attempt(line(attempt_row(**changes)))
    assert isinstance(found, Attempt)
    return found


def without(*names: str, **changes: Any) -> Attempt | Unusable:
    return parse_attempt(line({name: value for name, value in attempt_row(**changes).items() if name not in names}))


def snapshot(**fields: Any) -> NavSnapshot:
    nav = parsed(nav_snapshot=fields).nav
    assert nav is not None
    return nav


def test_a_row_becomes_its_record() -> None:
    assert parsed() == attempt()


def test_an_old_row_without_ids_side_price_or_account_is_an_attempt_still() -> None:
    row = {"strategy": "smoke", "symbol": "BTCUSDT", "qty": 0.1, "local_ts": AS_OF, "event_type": "order_attempt"}
    assert parse_attempt(line(row)) == attempt(
        side="", qty=0.1, price=None, strategy_id="smoke", intent_id=None, attempt_id=None, nav=None
    )


def test_a_row_of_nothing_but_a_time_is_an_attempt_for_the_rules_to_deny() -> None:
    found = parse_attempt(line({"ts": AS_OF_ISO}))
    assert isinstance(found, Attempt)
    assert (found.symbol, found.side, found.qty, found.as_of) == ("", "", None, AS_OF)


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        ({"price": 99.0}, "price", 100.0),
        ({"price": 99.0, "price_hint": None}, "price", 99.0),
        ({"price": 99.0, "price_hint": 0}, "price", 0.0),
        ({"notional": 1, "gross_usd": 2, "quote_notional": 3}, "quote_notional_usd", 1.0),
        ({"gross_usd": 2, "quote_notional": 3}, "quote_notional_usd", 2.0),
        ({"quote_notional": 3}, "quote_notional_usd", 3.0),
        ({"leverage": 2, "lev": 3}, "leverage", 2.0),
        ({"lev": 3}, "leverage", 3.0),
        ({"strategy_id": "a", "strategy": "b"}, "strategy_id", "a"),
        ({"strategy": "b"}, "strategy_id", "b"),
        ({"side": "sell"}, "side", "SELL"),
        ({"side": "Long"}, "side", "LONG"),
        ({"side": None}, "side", ""),
        ({"symbol": None}, "symbol", ""),
        ({"tier": "CORE"}, "tier", "CORE"),
        ({"reduce_only": True}, "is_reduce_only", True),
        ({"reduce_only": None}, "is_reduce_only", False),
        ({"intent_id": 17}, "intent_id", "17"),
        ({"intent_id": ""}, "intent_id", None),
        ({"attempt_id": 8389765988001940435}, "attempt_id", "8389765988001940435"),
    ],
)
def test_a_field_is_read_under_each_of_its_names_in_their_order(row: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(parsed(**row), field) == value


def test_the_as_of_time_is_the_local_one_and_else_the_log_time() -> None:
    assert parsed(local_ts=AS_OF + 1).as_of == AS_OF + 1
    assert parsed(local_ts=AS_OF_ISO, ts=None).as_of == AS_OF
    assert parsed(local_ts=None).as_of == AS_OF
    assert parsed(local_ts=AS_OF * 1000).as_of == AS_OF
    assert parsed(local_ts="12:00").as_of == AS_OF
    assert parsed(local_ts=None, ts=AS_OF).as_of == AS_OF


@pytest.mark.parametrize("ts", [None, "2025-11-01T12:26:40", "soon", "", 0, AS_OF * 1000])
def test_a_row_without_a_time_is_rejected(ts: object) -> None:
    assert without("local_ts", ts=ts) == Unusable(Rejection.NO_TIME)
    assert without("local_ts", "ts") == Unusable(Rejection.NO_TIME)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_decimal_number_as_text_is_that_number(name: str) -> None:
    assert without(**{name: "0.1"}) == without(**{name: 0.1})


def test_flags_amendments_and_position_sides_are_read() -> None:
    found = parsed(reduce_only="true", amends="ord_0", positionSide="short")
    assert (found.is_reduce_only, found.amends, found.position_side) == (True, "ord_0", PositionSide.SHORT)
    assert parsed(positionSide="BOTH", position_side="LONG").position_side is PositionSide.LONG
    assert parsed(positionSide="BOTH", amends="").position_side is None
    nav = parsed(nav_snapshot={"nav_usd": "10", "symbol_gross_usd": {"BTCUSDT": "1"}}).nav
    assert nav is not None
    assert (nav.nav_usd, nav.symbol_gross_usd) == (10.0, {"BTCUSDT": 1.0})


def test_a_row_of_another_event_is_dropped_and_one_of_none_is_an_attempt() -> None:
    assert without(event_type="order_ack") == Unusable(IgnoredRow.UNKNOWN_EVENT)
    assert without("event_type") == attempt()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["much", "", True, [1], {}])
def test_anything_but_a_number_in_a_number_field_rejects_the_row(name: str, value: object) -> None:
    assert without(**{name: value}) == Unusable(Rejection.BAD_FIELD)


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": 1},
        {"side": True},
        {"tier": []},
        {"reduce_only": "yes"},
        {"reduce_only": 1},
        {"intent_id": 1.5},
        {"attempt_id": True},
        {"nav_snapshot": []},
        {"nav_snapshot": 10_000},
        {"nav_snapshot": {"nav_usd": "all"}},
        {"nav_snapshot": {"gross_usd": True}},
        {"nav_snapshot": {"symbol_gross_usd": {"BTCUSDT": "one"}}},
        {"nav_snapshot": {"symbol_gross_usd": {"BTCUSDT": None}}},
        {"nav_snapshot": {"symbol_gross_usd": [["BTCUSDT", 1]]}},
    ],
)
def test_a_field_of_another_type_rejects_the_row(changes: dict[str, Any]) -> None:
    assert without(**changes) == Unusable(Rejection.BAD_FIELD)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 10_000])
def test_a_number_that_is_not_finite_rejects_the_row(constant: bytes) -> None:
    assert parse_attempt(line(attempt_row()).replace(b"5.0", constant)) == Unusable(Rejection.NOT_FINITE)


def test_a_torn_row_is_rejected_wherever_it_was_torn() -> None:
    whole = line(attempt_row())
    for end in range(len(whole)):
        assert parse_attempt(whole[:end]) == Unusable(Rejection.NOT_JSON)


def test_an_account_is_read_in_the_shapes_of_both_producers() -> None:
    assert snapshot(nav_usd=1, gross_usd=2, symbol_gross_usd={"A": 3}) == NavSnapshot(
        nav_usd=1.0, gross_usd=2.0, symbol_gross_usd={"A": 3.0}, age_s=None
    )
    assert snapshot(nav=1, portfolio_gross_usd=2) == NavSnapshot(
        nav_usd=1.0, gross_usd=2.0, symbol_gross_usd=None, age_s=None
    )
    assert snapshot(nav_usd=1, nav=9, gross_usd=2, portfolio_gross_usd=9) == NavSnapshot(
        nav_usd=1.0, gross_usd=2.0, symbol_gross_usd=None, age_s=None
    )
    assert snapshot() == NavSnapshot(nav_usd=None, gross_usd=None, symbol_gross_usd=None, age_s=None)


def test_a_nav_of_zero_is_not_replaced_by_another_name_of_it() -> None:
    assert snapshot(nav_usd=0, nav=10_000).nav_usd == 0


@pytest.mark.parametrize(
    ("fields", "age_s"),
    [
        ({}, None),
        ({"nav_age_s": 7}, 7.0),
        ({"nav_age_s": 7, "ts": AS_OF}, 7.0),
        ({"ts": AS_OF - 90}, 90.0),
        ({"updated_ts": AS_OF - 90}, 90.0),
        ({"ts": AS_OF - 90, "updated_ts": AS_OF}, 90.0),
        ({"ts": AS_OF_ISO}, 0.0),
        ({"ts": "2025-11-01T12:26:40"}, inf),
        ({"ts": "yesterday", "updated_ts": AS_OF}, inf),
        ({"updated_ts": (AS_OF - 90) * 1000}, inf),
        ({"ts": 0}, inf),
    ],
)
def test_a_snapshot_is_as_old_as_it_says_and_one_with_an_unreadable_time_is_infinitely_old(
    fields: dict[str, Any], age_s: float | None
) -> None:
    assert snapshot(**fields).age_s == age_s


@pytest.mark.parametrize("fields", [{"ts": AS_OF + 3600}, {"updated_ts": AS_OF + 3600}, {"nav_age_s": -3600}])
def test_a_snapshot_from_the_future_is_as_far_from_the_attempt_as_one_from_the_past(fields: dict[str, Any]) -> None:
    assert snapshot(**fields).age_s == 3600


@unhurried
@given(st.binary(max_size=80))
def test_any_bytes_are_an_attempt_or_counted(garbage: bytes) -> None:
    assert isinstance(parse_attempt(garbage), Attempt | Unusable)


@unhurried
@given(st.data())
def test_a_row_with_any_bytes_changed_is_an_attempt_or_counted(data: st.DataObject) -> None:
    whole = line(attempt_row())
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 9)))
    changed = whole[:start] + data.draw(st.binary(max_size=9)) + whole[end:]
    assert isinstance(parse_attempt(changed), Attempt | Unusable)


@unhurried
@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values(), max_size=4),
    st.none() | st.dictionaries(st.sampled_from(NAV_FIELDS), json_values(), max_size=3),
)
def test_any_object_is_an_attempt_or_counted(changes: dict[str, Any], nav: dict[str, Any] | None) -> None:
    account = {} if nav is None else {"nav_snapshot": nav}
    found = parse_attempt(line(attempt_row(**changes) | account))
    assert isinstance(found, Attempt | Unusable)
    if isinstance(found, Attempt):
        assert isinstance(found.symbol, str)
        assert 1e9 <= found.as_of <= 1e10
