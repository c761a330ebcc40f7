import json
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import Attempt, Side
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.decision import ShadowDecision
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.logs.shadow_log import (
    Source,
    encode_checkpoint,
    encode_decision,
    encode_limits,
    parse_checkpoint,
    read_source,
)
from pipeline_v6_dagster.logs.shadow_rows import ShadowRow, parse_shadow_row
from pipeline_v6_dagster.shadow.pipeline import Engines, run_pipeline_v6_shadow
from pipeline_v6_dagster_tests.builders import (
    AS_OF,
    AS_OF_ISO,
    SYMBOL,
    account,
    attempt,
    intent,
    json_values,
    limits,
    line,
    unhurried,
)

SOURCE = Source(log="orders_attempted.jsonl", head="abc", start=10, end=90, skipped={"torn": 2})
FIELDS = tuple(
    "heartbeat decision_id symbol intent risk_decision sizing size_decision router_decision timestamp ts intent_id"
    " attempt_id config_hash source".split()
)


def decision(record: Attempt) -> ShadowDecision:
    rules = limits(step_size=0.01, max_leverage=3, target_leverage=3)
    return run_pipeline_v6_shadow(record, account(rules), rules, Engines.built_in(rules))


def encoded(record: Attempt) -> bytes:
    return encode_decision(decision(record), "id_1", SOURCE, "hash", "v6.0", AS_OF + 5)


def row(**changes: Any) -> dict[str, Any]:
    """An allowed decision as it stands in the log."""
    content: dict[str, Any] = json.loads(encoded(attempt()))
    return content | changes


def read(content: dict[str, Any], fallback_id: str | None = None) -> ShadowSide:
    found = parse_shadow_row(line(content), fallback_id)
    assert isinstance(found, ShadowRow)
    return found.decision


def test_a_row_has_the_fields_of_the_contract_in_their_order() -> None:
    content = row()
    assert list(content) == [
        "decision_id",
        "symbol",
        "intent",
        "state",
        "risk_decision",
        "sizing",
        "size_decision",
        "router_decision",
        "timestamp",
        "logged_ts",
        "intent_id",
        "attempt_id",
        "config_hash",
        "engine_version",
        "source",
    ]
    assert list(content["intent"]) == list(intent().__dataclass_fields__)
    assert list(content["risk_decision"])[:4] == ["allowed", "clamped_qty", "reasons", "hit_caps"]
    assert list(content["sizing"]) == ["screener_gross_usd", "executor_gross_usd", "sized_gross_usd"]
    assert list(content["size_decision"]) == ["gross_usd", "qty", "caps_applied"]
    assert list(content["router_decision"]["policy"]) == ["maker_first", "taker_bias", "quality"]
    assert list(content["router_decision"]["effective_px"]) == ["maker", "taker"]
    assert content["source"] == {"log": SOURCE.log, "head": "abc", "start": 10, "end": 90, "skipped": {"torn": 2}}
    assert (content["timestamp"], content["logged_ts"]) == (AS_OF, AS_OF + 5)


def test_size_and_route_stand_only_in_an_allowed_row() -> None:
    denied = json.loads(encoded(attempt(leverage=4.0)))
    assert denied["risk_decision"]["reasons"] == ["leverage_exceeded"]
    assert denied["risk_decision"]["diagnostics"] == {
        "leverage_exceeded": {"threshold": 3.0, "observed": 4.0, "unit": "x"}
    }
    assert not {"size_decision", "router_decision"} & denied.keys()
    assert denied["sizing"]["sized_gross_usd"] is None


@pytest.mark.parametrize("wild", [nan, inf, -inf])
def test_a_number_that_is_not_finite_is_written_as_null_so_that_the_line_stays_json(wild: float) -> None:
    content = json.loads(encoded(attempt(qty=wild, leverage=wild)), parse_constant=pytest.fail)
    assert content["intent"]["qty"] is None
    assert content["risk_decision"]["diagnostics"]["leverage_exceeded"]["observed"] is None


def test_an_allowed_row_is_read_back_as_what_compare_needs() -> None:
    found = parse_shadow_row(encoded(attempt(side="SHORT", qty=0.055)))
    assert found == ShadowRow(
        ShadowSide(
            decision_id="id_1",
            symbol=SYMBOL,
            side=Side.SELL,
            intent_id="ord_1",
            attempt_id="sig_1",
            as_of=AS_OF,
            is_allowed=True,
            reasons=(),
            is_reduce_only=False,
            price=100.0,
            quote_notional=5.5,
            sized_qty=0.05,
            sized_gross_usd=pytest.approx(5.0),
            expected_slippage_bps=0.0,
            route="taker",
            config_hash="hash",
            engine_version="v6.0",
            nav_usd=10_000.0,
            asked_qty=0.055,
        ),
        {"torn": 2},
    )


def test_a_denied_row_is_read_back_with_its_reasons_and_without_a_size() -> None:
    found = parse_shadow_row(encoded(attempt(symbol="", qty=None, is_reduce_only=True)))
    assert isinstance(found, ShadowRow)
    side = found.decision
    assert (side.symbol, side.is_allowed, side.is_reduce_only) == ("", False, True)
    assert side.reasons == ("invalid_intent", "unknown_symbol", "reduce_only_invalid")
    assert (side.sized_qty, side.sized_gross_usd, side.route) == (None, None, None)


