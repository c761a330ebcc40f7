from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.decision import Route
from pipeline_v6_dagster.domain.live import EventKind, OrderEvent, OrderStatus
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.orders import parse_any_order_event, parse_order_event
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, SYMBOL, json_values, line, unhurried

FIELDS = tuple(
    "event_type event ts ts_ack ts_fill_last local_ts symbol side intent_id attempt_id orderId order_id clientOrderId"
    " client_order_id request_id request_qty qty rounded_qty executedQty avgPrice price fee_total status reduceOnly"
    " reduce_only accepted dry_run reason exc raw exchange_filters_used notional gross quote_notional notional_usd"
    " gross_usd positionSide position_side feeAsset maker is_maker timeInForce order_type hostname pid closed_qty"
    " position_size_before position_size_after realizedPnlUsd".split()
)
RAW_FIELDS = ("status", "dryRun", "symbol", "side", "orderId", "reduceOnly", "origQty")


def ack_row(**changes: Any) -> dict[str, Any]:
    """An ack with the order's fields at its top level."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "intent_id": "ord_1",
        "attempt_id": "sig_1",
        "orderId": 1,
        "clientOrderId": "sig_1",
        "request_qty": 5.0,
        "order_type": "MARKET",
        "positionSide": "LONG",
        "status": "FILLED",
        "ts_ack": AS_OF_ISO,
        "ts": AS_OF_ISO,
        "event_type": "order_ack",
    }
    return row | changes


def older_ack_row(raw: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An ack whose symbol, side and quantity stand only in the exchange's answer."""
    row = {
        "accepted": True,
        "reason": None,
        "order_id": 8389765988001940435,
        "price": 0.0,
        "qty": 0.0,
        "raw": {
            "orderId": 8389765988001940435,
            "symbol": SYMBOL,
            "status": "NEW",
            "origQty": "0.006",
            "executedQty": "0.000",
            "reduceOnly": False,
            "side": "SELL",
        }
        | (raw or {}),
        "request_id": "HaU1",
        "exchange_filters_used": {"LOT_SIZE": {"stepSize": "0.001", "minQty": "0.001"}},
        "rounded_qty": 0.006,
        "ts": AS_OF_ISO,
        "event_type": "order_ack",
    }
    return row | changes


def fill_row(**changes: Any) -> dict[str, Any]:
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "intent_id": "ord_1",
        "attempt_id": "sig_1",
        "orderId": 1,
        "executedQty": 5.0,
        "avgPrice": 100.5,
        "fee_total": 0.2,
        "feeAsset": "USDT",
        "tradeIds": [1, 2],
        "status": "FILLED",
        "ts_fill_last": AS_OF_ISO,
        "ts": AS_OF_ISO,
        "event_type": "order_fill",
    }
    return row | changes


def error_row(**changes: Any) -> dict[str, Any]:
    row = {
        "symbol": SYMBOL,
        "side": "SELL",
        "qty": 0.0,
        "price": 0.0,
        "reduce_only": None,
        "exc": "HTTPError('400 Client Error: Bad Request for url')",
        "payload": {"symbol": SYMBOL},
        "dry_run": False,
        "ts": AS_OF_ISO,
        "event_type": "order_error",
    }
    return row | changes


def flat_row(**changes: Any) -> dict[str, Any]:
    return {"symbol": SYMBOL, "side": "BUY", "notional": 500.0, "ts": AS_OF_ISO} | changes


def close_row(**changes: Any) -> dict[str, Any]:
    sizes = {"closed_qty": 3.0, "position_size_before": 4.0, "position_size_after": 1.0, "realizedPnlUsd": -2.5}
    return ack_row(event_type="order_close", request_qty=None) | sizes | changes


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def event(row: dict[str, Any]) -> OrderEvent:
    found = parse_order_event(line(row))
    assert isinstance(found, OrderEvent)
    return found


