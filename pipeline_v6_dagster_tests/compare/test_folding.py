"""Order events to live orders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.compare.evidence import classify_outcome
from pipeline_v6_dagster.compare.folding import adopt_order, fold_event, group_key, merge_orders, start_order
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import LiveOutcome
from pipeline_v6_dagster.domain.live import IntentOrders, OrderStatus
from pipeline_v6_dagster_tests.live_builders import SYMBOL, T0, ack, fill, flat, folded

PARTLY = OrderStatus.PARTIALLY_FILLED


def test_cumulative_fills_of_one_order_are_not_summed() -> None:
    order = folded(ack(1), fill(2, qty=2.0, status=PARTLY), fill(3, qty=3.5, status=PARTLY), fill(4, qty=5.0))
    (leg,) = order.legs
    assert leg.executed_qty == 5.0
    assert leg.requested_qty == 5.0
    assert leg.status is OrderStatus.FILLED


@given(st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=1, max_size=6))
def test_repeating_rows_changes_nothing_but_the_time_last_seen(quantities: list[float]) -> None:
    rows = [ack(1), *(fill(2 + at, qty=qty, status=PARTLY) for at, qty in enumerate(sorted(quantities)))]
    once, twice = folded(*rows), folded(*rows, *rows[1:])
    assert once == twice


def test_the_last_fill_is_the_last_one_that_filled_something() -> None:
    order = folded(ack(1), fill(2, qty=2.0, status=PARTLY), fill(30, qty=2.0, status=PARTLY))
    assert order.legs[0].last_fill_ts == T0 + 2
    assert order.last_ts == T0 + 30


def test_a_poll_that_is_logged_too_late_takes_nothing_back() -> None:
    order = folded(ack(1), fill(2, qty=5.0), fill(3, qty=2.0, avg_price=90.0, status=PARTLY))
    (leg,) = order.legs
    assert (leg.executed_qty, leg.avg_price, leg.status) == (5.0, 100.0, OrderStatus.FILLED)


def test_a_repeat_may_add_what_was_not_known() -> None:
    order = folded(ack(1), fill(2, avg_price=None, fees_usd=None), fill(3, avg_price=101.0), fill(4, avg_price=None))
    assert (order.legs[0].avg_price, order.legs[0].fees_usd) == (101.0, 0.25)


def test_the_price_of_a_smaller_fill_is_not_that_of_a_larger_one() -> None:
    order = folded(ack(1), fill(2, qty=2.0, avg_price=90.0, status=PARTLY), fill(3, qty=5.0, avg_price=None))
    assert order.legs[0].avg_price is None


def test_a_fill_before_its_ack_keeps_both() -> None:
    order = folded(fill(1, qty=4.0), ack(2, qty=5.0))
    (leg,) = order.legs
    assert (leg.requested_qty, leg.executed_qty, leg.status) == (5.0, 4.0, OrderStatus.FILLED)
    assert (leg.first_ts, leg.first_ack_ts, leg.last_fill_ts) == (T0 + 1, T0 + 2, T0 + 1)


def test_an_ack_that_says_filled_is_final_only_with_its_fill() -> None:
    acked = ack(1, status=OrderStatus.FILLED)
    assert not folded(acked).legs[0].is_final
    assert folded(acked, fill(2)).legs[0].is_final
    assert not folded(acked, fill(2, qty=2.0, status=PARTLY)).legs[0].is_final


def test_a_cancelled_maker_and_its_taker_are_two_legs_of_one_order() -> None:
    order = folded(
        ack(1, order_id="7"),
        fill(2, order_id="7", qty=2.0, status=OrderStatus.CANCELED),
        ack(3, order_id="8", qty=3.0),
        fill(4, order_id="8", qty=3.0),
    )
    assert [(leg.order_id, leg.executed_qty, leg.status) for leg in order.legs] == [
        ("7", 2.0, OrderStatus.CANCELED),
        ("8", 3.0, OrderStatus.FILLED),
    ]


@pytest.mark.parametrize("is_flagged", [True, False])
def test_a_leg_is_reduce_only_by_its_flag_or_by_its_suffix(is_flagged: bool) -> None:
    reduce = ack(1, order_id="7", attempt_id=None if is_flagged else "sig_1_reduce", is_reduce_only=is_flagged)
    order = folded(reduce, ack(2, order_id="8"))
    assert [leg.is_reduce_only for leg in order.legs] == [True, False]


def test_the_reduce_leg_belongs_to_its_attempt_where_there_is_no_intent() -> None:
    reduce = ack(1, intent_id=None, attempt_id="sig_1_reduce")
    assert group_key(reduce) == group_key(ack(2, intent_id=None, attempt_id="sig_1"))
    assert start_order(reduce).attempt_id == "sig_1"


def test_order_ids_repeat_across_intents_without_meeting() -> None:
    assert group_key(ack(1, "1", order_id="1")) != group_key(ack(1, "2", order_id="1"))


def test_orders_without_ids_are_told_apart_by_symbol_side_and_order_id() -> None:
    events = [
        ack(1, None),
        ack(1, None, order_id="2"),
        ack(1, None, side=Side.SELL),
        ack(1, None, symbol="ETHUSDT"),
    ]
    assert len({group_key(event) for event in events}) == len(events)


def test_an_ack_without_symbol_takes_it_from_a_later_event() -> None:
    order = folded(ack(1, symbol=None, side=None), fill(2))
    assert (order.symbol, order.side) == (SYMBOL, Side.BUY)


def test_a_flat_row_is_an_order_by_itself() -> None:
    (leg,) = folded(flat(1, gross_usd=480.0)).legs
    assert leg.gross_usd == 480.0
    assert leg.is_final


def test_a_flat_row_that_the_exchange_refused_was_not_executed() -> None:
    order = folded(flat(1, requested_qty=5.0, status=OrderStatus.REJECTED))
    assert order.legs[0].executed_qty is None
    assert classify_outcome(order) is LiveOutcome.ERROR


def test_an_adopted_fill_is_a_leg_of_the_order_that_its_ack_names() -> None:
    order = folded(ack(2, symbol=None, side=None))
    adopt_order(order, folded(fill(1, None)))
    assert order == folded(fill(1), ack(2))


def as_whole_and_in_parts(cut: int) -> tuple[IntentOrders, IntentOrders]:
    rows = [
        ack(1, order_id="7"),
        fill(2, order_id="7", qty=1.0, status=PARTLY),
        fill(3, order_id="7", qty=2.0, status=PARTLY),
        fill(4, order_id="7", qty=2.0, status=OrderStatus.CANCELED),
        ack(5, order_id="8", qty=3.0),
        fill(6, order_id="8", qty=3.0),
        fill(7, order_id="8", qty=3.0),
    ]
    known, late = folded(*rows[:cut]), folded(*rows[cut:])
    return folded(*rows), merge_orders(tuple(known.legs), late)


@pytest.mark.parametrize("cut", range(1, 7))
def test_what_comes_late_merges_into_what_was_known_as_if_it_had_been_in_time(cut: int) -> None:
    whole, merged = as_whole_and_in_parts(cut)
    assert merged == whole


def test_folding_in_place_touches_no_other_leg() -> None:
    order = folded(ack(1, order_id="7"), ack(2, order_id="8"))
    before = order.legs[0]
    fold_event(order, fill(3, order_id="8"))
    assert order.legs[0] == before
    assert order.legs[1].executed_qty == 5.0