def test_an_older_producers_row_is_read_too() -> None:
    older = {
        "symbol": SYMBOL,
        "intent": {"side": "LONG", "qty": 5, "quote_notional": 500, "price": 100, "intent_id": "ord_9"},
        "risk_decision": {"allowed": True, "clamped_qty": 5, "hit_caps": {}},
        "sizing": {"sized_gross_usd": 450},
        "ts": AS_OF_ISO,
        "source": "executor",
    }
    side = read(older, "fallback")
    assert (side.decision_id, side.intent_id, side.side, side.as_of) == ("fallback", "ord_9", Side.BUY, AS_OF)
    assert (side.sized_gross_usd, side.sized_qty, side.reasons) == (450.0, None, ())
    assert read_source(line(older | {"decision_id": "x"})) is None


def test_the_size_decision_goes_before_the_sizing() -> None:
    assert read(row(size_decision={"gross_usd": 0, "qty": 0}, sizing={"sized_gross_usd": 9})).sized_gross_usd == 0


def test_ids_at_the_top_go_before_those_of_the_intent() -> None:
    side = read(row(intent_id="top", attempt_id=None))
    assert (side.intent_id, side.attempt_id) == ("top", "sig_1")


def test_a_heartbeat_is_never_a_decision() -> None:
    assert parse_shadow_row(line(row(heartbeat=True))) == Unusable(IgnoredRow.HEARTBEAT)
    assert parse_shadow_row(line({"heartbeat": True, "ts": AS_OF})) == Unusable(IgnoredRow.HEARTBEAT)
    assert read(row(heartbeat=False)) == read(row())


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"timestamp": None}, Rejection.NO_TIME),
        ({"timestamp": "2025-11-01T12:26:40"}, Rejection.NO_TIME),
        ({"timestamp": AS_OF * 1000}, Rejection.NO_TIME),
        ({"risk_decision": None}, Rejection.BAD_FIELD),
        ({"risk_decision": {}}, Rejection.BAD_FIELD),
        ({"risk_decision": {"allowed": "yes"}}, Rejection.BAD_FIELD),
        ({"risk_decision": {"allowed": 1}}, Rejection.BAD_FIELD),
        ({"decision_id": None}, Rejection.BAD_FIELD),
        ({"intent": {"qty": "five"}}, Rejection.BAD_FIELD),
    ],
)
def test_a_row_that_decides_nothing_says_why(changes: dict[str, Any], kind: Rejection) -> None:
    assert parse_shadow_row(line(row(**changes))) == Unusable(kind)


def test_our_own_row_says_where_its_attempt_was_read() -> None:
    assert read_source(encoded(attempt())) == ("id_1", SOURCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"decision_id": None},
        {"source": None},
        {"source": {"log": "a", "head": "b", "start": 1}},
        {"source": {"log": "a", "head": "b", "start": "1", "end": 2}},
    ],
)
def test_a_row_that_is_not_ours_or_not_whole_is_no_point_to_resume_from(changes: dict[str, Any]) -> None:
    assert read_source(line(row(**changes))) is None
    assert read_source(line(row())[:-1]) is None


@unhurried
@given(st.binary(max_size=80))
def test_any_bytes_are_a_row_or_counted(garbage: bytes) -> None:
    assert isinstance(parse_shadow_row(garbage, "id"), ShadowRow | Unusable)
    read_source(garbage)


@unhurried
@given(st.dictionaries(st.sampled_from(FIELDS), json_values(), max_size=4))
def test_any_object_is_a_row_or_counted(changes: dict[str, Any]) -> None:
    content = line(row(**changes))
    assert isinstance(parse_shadow_row(content, "id"), ShadowRow | Unusable)
    assert parse_shadow_row(content) in (parse_shadow_row(content, "id"), Unusable(Rejection.BAD_FIELD))
    found = read_source(content)
    assert found is None or isinstance(found[1].end, int)


def test_sizes_are_magnitudes_and_a_price_is_above_zero() -> None:
    content = row()
    content["intent"] |= {"price": -5.0, "quote_notional": -100.0}
    content["size_decision"] |= {"gross_usd": -90.0, "qty": -0.9}
    side = read(content)
    assert (side.price, side.quote_notional, side.sized_gross_usd, side.sized_qty) == (None, 100.0, 90.0, 0.9)
    del content["size_decision"]
    content["sizing"]["sized_gross_usd"] = -80.0
    assert read(content).sized_gross_usd == 80.0
    content["intent"]["price"] = 0
    assert read(content).price is None


def test_a_checkpoint_holds_the_limits_that_are_set_and_gives_all_of_them_back() -> None:
    rules = limits({"restricted_symbols": ["B", "A"], "max_gross_nav_pct": 0.5}, {"max_open_qty": 2})
    raw = encode_limits(rules)
    assert b"null" not in raw
    found = parse_checkpoint(encode_checkpoint(raw, account(rules).state, {}))
    assert found is not None
    assert found.limits == rules
