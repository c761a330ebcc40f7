"""Live rows, in the shapes of a real executor, to what they tell of the account."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline_v6_dagster.domain.account_events import (
    AccountEvent,
    OrderEnded,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
)
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.live import OrderStatus
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.sources.account import account_event
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, SYMBOL, line

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
PLACED = OrderPlaced(
    ts=AS_OF,
    symbol=SYMBOL,
    order_key="7|sig_1",
    is_reduce_only=False,
    side=Side.BUY,
    position_side=None,
    requested_qty=2.0,
    status=OrderStatus.NEW,
    intent_id="ord_1",
    attempt_id="sig_1",
)
FILLED = OrderFilled(
    ts=AS_OF,
    symbol=SYMBOL,
    order_key="7|sig_1",
    is_reduce_only=False,
    side=Side.BUY,
    position_side=None,
    executed_qty=2.0,
    avg_price=101.0,
    status=OrderStatus.FILLED,
    intent_id="ord_1",
    attempt_id="sig_1",
)
FAILED = OrderFailed(ts=AS_OF, symbol=SYMBOL, order_key="7|sig_1", intent_id="ord_1", attempt_id="sig_1")
NAMELESS = OrderFailed(ts=AS_OF, symbol=None, order_key=f"error@{AS_OF!r}|")


def named(order_id: str, attempt_id: str) -> dict[str, Any]:
    return {"order_key": f"{order_id}|{attempt_id}", "attempt_id": attempt_id}


def order(row: dict[str, Any]) -> AccountEvent | None:
    found = parse_order_event(line(row))
    return None if isinstance(found, Unusable) else account_event(found)


@pytest.mark.parametrize(
    ("row", "event"),
    [
        (ACK, PLACED),
        (ACK | {"reduceOnly": True}, replace(PLACED, is_reduce_only=True)),
        (ACK | {"reduceOnly": None, "reduce_only": "true"}, replace(PLACED, is_reduce_only=True)),
        (ACK | {"attempt_id": "sig_1_reduce"}, replace(PLACED, is_reduce_only=True, **named("7", "sig_1_reduce"))),
        (ACK | {"ts": None, "local_ts": AS_OF}, PLACED),
        (ACK | {"orderId": None, "clientOrderId": "c"}, replace(PLACED, order_key="c|sig_1")),
        (ACK | {"positionSide": "LONG"}, replace(PLACED, position_side=PositionSide.LONG)),
        (ACK | {"accepted": False}, FAILED),
        (ACK | {"status": "REJECTED"}, FAILED),
        (ACK | {"status": "EXPIRED_IN_MATCH"}, replace(PLACED, status=OrderStatus.EXPIRED_IN_MATCH)),
        (FILL, FILLED),
        (FILL | {"executedQty": "2.0", "avgPrice": "101"}, FILLED),
        (FILL | {"avgPrice": 0.0}, replace(FILLED, avg_price=None)),
        (FILL | {"side": "?"}, replace(FILLED, side=None)),
        (FILL | {"executedQty": 0.0}, None),
        (FILL | {"executedQty": -2.0}, FILLED),  # Written with the sign of its side.
        (FILL | {"executedQty": 0.0, "status": "CANCELED"}, OrderEnded(AS_OF, SYMBOL, "7|sig_1", OrderStatus.CANCELED)),
        (
            CLOSE,
            PositionReduced(
                ts=AS_OF,
                symbol=SYMBOL,
                order_key="7|sig_1",
                position_side=PositionSide.SHORT,
                closed_qty=3.0,
                remaining_qty=1.5,
                pnl_usd=-4.0,
            ),
        ),
        (
            CLOSE | {"positionSide": "BOTH"},
            PositionReduced(
                ts=AS_OF,
                symbol=SYMBOL,
                order_key="7|sig_1",
                position_side=PositionSide.SHORT,
                closed_qty=3.0,
                remaining_qty=1.5,
                pnl_usd=-4.0,
            ),
        ),
        (
            {"event_type": "order_close", "symbol": SYMBOL, "ts": AS_OF_ISO},
            PositionReduced(
                ts=AS_OF,
                symbol=SYMBOL,
                order_key=f"close@{AS_OF!r}|",
                position_side=None,
                closed_qty=None,
                remaining_qty=None,
                pnl_usd=None,
            ),
        ),
        ({"event_type": "order_error", "ts": AS_OF_ISO, "exc": "HTTPError()"}, NAMELESS),
        ({"event": "order_error", "ts": AS_OF}, NAMELESS),
        ({"event": "order_error", "ts": AS_OF, "reduce_only": "true", "qty": []}, NAMELESS),
        ({"event": "order_error", "local_ts": AS_OF}, NAMELESS),
        (
            {"symbol": SYMBOL, "side": "BUY", "notional": "500", "qty": "5", "price": 100.0, "ts": AS_OF},
            OrderFilled(
                ts=AS_OF,
                symbol=SYMBOL,
                order_key=f"flat@{AS_OF!r}|",
                is_reduce_only=False,
                side=Side.BUY,
                position_side=None,
                executed_qty=5.0,
                avg_price=100.0,
                status=OrderStatus.FILLED,
                intent_id=None,
                attempt_id=None,
            ),
        ),
    ],
)
def test_what_an_order_row_changes(row: dict[str, Any], event: AccountEvent | None) -> None:
    assert order(row) == event


def test_an_ack_of_the_older_shape_tells_in_the_exchanges_answer() -> None:
    raw = {"orderId": 9, "symbol": SYMBOL, "side": "SELL", "status": "NEW", "reduceOnly": True, "origQty": "0.006"}
    row = {"event_type": "order_ack", "ts": AS_OF_ISO, "accepted": True, "order_id": 9, "raw": raw}
    assert order(row) == OrderPlaced(
        ts=AS_OF,
        symbol=SYMBOL,
        order_key="9|",
        is_reduce_only=True,
        side=Side.SELL,
        position_side=None,
        requested_qty=0.006,
        status=OrderStatus.NEW,
    )
    assert order(row | {"raw": raw | {"status": "REJECTED"}}) == OrderFailed(ts=AS_OF, symbol=SYMBOL, order_key="9|")


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
        {"symbol": None, "intent_id": None, "attempt_id": None},
        {"symbol": None},
        {"orderId": None},
    ],
)
def test_what_was_not_real_or_names_no_order_changes_nothing(changes: dict[str, Any]) -> None:
    assert order(ACK | changes) is None
    assert order(FILL | changes) is None