def unusable(row: object) -> Rejection | IgnoredRow:
    found = parse_order_event(line(row))
    assert isinstance(found, Unusable)
    return found.kind


def blank(**fields: Any) -> OrderEvent:
    names = OrderEvent.__dataclass_fields__
    return OrderEvent(**(dict.fromkeys(names) | {"is_reduce_only": False} | fields))  # type: ignore[arg-type]


def test_an_ack_with_its_fields_at_the_top_level_is_read() -> None:
    assert event(ack_row()) == blank(
        kind=EventKind.ACK,
        ts=AS_OF,
        symbol=SYMBOL,
        side=Side.BUY,
        intent_id="ord_1",
        attempt_id="sig_1",
        order_id="1",
        requested_qty=5.0,
        status=OrderStatus.FILLED,
        route=Route.TAKER,
        position_side=PositionSide.LONG,
    )


def test_an_ack_without_symbol_side_and_ids_is_read_from_the_exchanges_answer() -> None:
    assert event(older_ack_row()) == blank(
        kind=EventKind.ACK,
        ts=AS_OF,
        symbol=SYMBOL,
        side=Side.SELL,
        order_id="8389765988001940435",
        requested_qty=0.006,
        status=OrderStatus.NEW,
        lot_step=0.001,
    )


def test_a_fill_carries_the_cumulative_quantity_as_the_exchange_reports_it() -> None:
    assert event(fill_row()) == blank(
        kind=EventKind.FILL,
        ts=AS_OF,
        symbol=SYMBOL,
        side=Side.BUY,
        intent_id="ord_1",
        attempt_id="sig_1",
        order_id="1",
        executed_qty=5.0,
        avg_price=100.5,
        fees_usd=0.2,
        status=OrderStatus.FILLED,
    )


@pytest.mark.parametrize("name", ["executed_qty", "filled_qty", "filledQty", "cumQty", "cum_qty"])
def test_a_fill_says_by_any_of_its_names_what_it_executed(name: str) -> None:
    assert event(without(fill_row(**{name: "250"}), "executedQty")).executed_qty == 250.0
    assert event(fill_row(**{name: 250.0})).executed_qty == 5.0


def test_a_fill_may_leave_its_quantity_to_the_exchanges_answer() -> None:
    assert event(without(fill_row(raw={"executedQty": "250"}), "executedQty")).executed_qty == 250.0
    assert event(fill_row(raw={"executedQty": "250"})).executed_qty == 5.0
    assert event(without(fill_row(), "executedQty")).executed_qty is None


def test_a_polled_fill_of_nothing_yet_is_a_fill_without_quantity_and_price() -> None:
    fill = event(fill_row(executedQty=0.0, avgPrice=0.0, status="NEW"))
    assert (fill.executed_qty, fill.avg_price, fill.status) == (None, None, OrderStatus.NEW)


def test_an_error_is_named_after_the_class_of_its_exception() -> None:
    error = event(error_row())
    assert (error.kind, error.reason, error.status, error.order_id) == (
        EventKind.ERROR,
        "HTTPError",
        None,
        f"error@{AS_OF}",
    )
    assert event(error_row(exc="x" * 500)).reason == "x" * 80
    assert event(error_row(exc=None, reason="timeout")).reason == "timeout"
    assert event(error_row(exc=None)).reason == "order_error"


@pytest.mark.parametrize("name", ["notional", "gross", "quote_notional", "notional_usd", "gross_usd"])
def test_a_flat_row_with_any_name_of_a_gross_is_an_order_by_itself(name: str) -> None:
    row = without(flat_row(qty=5.0, price=100.0), "notional") | {name: -500.0}
    assert event(row) == blank(
        kind=EventKind.FLAT,
        ts=AS_OF,
        symbol=SYMBOL,
        side=Side.BUY,
        order_id=f"flat@{AS_OF}",
        requested_qty=5.0,
        avg_price=100.0,
        gross_usd=500.0,
        status=OrderStatus.FILLED,
    )


