"""What the account is known to be after each event and attempt."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.account import Measured
from pipeline_v6_dagster.domain.account_events import (
    AccountEvent,
    ExecutionMetrics,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionReduced,
    PositionsSnapshot,
)
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.limits import MAX_COUNTED
from pipeline_v6_dagster.domain.live import OrderStatus
from pipeline_v6_dagster.domain.position_state import PositionRow
from pipeline_v6_dagster.domain.risk import RiskState
from pipeline_v6_dagster.shadow.attempt_window import MAX_ATTEMPTS
from pipeline_v6_dagster.shadow.rolling import RollingState
from pipeline_v6_dagster.shadow.route_record import MAX_ORDERS, WINDOW_S, FillStats, quantile
from pipeline_v6_dagster_tests.builders import AS_OF, NAV_USD, SYMBOL, account, intent, limits, unhurried, utc_day

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
EVERYTHING = limits(
    {
        "burst_limit": {"window_sec": 10, "max_orders": 3},
        "circuit_breaker": {"window_sec": 10, "max_errors": 3},
        "duplicate_window_sec": 10,
    }
)


def fill(
    ts: float,
    qty: float,
    side: Side | None = BUY,
    order_id: str = "1",
    reduces: bool = False,
    status: OrderStatus | None = None,
) -> OrderFilled:
    return OrderFilled(
        ts=ts,
        symbol=SYMBOL,
        order_key=f"{order_id}|",
        is_reduce_only=reduces,
        side=side,
        position_side=None,
        executed_qty=qty,
        avg_price=101.0,
        status=status,
    )


def placed(ts: float, order_id: str, reduces: bool = False, symbol: str = SYMBOL) -> OrderPlaced:
    return OrderPlaced(
        ts=ts,
        symbol=symbol,
        order_key=f"{order_id}|",
        is_reduce_only=reduces,
        side=BUY,
        position_side=None,
        requested_qty=2.0,
        status=OrderStatus.NEW,
    )


def closed(ts: float, order_id: str, pnl_usd: float | None, remaining_qty: float = 0.0) -> PositionReduced:
    return PositionReduced(
        ts=ts,
        symbol=SYMBOL,
        order_key=f"{order_id}|",
        position_side=LONG,
        closed_qty=1.0,
        remaining_qty=remaining_qty,
        pnl_usd=pnl_usd,
    )


def snapshot(
    ts: float, position_side: PositionSide, qty: float, entry_price: float | None = None, is_net: bool = False
) -> PositionsSnapshot:
    return PositionsSnapshot(
        ts, (PositionRow(symbol=SYMBOL, position_side=position_side, qty=qty, entry_price=entry_price, is_net=is_net),)
    )


def seen(known: RollingState, as_of: float = AS_OF, has_position: bool | None = True, side: Side = BUY) -> RiskState:
    return known.risk_state(intent(side=side), as_of, 0.0, 0.0, has_position)


def noted(known: RollingState, as_of: float, intent_id: str | None = None, nav_usd: float | None = NAV_USD) -> None:
    known.note_attempt(as_of, SYMBOL, BUY, 5.0, intent_id, nav_usd)


def test_of_nothing_nothing_is_known() -> None:
    found = seen(account(EVERYTHING), has_position=None)
    assert found == RiskState(
        as_of=AS_OF, nav_age_s=0.0, portfolio_gross_usd=0.0, has_position=None, is_in_trade=None, peak_nav_usd=NAV_USD
    )


# Positions.


def test_fills_make_and_reduce_a_position_and_polls_of_the_same_fill_do_not() -> None:
    known = account(None, fill(1, 2.0), fill(2, 2.0), fill(3, 3.0), fill(4, 1.0, order_id="2"))
    assert known.held_qty(SYMBOL, BUY) == 4.0
    assert known.held_qty(SYMBOL, SELL) == 0.0
    known.apply(fill(5, 1.5, SELL, "3", reduces=True))
    assert known.held_qty(SYMBOL, BUY) == 2.5
    known.apply(fill(6, 2.5, SELL, "4", reduces=True))
    assert known.held_qty(SYMBOL, BUY) == 0.0


def test_an_order_id_that_comes_again_is_another_order() -> None:
    known = account(None, placed(1, "1"), fill(2, 3.0, status=OrderStatus.FILLED), placed(3, "1"))
    known.apply(fill(4, 2.0, status=OrderStatus.FILLED))
    assert known.held_qty(SYMBOL, BUY) == 5.0
    known.apply(fill(5, 1.0))  # less than before the end, without an ack: another order as well
    assert known.held_qty(SYMBOL, BUY) == 6.0
    assert len(known.state.symbols[SYMBOL].opening_ts) == 3


def test_in_hedge_mode_each_side_has_fills_of_its_own() -> None:
    known = account(None, snapshot(1, LONG, 2.0), snapshot(1, SHORT, 0.0))
    known.apply(
        OrderFilled(
            ts=2,
            symbol=SYMBOL,
            order_key="1|",
            is_reduce_only=False,
            side=SELL,
            position_side=SHORT,
            executed_qty=3.0,
            avg_price=100.0,
            status=None,
        )
    )
    assert (known.held_qty(SYMBOL, BUY), known.held_qty(SYMBOL, SELL)) == (2.0, 3.0)


def test_a_snapshot_says_what_is_held_whatever_the_fills_came_to() -> None:
    known = account(None, fill(1, 2.0), snapshot(2, LONG, 7.0, 100.0))
    assert (known.held_qty(SYMBOL, BUY), known.held_qty(SYMBOL, SELL)) == (7.0, 0.0)
    known.apply(snapshot(3, SHORT, 1.0, 100.0))
    assert (known.held_qty(SYMBOL, BUY), known.held_qty(SYMBOL, SELL)) == (7.0, 1.0)
    known.apply(snapshot(4, SHORT, 2.0, 100.0, is_net=True))
    assert (known.held_qty(SYMBOL, BUY), known.held_qty(SYMBOL, SELL)) == (0.0, 2.0)
    both = (
        PositionRow(symbol=SYMBOL, position_side=LONG, qty=3.0, entry_price=100.0, is_net=False),
        PositionRow(symbol=SYMBOL, position_side=SHORT, qty=0.0, entry_price=None, is_net=False),
    )
    known.apply(PositionsSnapshot(5, both))
    assert (known.held_qty(SYMBOL, BUY), known.held_qty(SYMBOL, SELL)) == (3.0, 0.0)


def test_a_close_says_what_is_left() -> None:
    known = account(None, fill(1, 2.0), closed(2, "9", 1.0, 0.5))
    assert known.held_qty(SYMBOL, BUY) == 0.5


@pytest.mark.parametrize(
    ("events", "has_position", "is_in_trade"),
    [
        ((), False, False),
        ((), True, None),
        ((), None, None),
        ((fill(1, 2.0),), True, True),
        ((fill(1, 2.0),), None, True),
        ((fill(1, 2.0),), False, False),  # the account's own snapshot is newer than the logs
        ((fill(1, 2.0, SELL),), True, False),
        ((fill(1, 2.0, SELL),), None, False),
        ((snapshot(1, LONG, 0.0, None),), True, None),
        ((snapshot(1, LONG, 0.0, None),), None, False),
        ((fill(1, 2.0, None),), True, None),
    ],
)
def test_whether_the_direction_is_held(
    events: tuple[AccountEvent, ...], has_position: bool | None, is_in_trade: bool | None
) -> None:
    assert seen(account(None, *events), has_position=has_position).is_in_trade is is_in_trade


def test_gross_exposure_is_what_is_held_at_the_newest_price_and_unknown_without_one() -> None:
    assert account().gross_usd() is None
    assert account(None, snapshot(1, LONG, 0.0, None)).gross_usd() == {}
    assert account(None, snapshot(1, LONG, 2.0, None)).gross_usd() is None
    known = account(None, snapshot(1, LONG, 2.0, 100.0), snapshot(2, SHORT, 1.0, 90.0))
    assert known.gross_usd() == {SYMBOL: 300.0}
    known.apply(
        ExecutionMetrics(
            ts=3, symbol=SYMBOL, intent_id=None, is_maker=False, is_filled=None, slippage_bps=None, mark_price=110.0
        )
    )
    assert known.gross_usd() == {SYMBOL: 330.0}


# Times and counts.


def test_a_cooldown_counts_from_the_first_sight_of_a_fill() -> None:
    known = account(None, fill(AS_OF - 50, 2.0), fill(AS_OF - 10, 2.0))
    assert seen(known).since_fill_s == 50
    known.apply(fill(AS_OF - 5, 3.0))
    assert seen(known).since_fill_s == 5
    assert seen(known, AS_OF - 60).since_fill_s == 0  # a clock that is behind


def test_only_a_close_at_a_loss_starts_the_cooldown_after_one_and_a_repeated_row_is_one_close() -> None:
    known = account(None, closed(AS_OF - 9, "1", 5.0))
    assert seen(known).since_loss_s is None
    lost = closed(AS_OF - 7, "2", -5.0)
    for event in (lost, replace(lost, ts=AS_OF - 1)):
        known.apply(event)
    found = seen(known)
    assert (found.since_loss_s, found.day_pnl_usd) == (7, 0.0)


def test_opening_orders_of_the_last_hour_are_counted_once_each() -> None:
    known = account()
    for age_s, order_id, reduces in ((3700, "1", False), (3600, "2", False), (3599, "3", False), (9, "4", True)):
        known.apply(placed(AS_OF - age_s, order_id, reduces))
    known.apply(placed(AS_OF - 8, "3"))  # an ack that is polled
    known.apply(fill(AS_OF - 7, 1.0, order_id="5"))  # a fill before its ack
    known.apply(placed(AS_OF - 6, "6", symbol="OTHER"))
    assert seen(known).openings_last_hour == 2


def test_attempts_and_errors_are_counted_within_their_windows() -> None:
    known = account(EVERYTHING, *(OrderFailed(ts=AS_OF - age_s) for age_s in (11, 10, 9, 1)))
    for age_s in (11, 10, 9, 1, -3):
        noted(known, AS_OF - age_s)
    found = seen(known)
    assert (found.errors_in_window, found.orders_in_window) == (2, 3)


def test_an_intent_is_known_again_and_so_is_the_same_order() -> None:
    known = account(EVERYTHING)
    noted(known, AS_OF - 7, "ord_1")
    found = seen(known)
    assert (found.is_intent_seen, found.since_same_order_s) == (True, 7)
    other = known.risk_state(intent(600.0, intent_id="ord_2"), AS_OF, 0.0, 0.0, False)
    assert (other.is_intent_seen, other.since_same_order_s) == (False, None)
    assert not known.risk_state(intent(intent_id=None), AS_OF, 0.0, 0.0, False).is_intent_seen


def test_what_is_remembered_of_attempts_is_bounded() -> None:
    known = account(EVERYTHING)
    noted(known, AS_OF, "ord_1")
    noted(known, AS_OF, "ord_1")
    for number in range(MAX_ATTEMPTS - 1):
        noted(known, AS_OF + number / MAX_ATTEMPTS, f"other_{number}")
    assert seen(known).is_intent_seen  # the second time is still remembered
    noted(known, AS_OF, "one_more")
    found = seen(known)
    assert not found.is_intent_seen
    assert found.orders_in_window == MAX_ATTEMPTS


def test_what_is_remembered_of_orders_and_errors_is_bounded() -> None:
    known = account()
    for number in range(MAX_COUNTED * 2):
        known.apply(OrderFailed(ts=AS_OF + number))
        known.apply(placed(AS_OF + number / 1000, str(number)))
    assert len(known.state.error_ts) == len(known.state.symbols[SYMBOL].opening_ts) == MAX_COUNTED
    assert known.state.error_ts[0] == AS_OF + MAX_COUNTED


# Money.


def test_the_day_begins_at_the_desks_midnight() -> None:
    midnight = utc_day(AS_OF)[0]
    losses = [closed(midnight + s, str(s), -10.0) for s in (-1, 0, 899, 80_000)]
    known = account(None, *losses)
    assert seen(known, midnight + 86_399).day_pnl_usd == -30
    assert seen(known, midnight - 1).day_pnl_usd == -10
    assert seen(known, midnight + 86_400).day_pnl_usd == 0
    later = RollingState(limits(), lambda ts: (midnight + 900.0, midnight + 90_000.0), known.state)
    assert seen(later, midnight + 1000).day_pnl_usd == -10


def test_the_peak_is_the_highest_nav_of_an_attempt_this_one_included() -> None:
    known = account()
    assert seen(known).peak_nav_usd == NAV_USD
    for nav_usd in (9_000.0, 12_000.0, 11_000.0, None, 0.0, -5.0, float("nan")):
        noted(known, AS_OF, nav_usd=nav_usd)
    assert seen(known).peak_nav_usd == 12_000
    assert known.risk_state(intent(nav_usd=13_000.0), AS_OF, 0.0, 0.0, False).peak_nav_usd == 13_000
    assert known.risk_state(intent(nav_usd=None), AS_OF, 0.0, 0.0, False).peak_nav_usd == 12_000


def test_a_peak_counts_from_the_configured_time_on() -> None:
    rules = replace(limits(), peak_since=AS_OF)
    known = RollingState(rules, utc_day)
    noted(known, AS_OF - 1, nav_usd=20_000.0)
    assert seen(known, AS_OF - 1).peak_nav_usd == 20_000
    assert seen(known, AS_OF).peak_nav_usd == NAV_USD


# The router's record.


def measured(ts: float, slippage_bps: float | None, is_maker: bool = False, is_filled: bool = True) -> ExecutionMetrics:
    return ExecutionMetrics(
        ts=ts,
        symbol=SYMBOL,
        intent_id=f"ord_{ts}",
        is_maker=is_maker,
        is_filled=is_filled,
        slippage_bps=slippage_bps,
        mark_price=None,
    )


def test_the_record_counts_ended_orders_of_the_symbol_once_there_are_enough_and_of_all_before() -> None:
    known = account()
    for number in range(10):
        known.apply(measured(AS_OF + number, float(number)))
        known.apply(replace(measured(AS_OF + number, 50.0), symbol="OTHER"))
        known.apply(
            ExecutionMetrics(
                ts=AS_OF,
                symbol=SYMBOL,
                intent_id=None,
                is_maker=False,
                is_filled=None,
                slippage_bps=None,
                mark_price=None,
            )
        )  # open still
    assert known.routing_record(SYMBOL, AS_OF).taker_orders == 20
    for number in range(10):
        known.apply(measured(AS_OF + number, float(number)))
    record = known.routing_record(SYMBOL, AS_OF)
    assert (record.taker_orders, record.taker_slippage_p50_bps, record.taker_fill_share) == (20, 4.5, 1.0)


def test_a_taker_order_after_a_missed_maker_order_of_its_intent_is_a_fallback() -> None:
    known = account()
    for number in range(20):
        missed = replace(measured(AS_OF, None, is_maker=True, is_filled=number % 2 == 0), intent_id=str(number))
        known.apply(missed)
        known.apply(replace(missed, is_maker=False, is_filled=True, slippage_bps=1.0, intent_id="9"))
    record = known.routing_record(SYMBOL, AS_OF)
    assert (record.maker_orders, record.maker_fill_share, record.fallback_share) == (20, 0.5, 0.05)


def test_orders_older_than_seven_days_and_beyond_the_newest_two_hundred_do_not_count() -> None:
    window = FillStats([])
    for number in range(MAX_ORDERS + 5):
        window.add(
            Measured(ts=AS_OF + number, is_maker=False, is_filled=True, is_fallback=False, slippage_bps=float(number))
        )
    assert window.record(AS_OF).taker_orders == MAX_ORDERS
    record = window.record(AS_OF + 104 + WINDOW_S)
    assert (record.taker_orders, record.taker_slippage_p50_bps) == (101, 154.0)
    assert window.record(AS_OF + 1e9).taker_slippage_p50_bps is None


entries = st.builds(
    Measured,
    ts=st.floats(0, 1e6),
    is_maker=st.booleans(),
    is_filled=st.booleans(),
    is_fallback=st.booleans(),
    slippage_bps=st.none() | st.floats(-100, 100),
)


@unhurried
@given(st.lists(entries, max_size=30), st.lists(entries, max_size=30))
def test_a_window_is_the_same_whether_it_was_kept_or_made_again(before: list[Measured], after: list[Measured]) -> None:
    kept = FillStats(list(before))
    for one in after:
        kept.add(one)
    assert kept.record(0.0) == FillStats([*before, *after]).record(0.0)


@unhurried
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1))
def test_a_quantile_lies_between_its_neighbours(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = quantile(ordered, share)
    assert found is not None
    assert ordered[0] <= found <= ordered[-1]
    assert quantile(ordered, 0.0) == ordered[0]
    assert quantile(ordered, 1.0) == ordered[-1]
