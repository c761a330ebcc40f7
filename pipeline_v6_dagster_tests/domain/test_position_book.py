"""What is held after fills, closes and snapshots, in one-way and in hedge mode."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.position_book import ENDED_KEEP_S, MAX_DROPPED, PositionBook, order_key
from pipeline_v6_dagster.domain.position_state import PositionRow, PositionState
from pipeline_v6_dagster_tests.builders import SYMBOL, unhurried

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def row(position_side: PositionSide, qty: float, *, is_net: bool = False, entry_price: float = 1.0) -> PositionRow:
    return PositionRow(symbol=SYMBOL, position_side=position_side, qty=qty, entry_price=entry_price, is_net=is_net)


def flat_book() -> PositionBook:
    book = PositionBook()
    book.flat(SYMBOL, 0.0)
    return book


def held(book: PositionBook) -> tuple[float | None, float | None]:
    return book.held(SYMBOL, LONG), book.held(SYMBOL, SHORT)


def test_nothing_is_known_of_a_symbol_that_no_log_has_told_of() -> None:
    book = PositionBook()
    assert held(book) == (None, None)
    assert book.net(SYMBOL) is None
    assert book.supposed(SYMBOL, LONG) is None


def test_fills_without_a_known_start_are_supposed_and_not_known() -> None:
    book = PositionBook()
    book.fill(SYMBOL, "1|", 1.0, BUY, None, 2.0)
    assert held(book) == (None, None)
    assert (book.supposed(SYMBOL, LONG), book.supposed(SYMBOL, SHORT)) == (2.0, 0.0)
    book.close(SYMBOL, "2|", 2.0, LONG, 2.0, 0.0)
    book.close(SYMBOL, "3|", 2.0, SHORT, 2.0, 0.0)
    assert held(book) == (0.0, 0.0)


def test_in_one_way_mode_a_sell_reduces_the_long_before_it_opens_a_short() -> None:
    book = flat_book()
    book.fill(SYMBOL, "1|", 1.0, BUY, None, 3.0)
    book.fill(SYMBOL, "2|", 2.0, SELL, None, 5.0)
    assert held(book) == (0.0, 2.0)
    assert book.net(SYMBOL) == -2.0
    assert book.held(SYMBOL, None) == 2.0
    book.fill(SYMBOL, "3|", 3.0, BUY, None, 2.0)
    assert held(book) == (0.0, 0.0)


def test_in_hedge_mode_each_side_is_changed_by_its_own_fills() -> None:
    book = flat_book()
    book.fill(SYMBOL, "1|", 1.0, BUY, LONG, 3.0)
    book.fill(SYMBOL, "2|", 2.0, SELL, SHORT, 5.0)
    assert held(book) == (3.0, 5.0)
    book.fill(SYMBOL, "3|", 3.0, SELL, LONG, 1.0)
    book.fill(SYMBOL, "4|", 4.0, BUY, SHORT, 9.0)
    assert held(book) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("side", "position_side", "reducible"),
    [(SELL, None, 3.0), (BUY, None, 0.0), (SELL, LONG, 3.0), (BUY, LONG, 0.0), (BUY, SHORT, 0.0), (SELL, SHORT, 0.0)],
)
def test_an_order_reduces_the_position_against_it(
    side: Side, position_side: PositionSide | None, reducible: float
) -> None:
    book = flat_book()
    book.fill(SYMBOL, "1|", 1.0, BUY, None if position_side is None else LONG, 3.0)
    assert book.reducible(SYMBOL, side, position_side) == reducible


def test_a_cumulative_fill_counts_once_however_many_orders_came_between() -> None:
    book = flat_book()
    for number in range(100):
        book.fill(SYMBOL, f"{number}|", 1.0 + number, BUY, None, 1.0, is_ended=True)
    for number in range(100):
        book.fill(SYMBOL, f"{number}|", 200.0 + number, BUY, None, 1.0, is_ended=True)
    assert book.held(SYMBOL, LONG) == 100.0


def test_orders_are_dropped_some_time_after_they_ended_and_partly_filled_ones_are_not() -> None:
    book = flat_book()
    book.fill(SYMBOL, "resting|", 1.0, BUY, None, 1.0)
    for number in range(1000):
        book.fill(SYMBOL, f"{number}|", 2.0 + number * ENDED_KEEP_S, BUY, None, 1.0, is_ended=True)
    assert len(book.state.symbols[SYMBOL].orders) < 50
    book.fill(SYMBOL, "resting|", 1001 * ENDED_KEEP_S, BUY, None, 1.5)
    assert book.held(SYMBOL, LONG) == 1001.5


def test_an_ended_order_that_is_polled_after_hundreds_of_others_counts_once() -> None:
    book = flat_book()
    for number in range(1000):
        book.place(SYMBOL, f"{number}|sig_{number}", 1.0 + number)
        book.fill(SYMBOL, f"{number}|sig_{number}", 1.5 + number, BUY, None, 1.0, is_ended=True)
    assert len(book.state.symbols[SYMBOL].orders) < 300
    book = PositionBook(msgspec.json.decode(msgspec.json.encode(book.state), type=PositionState))
    for number in range(1000):
        assert not book.place(SYMBOL, f"{number}|sig_{number}", 1100.0, says_new=False)
        assert not book.fill(SYMBOL, f"{number}|sig_{number}", 1100.0, BUY, None, 1.0, is_ended=True).is_new_order
    assert book.held(SYMBOL, LONG) == 1000.0


def test_an_order_id_without_other_ids_that_comes_again_after_hundreds_of_others_is_another_order() -> None:
    book = flat_book()
    for number in range(1000):
        book.place(SYMBOL, f"{number}|", 1.0 + number)
        book.fill(SYMBOL, f"{number}|", 1.5 + number, BUY, None, 1.0, is_ended=True)
    assert not book.place(SYMBOL, "7|", 8.0)  # its own ack, shipped twice
    assert book.place(SYMBOL, "7|", 2000.0)
    assert book.fill(SYMBOL, "7|", 2001.0, BUY, None, 1.0, is_ended=True) == (1.0, False)
    assert book.fill(SYMBOL, "8|", 2002.0, BUY, None, 0.5, is_ended=True) == (0.5, True)
    assert book.held(SYMBOL, LONG) == 1001.5


def test_what_is_remembered_of_orders_that_were_dropped_is_bounded_in_number_and_time() -> None:
    book = flat_book()
    for number in range(2 * MAX_DROPPED):
        book.fill(SYMBOL, f"{number}|", 1.0 + number / 10, BUY, None, 1.0, is_ended=True)
    assert len(book.state.symbols[SYMBOL].dropped) == MAX_DROPPED
    for number in range(1000):
        book.fill(SYMBOL, f"late {number}|", 1000 * ENDED_KEEP_S, BUY, None, 1.0, is_ended=True)
    assert len(book.state.symbols[SYMBOL].dropped) < 1000


def test_the_first_fill_of_an_order_that_rested_while_hundreds_ended_counts() -> None:
    book = flat_book()
    book.place(SYMBOL, "resting|", 1.0)
    for number in range(1000):
        book.fill(SYMBOL, f"{number}|", 1.0 + number * 10, BUY, None, 1.0, is_ended=True)
    assert book.fill(SYMBOL, "resting|", 20_000.0, BUY, None, 2.0).qty == 2.0


def test_an_order_id_that_comes_again_is_another_order() -> None:
    book = flat_book()
    assert book.place(SYMBOL, "1|", 1.0)
    assert not book.place(SYMBOL, "1|", 1.5)
    assert book.fill(SYMBOL, "1|", 2.0, BUY, None, 3.0, is_ended=True) == (3.0, False)
    assert not book.place(SYMBOL, "1|", 1.0)
    assert not book.place(SYMBOL, "1|", 3.0, says_new=False)
    assert book.place(SYMBOL, "1|", 3.0)
    book.fill(SYMBOL, "1|", 4.0, BUY, None, 2.0, is_ended=True)
    assert book.held(SYMBOL, LONG) == 5.0
    assert book.fill(SYMBOL, "1|", 5.0, BUY, None, 1.0, is_ended=True) == (1.0, True)
    assert order_key("1", "ord_1", "sig_1") != order_key("1", "ord_2", "sig_2")


def test_a_smaller_fill_that_comes_late_is_no_other_order() -> None:
    book = flat_book()
    book.fill(SYMBOL, "1|sig_1", 2.0, BUY, None, 3.0, is_ended=True)
    book.fill(SYMBOL, "1|sig_1", 3.0, BUY, None, 1.0)
    book.fill(SYMBOL, "2|", 4.0, BUY, None, 3.0, is_ended=True)
    book.fill(SYMBOL, "2|", 4.0, BUY, None, 1.0)
    assert book.held(SYMBOL, LONG) == 6.0


def test_rows_of_one_snapshot_add_up_and_a_later_snapshot_replaces_them() -> None:
    book = PositionBook()
    book.snapshot(1.0, [row(LONG, 2.0), row(LONG, 2.0), row(SHORT, 1.0)])
    assert held(book) == (4.0, 1.0)
    book.snapshot(2.0, [row(LONG, 3.0)])
    assert held(book) == (3.0, 1.0)
    book.snapshot(1.5, [row(LONG, 9.0)])  # older than what is known
    assert held(book) == (3.0, 1.0)
    book.snapshot(2.0, [row(LONG, 3.0)])  # the same row again
    book.snapshot(2.0, [row(LONG, 3.0, entry_price=2.0)])  # another row of that time
    assert held(book) == (6.0, 1.0)


def test_rows_of_a_net_position_add_up_with_their_signs() -> None:
    book = PositionBook()
    book.snapshot(1.0, [row(LONG, 2.0, is_net=True), row(SHORT, 5.0, is_net=True)])
    assert held(book) == (0.0, 3.0)
    book.snapshot(2.0, [row(LONG, 1.0, is_net=True)])
    assert held(book) == (1.0, 0.0)


@pytest.mark.parametrize("is_fill_first", [True, False])
def test_a_snapshot_holds_the_fills_that_were_logged_up_to_it(is_fill_first: bool) -> None:
    book = PositionBook()
    if is_fill_first:
        book.fill(SYMBOL, "1|", 5.0, BUY, LONG, 2.0)
    book.snapshot(5.0, [row(LONG, 7.0)])
    if not is_fill_first:
        book.fill(SYMBOL, "1|", 5.0, BUY, LONG, 2.0)
    assert book.held(SYMBOL, LONG) == 7.0
    book.fill(SYMBOL, "1|", 6.0, BUY, LONG, 3.0)
    assert book.held(SYMBOL, LONG) == 8.0


def test_of_one_side_alone_the_other_follows_in_one_way_mode_only() -> None:
    book = PositionBook()
    book.snapshot(1.0, [row(LONG, 7.0)])
    assert held(book) == (7.0, None)
    book.fill(SYMBOL, "1|", 2.0, SELL, None, 9.0)
    assert held(book) == (0.0, 2.0)
    hedged = PositionBook()
    hedged.snapshot(1.0, [row(LONG, 7.0)])
    hedged.fill(SYMBOL, "1|", 2.0, SELL, LONG, 1.0)
    assert held(hedged) == (6.0, None)


def test_a_fill_logged_after_its_close_is_in_what_the_close_left() -> None:
    book = PositionBook()
    book.snapshot(1.0, [row(LONG, 3.0), row(SHORT, 0.0)])
    assert book.close(SYMBOL, "1|", 2.0, LONG, 1.0, 2.0)
    assert not book.close(SYMBOL, "1|", 2.5, LONG, 1.0, 2.0)
    book.fill(SYMBOL, "1|", 3.0, SELL, LONG, 1.0)
    assert held(book) == (2.0, 0.0)


def test_a_fill_of_an_unknown_direction_makes_the_position_unknown() -> None:
    book = flat_book()
    book.fill(SYMBOL, "1|", 1.0, None, LONG, 1.0)
    assert held(book) == (None, 0.0)
    book.fill(SYMBOL, "2|", 1.0, None, None, 1.0)
    assert held(book) == (None, None)


def test_a_reduce_only_order_opens_what_it_executes_beyond_a_known_position_only() -> None:
    book = flat_book()
    book.fill(SYMBOL, "1|", 1.0, SELL, None, 1.0, is_reduce_only=True)
    assert held(book) == (0.0, 1.0)
    book = PositionBook()
    book.fill(SYMBOL, "1|", 1.0, SELL, None, 1.0, is_reduce_only=True)
    assert book.supposed(SYMBOL, SHORT) == 0.0


def test_a_flat_start_is_taken_where_nothing_was_filled_since_and_nothing_is_known() -> None:
    book = PositionBook()
    book.fill(SYMBOL, "1|", 5.0, BUY, None, 2.0)
    book.flat(SYMBOL, 4.0)
    assert held(book) == (None, None)
    book.flat(SYMBOL, 5.0)
    assert held(book) == (0.0, 0.0)
    book.fill(SYMBOL, "2|", 6.0, BUY, None, 2.0)
    book.flat(SYMBOL, 7.0)
    assert held(book) == (2.0, 0.0)


def test_rounding_leaves_nothing_of_a_position_that_was_closed() -> None:
    book = flat_book()
    for number, qty in enumerate((0.1, 0.2)):
        book.fill(SYMBOL, f"{number}|", 1.0, BUY, None, qty)
    book.fill(SYMBOL, "9|", 2.0, SELL, None, 0.3)
    assert held(book) == (0.0, 0.0)


@dataclass
class _Exchange:
    """Positions by the plain definition, of quantities in lots: every trade once, snapshots without an effect."""

    is_hedged: bool
    long: int = 0
    short: int = 0
    orders: list[tuple[Side, PositionSide | None, int]] = field(default_factory=list)

    def trade(self, side: Side, position_side: PositionSide | None, lots: int) -> int:
        sign = 1 if side is BUY else -1
        if position_side is LONG:
            lots = lots if sign > 0 else min(lots, self.long)
            self.long += sign * lots
        elif position_side is SHORT:
            lots = lots if sign < 0 else min(lots, self.short)
            self.short -= sign * lots
        else:
            net = self.long - self.short + sign * lots
            self.long, self.short = max(net, 0), max(-net, 0)
        return lots


steps = st.lists(
    st.tuples(
        st.sampled_from(["order", "more", "poll", "snapshot", "one_row", "resume"]),
        st.sampled_from([BUY, SELL]),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 9),
        st.integers(0, 10_000),
    ),
    max_size=120,
)


@unhurried
@given(steps, st.booleans(), st.booleans())
def test_positions_are_those_of_the_plain_definition(
    steps: list[tuple[str, Side, PositionSide, int, int]], is_hedged: bool, starts_flat: bool
) -> None:
    exchange = _Exchange(is_hedged)
    book = flat_book() if starts_flat else PositionBook()
    if not starts_flat:
        exchange.long = 5
        book.snapshot(0.0, [row(LONG, 0.5), row(SHORT, 0.0)])
    for number, (what, side, position_side, lots, pick) in enumerate(steps):
        ts = 1.0 + number
        named = position_side if is_hedged else None
        orders = exchange.orders
        if what == "order":
            done = exchange.trade(side, named, lots)
            orders.append((side, named, done))
            book.place(SYMBOL, f"{len(orders)}|", ts)
            book.fill(SYMBOL, f"{len(orders)}|", ts, side, named, done / 10)
        elif what in ("more", "poll") and orders:
            index = pick % len(orders)
            old_side, old_named, old = orders[index]
            if what == "more":
                old += exchange.trade(old_side, old_named, lots)
                orders[index] = (old_side, old_named, old)
            book.fill(SYMBOL, f"{index + 1}|", ts, old_side, old_named, old / 10)
        elif what == "snapshot":
            long, short = exchange.long / 10, exchange.short / 10
            book.snapshot(ts, [row(LONG, long / 2), row(LONG, long / 2), row(SHORT, short)])
        elif what == "one_row":
            qty = exchange.long if position_side is LONG else exchange.short
            book.snapshot(ts, [row(position_side, qty / 10)])
        elif what == "resume":
            book = PositionBook(msgspec.json.decode(msgspec.json.encode(book.state), type=PositionState))
        assert book.held(SYMBOL, LONG) == pytest.approx(exchange.long / 10)
        assert book.held(SYMBOL, SHORT) == pytest.approx(exchange.short / 10)