@pytest.mark.parametrize("event_type", ["order_executed", "order_heartbeat", "", None, 5, [], {}])
def test_an_unknown_event_is_dropped_whatever_stands_in_it(event_type: object) -> None:
    row = ack_row(event_type=event_type, request_qty="0.000", orderId={}, reduceOnly="?")
    assert unusable(row) is IgnoredRow.UNKNOWN_EVENT


def test_a_close_says_how_a_position_was_reduced_and_is_no_order_even_with_a_gross() -> None:
    row = close_row(notional=500.0, pid=7, hostname="executor-1", positionSide="BOTH")
    row |= {"position_size_before": -4.0, "position_size_after": -1.0, "realizedPnlUsd": "-2.5"}
    found = event(row)
    assert (found.kind, found.gross_usd, found.requested_qty, found.route) == (EventKind.CLOSE, None, None, None)
    assert (found.closed_qty, found.position_qty_after, found.realized_pnl_usd) == (3.0, 1.0, -2.5)
    assert (found.position_side, found.process) == (PositionSide.SHORT, "executor-1/7")
    assert event(row | {"position_size_after": 0}).position_side is PositionSide.SHORT


@pytest.mark.parametrize(
    ("row", "event_type", "strategy"),
    [
        (fill_row(orderId=None), "order_fill", None),
        (ack_row(symbol=None, intent_id=None, attempt_id=None), "order_ack", None),
        (ack_row(event_type="order_executed", qty="0.1", strategy="smoke"), "order_executed", "smoke"),
        (fill_row(executedQty="a lot"), "order_fill", None),
        (fill_row(avgPrice=float("nan")), "order_fill", None),
    ],
)
def test_a_row_that_is_not_used_and_carries_an_order_is_evidence(
    row: dict[str, Any], event_type: str, strategy: str | None
) -> None:
    found = parse_order_event(line(row))
    assert isinstance(found, Unusable)
    assert (found.is_order_evidence, found.event_type, found.strategy) == (True, event_type, strategy)


@pytest.mark.parametrize(
    "row",
    [
        ack_row(dry_run=True, orderId=0, clientOrderId=None),
        older_ack_row(raw={"dryRun": True, "status": "DRY", "orderId": 0}, order_id=0),
        ack_row(event_type="order_heartbeat", request_qty=0.0, status="NEW"),
        ack_row(event_type="order_executed", orderId=None, status="NEW"),
        error_row(symbol={}, qty=5.0, orderId=1),
        [fill_row()],
    ],
)
def test_a_row_that_is_not_used_and_carries_no_order_is_no_evidence(row: object) -> None:
    found = parse_order_event(line(row))
    assert isinstance(found, Unusable)
    assert not found.is_order_evidence


@pytest.mark.parametrize(
    "row",
    [ack_row(dry_run=True), ack_row(status="DRY"), fill_row(dry_run=True)],
)
def test_a_dry_run_with_what_only_an_exchange_gives_is_evidence(row: dict[str, Any]) -> None:
    found = parse_order_event(line(row))
    assert isinstance(found, Unusable)
    assert (found.kind, found.is_order_evidence) == (IgnoredRow.DRY_RUN, True)


@pytest.mark.parametrize(
    "row",
    [
        ack_row(dry_run=True),
        ack_row(status="DRY"),
        ack_row(reason="dry_run"),
        older_ack_row(raw={"dryRun": True}),
        older_ack_row(raw={"status": "DRY"}),
        error_row(dry_run=True),
        flat_row(dry_run=True),
    ],
)
def test_a_dry_run_is_no_order(row: dict[str, Any]) -> None:
    assert unusable(row) is IgnoredRow.DRY_RUN


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (without(ack_row(), "ts", "ts_ack"), Rejection.NO_TIME),
        (without(ack_row(ts="2025-11-01T12:26:40"), "ts_ack"), Rejection.NO_TIME),
        (without(ack_row(ts=True), "ts_ack"), Rejection.NO_TIME),
        (without(ack_row(), "orderId", "clientOrderId"), IgnoredRow.NO_ORDER_ID),
        (without(fill_row(), "orderId"), IgnoredRow.NO_ORDER_ID),
        (without(ack_row(), "symbol", "intent_id", "attempt_id"), IgnoredRow.NO_SYMBOL),
        (older_ack_row(raw={"symbol": None}), IgnoredRow.NO_SYMBOL),
        ([ack_row()], Rejection.NOT_OBJECT),
    ],
)
def test_a_row_that_is_no_evidence_says_why(row: object, kind: IgnoredRow | Rejection) -> None:
    assert unusable(row) is kind


