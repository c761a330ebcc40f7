"""What each opening earned, first in, first out."""

from typing import Any

import pytest

from pipeline_v6_dagster.compare.profit import Execution, compute_profits
from pipeline_v6_dagster.domain.attempt import Side


def execution(key: str, ts: float, qty: float, price: float, **changes: Any) -> Execution:
    """A BUY that opens, with a fee of 1."""
    fields: dict[str, Any] = {"symbol": "BTCUSDT", "side": Side.BUY, "is_reduce_only": False, "fees_usd": 1.0}
    return Execution(**(fields | {"key": key, "ts": ts, "qty": qty, "price": price} | changes))


def close(key: str, ts: float, qty: float, price: float, side: Side = Side.SELL) -> Execution:
    return execution(key, ts, qty, price, side=side, is_reduce_only=True)


def test_a_close_takes_the_oldest_lots_first() -> None:
    profits = compute_profits(
        [execution("a", 1, 2, 100.0), execution("b", 2, 2, 110.0), close("c", 3, 3, 120.0), close("d", 4, 1, 90.0)]
    )
    assert profits["a"].price_usd == 40
    assert profits["b"].price_usd == 10 - 20
    assert profits["a"].open_usd == profits["b"].open_usd == 0
    assert set(profits) == {"a", "b"}


def test_a_short_earns_where_the_price_falls() -> None:
    short = execution("a", 1, 2, 100.0, side=Side.SELL)
    profits = compute_profits([short, close("b", 2, 2, 90.0, side=Side.BUY)])
    assert profits["a"].price_usd == 20


def test_what_is_open_is_marked_at_the_last_price() -> None:
    profits = compute_profits([execution("a", 1, 2, 100.0), execution("b", 2, 1, 105.0)])
    assert (profits["a"].price_usd, profits["a"].open_usd) == (10, 10)
    assert (profits["b"].price_usd, profits["b"].open_usd) == (0, 0)


def test_fees_are_its_own_and_its_share_of_the_closes() -> None:
    profits = compute_profits([execution("a", 1, 1, 100.0), execution("b", 2, 3, 100.0), close("c", 3, 4, 100.0)])
    assert profits["a"].fees_usd == pytest.approx(1.25)
    assert profits["b"].fees_usd == pytest.approx(1.75)


def test_a_fee_that_nobody_logged_is_not_0() -> None:
    profits = compute_profits([execution("a", 1, 1, 100.0, fees_usd=None)])
    assert profits["a"].fees_usd is None


def test_closing_what_was_held_before_the_history_earns_nobody_anything() -> None:
    profits = compute_profits([close("c", 1, 5, 100.0), execution("a", 2, 1, 100.0), close("d", 3, 5, 110.0)])
    assert profits["a"].price_usd == 10


def test_symbols_and_sides_do_not_mix() -> None:
    profits = compute_profits(
        [
            execution("long", 1, 1, 100.0),
            execution("short", 2, 1, 100.0, side=Side.SELL),
            execution("eth", 3, 1, 10.0, symbol="ETHUSDT"),
            close("c", 4, 1, 110.0),
        ]
    )
    assert profits["long"].price_usd == 10
    assert profits["short"].price_usd == profits["short"].open_usd == -10
    assert profits["eth"].price_usd == 0