def test_an_id_is_enough_where_an_ack_has_no_symbol() -> None:
    assert event(without(ack_row(), "symbol", "attempt_id")).symbol is None
    assert event(without(ack_row(), "symbol", "intent_id")).attempt_id == "sig_1"


@pytest.mark.parametrize(
    ("changes", "order_id"),
    [
        ({}, "1"),
        ({"orderId": None, "order_id": 2}, "2"),
        ({"orderId": None, "raw": {"orderId": 3}}, "3"),
        ({"orderId": None}, "sig_1"),
        ({"orderId": "", "clientOrderId": None, "client_order_id": "c"}, "c"),
        ({"orderId": None, "clientOrderId": None, "request_id": "r"}, "r"),
        ({"orderId": 10**30}, str(10**30)),
    ],
)
def test_an_order_is_named_by_the_exchanges_id_first(changes: dict[str, Any], order_id: str) -> None:
    assert event(ack_row(**changes)).order_id == order_id


@pytest.mark.parametrize(
    ("changes", "qty"),
    [
        ({}, 5.0),
        ({"request_qty": None, "raw": {"origQty": "0.5"}, "rounded_qty": 9.0}, 0.5),
        ({"request_qty": 0, "raw": {"origQty": 0.5}}, 0.5),
        ({"request_qty": None, "rounded_qty": 0.25, "qty": 9.0}, 0.25),
        ({"request_qty": None, "qty": 0.125}, 0.125),
        ({"request_qty": None}, None),
        # An ack that was executed already says so; it executed no more than it requested.
        ({"executedQty": 4.0, "raw": {"executedQty": "4"}}, 5.0),
        ({"executedQty": 250.0}, 250.0),
        ({"raw": {"executedQty": "250"}}, 250.0),
        ({"request_qty": None, "executedQty": -2.0}, 2.0),
    ],
)
def test_the_requested_quantity_is_what_was_sent_and_else_what_it_was_rounded_to(
    changes: dict[str, Any], qty: float | None
) -> None:
    assert event(ack_row(**changes)).requested_qty == qty


@pytest.mark.parametrize(
    ("changes", "is_reduce_only"),
    [
        ({}, False),
        ({"reduceOnly": True}, True),
        ({"reduce_only": "True"}, True),
        ({"reduce_only": "false"}, False),
        ({"raw": {"reduceOnly": True}}, True),
        ({"attempt_id": "sig_1_reduce"}, True),
        ({"attempt_id": "sig_1_reduce", "reduceOnly": False}, False),
        ({"attempt_id": None}, False),
    ],
)
def test_a_reduce_leg_is_told_by_its_flag_and_else_by_its_attempt_id(
    changes: dict[str, Any], is_reduce_only: bool
) -> None:
    assert event(ack_row(**changes)).is_reduce_only is is_reduce_only


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "new"}, OrderStatus.NEW),
        ({"status": "CANCELLED"}, OrderStatus.CANCELED),
        ({"status": "PARTIALLY_FILLED"}, OrderStatus.PARTIALLY_FILLED),
        ({"status": "EXPIRED"}, OrderStatus.EXPIRED),
        ({"status": "PENDING_CANCEL"}, OrderStatus.PENDING_CANCEL),
        ({"status": "NEW_INSURANCE"}, OrderStatus.NEW_INSURANCE),
        ({"status": None, "raw": {"status": "FILLED"}}, OrderStatus.FILLED),
        ({"accepted": False}, OrderStatus.REJECTED),
        ({"status": "WEIRD"}, None),
        ({"status": None}, None),
    ],
)
def test_a_status_is_one_of_the_exchanges_or_nothing(changes: dict[str, Any], status: OrderStatus | None) -> None:
    assert event(ack_row(**changes)).status is status


def test_the_time_of_an_event_is_when_it_was_logged() -> None:
    assert event(ack_row(ts=AS_OF + 5)).ts == AS_OF + 5
    assert event(ack_row(ts=None, local_ts=AS_OF + 1)).ts == AS_OF + 1
    assert event(fill_row(ts="2025-11-01T12:26:40", local_ts=None)).ts == AS_OF


def test_long_and_short_are_sides_and_both_is_none() -> None:
    sides = [event(ack_row(side=side)).side for side in ("LONG", "short", "BOTH", None)]
    assert sides == [Side.BUY, Side.SELL, None, None]


@pytest.mark.parametrize("changes", [{"side": "B"}, {"positionSide": "SHRT"}, {"side": "S", "positionSide": "LONG"}])
def test_an_order_on_a_side_that_nobody_knows_is_evidence_that_could_not_be_used(changes: dict[str, Any]) -> None:
    found = parse_order_event(msgspec.json.encode(ack_row(**changes)))
    assert isinstance(found, Unusable)
    assert (found.kind, found.is_order_evidence) == (Rejection.BAD_FIELD, True)
    assert event(fill_row(**changes)).executed_qty is not None


def test_a_quantity_may_have_the_sign_of_its_side() -> None:
    assert event(ack_row(side="SELL", request_qty=-3.0)) == event(ack_row(side="SELL", request_qty=3.0))
    assert event(fill_row(side="SELL", executedQty=-3.0)) == event(fill_row(side="SELL", executedQty=3.0))
    assert event(ack_row(request_qty=None, raw={"origQty": "-3"})).requested_qty == 3.0


@pytest.mark.parametrize("name", ["request_qty", "fee_total", "rounded_qty", "qty"])
@pytest.mark.parametrize("value", ["half", True, [], {}, pytest.param(10**400, id="10**400")])
def test_other_text_and_other_types_in_a_number_field_reject_the_row(name: str, value: object) -> None:
    row = ack_row(request_qty=None, rounded_qty=None, qty=None) | {name: value}
    assert unusable(row) is Rejection.BAD_FIELD


@pytest.mark.parametrize(
    "row",
    [
        fill_row(executedQty="five"),
        fill_row(avgPrice=""),
        flat_row(notional="500 USD"),
        flat_row(price="1_0"),
        ack_row(intent_id=1.5),
        ack_row(orderId=True),
        ack_row(status=5.5),
        ack_row(symbol=["BTCUSDT"]),
        older_ack_row(raw={"origQty": "a lot"}),
        older_ack_row(raw={"origQty": "inf"}),
        older_ack_row(raw={"symbol": {}}),
    ],
)
def test_a_field_of_another_type_rejects_the_row(row: dict[str, Any]) -> None:
    assert unusable(row) is Rejection.BAD_FIELD


@pytest.mark.parametrize(
    ("order_type", "time_in_force", "route"),
    [
        ("MARKET", None, Route.TAKER),
        ("MARKET", "GTC", Route.TAKER),
        ("STOP_MARKET", None, Route.TAKER),
        ("TAKE_PROFIT_MARKET", None, Route.TAKER),
        ("TRAILING_STOP_MARKET", None, Route.TAKER),
        ("STOP", "GTC", None),
        ("TAKE_PROFIT", None, None),
        ("LIMIT", "IOC", Route.TAKER),
        ("LIMIT", "FOK", Route.TAKER),
        ("LIMIT", "GTX", Route.MAKER),
        ("LIMIT", "GTC", None),
        ("LIMIT", None, Route.MAKER),
        ("POST_ONLY", None, Route.MAKER),
        ("TWAP", None, None),
        (None, None, None),
        (7, 7, None),
    ],
)
def test_type_and_time_in_force_tell_where_the_order_went(
    order_type: object, time_in_force: object, route: Route | None
) -> None:
    assert event(ack_row(order_type=order_type, timeInForce=time_in_force)).route is route
    assert event(older_ack_row(raw={"type": order_type, "timeInForce": time_in_force})).route is route


@pytest.mark.parametrize(
    ("changes", "route"),
    [
        ({"maker": True}, Route.MAKER),
        ({"maker": False, "order_type": "LIMIT", "timeInForce": "GTX"}, Route.TAKER),
        ({"is_maker": "true"}, Route.MAKER),
        ({"is_maker": None, "order_type": "MARKET"}, Route.TAKER),
    ],
)
def test_a_fills_own_flag_wins(changes: dict[str, Any], route: Route) -> None:
    assert event(fill_row(**changes)).route is route


@pytest.mark.parametrize(
    ("asset", "fees_usd"), [("USDT", 0.2), ("USDC", 0.2), (None, 0.2), ("BNB", None), (7, None), ([], None)]
)
def test_a_fee_in_another_asset_is_not_usd(asset: object, fees_usd: float | None) -> None:
    assert event(fill_row(feeAsset=asset)).fees_usd == fees_usd


def test_a_byte_order_mark_before_a_row_is_no_part_of_it() -> None:
    assert parse_order_event(b"\xef\xbb\xbf" + line(ack_row())) == event(ack_row())


@pytest.mark.parametrize("raw", [None, "text", [1], 5])
def test_an_answer_that_is_no_object_is_as_good_as_none(raw: object) -> None:
    assert event(ack_row(raw=raw)) == event(ack_row())


@pytest.mark.parametrize(
    "filters", [None, [], {"LOT_SIZE": 5}, {"LOT_SIZE": {"stepSize": "x"}}, {"LOT_SIZE": {"stepSize": "0"}}]
)
def test_filters_that_cannot_be_read_leave_the_lot_step_unknown_and_the_row_usable(filters: object) -> None:
    assert event(ack_row(exchange_filters_used=filters)).lot_step is None


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"1e999", b"9" * 10_000])
def test_a_number_that_is_not_finite_rejects_the_row(constant: bytes) -> None:
    found = parse_order_event(line(ack_row()).replace(b"5.0", constant))
    assert isinstance(found, Unusable)
    assert found.kind is Rejection.NOT_FINITE


@unhurried
@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_counted(garbage: bytes) -> None:
    assert isinstance(parse_order_event(garbage), OrderEvent | Unusable)


@unhurried
@given(
    st.sampled_from([ack_row(), older_ack_row(), fill_row(), error_row(), flat_row(), close_row()]),
    st.dictionaries(st.sampled_from(FIELDS), json_values(), max_size=4),
    st.none() | st.dictionaries(st.sampled_from(RAW_FIELDS), json_values(), max_size=3),
)
def test_any_object_is_an_event_or_counted(
    row: dict[str, Any], changes: dict[str, Any], raw: dict[str, Any] | None
) -> None:
    answer = {} if raw is None else {"raw": raw}
    found = parse_order_event(line(row | changes | answer))
    assert found == parse_any_order_event(line(row | changes | answer))
    assert isinstance(found, OrderEvent | Unusable)
    if isinstance(found, OrderEvent):
        assert found.order_id
        named = (found.symbol, found.intent_id, found.attempt_id)
        assert found.kind is EventKind.ERROR or any(name is not None for name in named)
        assert all(size is None or size > 0 for size in (found.requested_qty, found.executed_qty, found.gross_usd))
