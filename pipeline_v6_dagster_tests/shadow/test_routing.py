from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.account import RoutingRecord
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.decision import Route, RouteQuality, RouterDecision, SizeDecision
from pipeline_v6_dagster.shadow.routing import MAKER_FILL_SHARE, RecordRouter, rate_quality
from pipeline_v6_dagster_tests.builders import intent, limits, unhurried

SIZE = SizeDecision(500.0, 5.0, ())
NOTHING = RoutingRecord()
# Twenty taker orders, all filled, at a cost of 4 bps in the median and 8 at worst.
TAKER = RoutingRecord(
    taker_orders=20,
    taker_fill_share=1.0,
    maker_orders=0,
    maker_fill_share=None,
    fallback_share=None,
    maker_slippage_p50_bps=None,
    taker_slippage_p50_bps=4.0,
    taker_slippage_p90_bps=8.0,
)
# As many maker orders besides, of which eight in ten were filled a bp better than asked for.
MAKER = replace(TAKER, maker_orders=20, maker_fill_share=0.8, fallback_share=0.2, maker_slippage_p50_bps=-1.0)


def routed(
    side: Side,
    slippage_bps: float = 10.0,
    maker_bps: float = -1.0,
    taker_bps: float = 5.0,
    record: RoutingRecord = NOTHING,
    tick_size: float | None = None,
) -> RouterDecision:
    entry = {} if tick_size is None else {"tick_size": tick_size}
    fees = {"expected_slippage_bps": slippage_bps, "maker_fee_bps": maker_bps, "taker_fee_bps": taker_bps}
    return RecordRouter(limits(fees, **entry)).route_order(intent(side=side), SIZE, record)


def test_without_a_record_of_its_fills_it_crosses_the_spread_and_says_that_it_does_not_know_better() -> None:
    route = routed(Side.BUY)
    assert (route.route, route.offset_bps) == (Route.TAKER, 0.0)
    assert (route.policy.maker_first, route.policy.taker_bias) == (False, 1.0)
    assert route.policy.quality is RouteQuality.DEGRADED
    assert route.record == NOTHING


def test_a_buy_expects_to_pay_more_and_a_sell_to_get_less() -> None:
    buy, sell = routed(Side.BUY), routed(Side.SELL)
    assert buy.expected_px == pytest.approx(100.1)
    assert sell.expected_px == pytest.approx(99.9)
    assert buy.expected_slippage_bps == sell.expected_slippage_bps == 10.0


def test_fees_worsen_and_rebates_better_the_effective_price_of_either_side() -> None:
    buy, sell = routed(Side.BUY), routed(Side.SELL)
    assert buy.effective_px.taker == pytest.approx(100.1 * 1.0005)
    assert buy.effective_px.maker == pytest.approx(100.1 * 0.9999)
    assert sell.effective_px.taker == pytest.approx(99.9 * 0.9995)
    assert sell.effective_px.maker == pytest.approx(99.9 * 1.0001)


def test_the_defaults_are_no_slippage_and_fees_of_two_and_five_bps() -> None:
    route = RecordRouter(limits()).route_order(intent(), SIZE, NOTHING)
    assert (route.expected_px, route.expected_slippage_bps) == (100.0, 0.0)
    assert (route.effective_px.maker, route.effective_px.taker) == pytest.approx((100.02, 100.05))


def test_what_was_measured_is_expected_once_there_is_enough_of_it() -> None:
    assert routed(Side.BUY, record=TAKER).expected_slippage_bps == 4.0
    assert routed(Side.BUY, record=replace(TAKER, taker_orders=19)).expected_slippage_bps == 10.0
    assert routed(Side.BUY, record=replace(TAKER, taker_slippage_p50_bps=None)).expected_slippage_bps == 10.0


def test_an_order_rests_where_resting_orders_were_filled() -> None:
    route = routed(Side.BUY, record=MAKER)
    assert (route.route, route.policy.maker_first) == (Route.MAKER, True)
    assert route.policy.taker_bias == pytest.approx(0.2)
    assert route.offset_bps == 2.0  # half of what crossing costs
    assert route.expected_px == pytest.approx(99.98)
    assert route.expected_slippage_bps == pytest.approx(0.8 * -1.0 + 0.2 * 4.0)
    assert routed(Side.SELL, record=MAKER).expected_px == pytest.approx(100.02)


def test_a_resting_price_stands_on_a_tick_on_its_own_side() -> None:
    assert routed(Side.BUY, record=MAKER, tick_size=0.05).expected_px == 99.95
    assert routed(Side.SELL, record=MAKER, tick_size=0.05).expected_px == 100.05


@pytest.mark.parametrize(
    "record",
    [
        replace(MAKER, maker_orders=19),
        replace(MAKER, maker_fill_share=MAKER_FILL_SHARE - 0.01),
        replace(MAKER, taker_slippage_p90_bps=30.0),
        replace(MAKER, taker_fill_share=0.4),
    ],
)
def test_an_order_crosses_where_resting_did_not_pay(record: RoutingRecord) -> None:
    assert routed(Side.BUY, record=record).route is Route.TAKER


@pytest.mark.parametrize(
    ("record", "quality"),
    [
        (NOTHING, RouteQuality.DEGRADED),
        (replace(TAKER, taker_orders=19), RouteQuality.DEGRADED),
        (TAKER, RouteQuality.GOOD),
        (replace(TAKER, taker_slippage_p90_bps=10.0), RouteQuality.GOOD),
        (replace(TAKER, taker_slippage_p90_bps=10.1), RouteQuality.OK),
        (replace(TAKER, taker_slippage_p90_bps=25.0), RouteQuality.OK),
        (replace(TAKER, taker_slippage_p90_bps=25.1), RouteQuality.DEGRADED),
        (replace(TAKER, taker_slippage_p90_bps=None), RouteQuality.DEGRADED),
        (replace(TAKER, taker_slippage_p50_bps=50.0, taker_slippage_p90_bps=60.0), RouteQuality.DEGRADED),
        (replace(TAKER, taker_slippage_p50_bps=50.1, taker_slippage_p90_bps=60.0), RouteQuality.BROKEN),
        (replace(TAKER, taker_fill_share=0.5), RouteQuality.GOOD),
        (replace(TAKER, taker_fill_share=0.49), RouteQuality.BROKEN),
        (replace(MAKER, maker_fill_share=0.6), RouteQuality.GOOD),
        (replace(MAKER, maker_fill_share=0.59), RouteQuality.OK),
    ],
)
def test_the_quality_of_a_record(record: RoutingRecord, quality: RouteQuality) -> None:
    assert rate_quality(record) is quality


@unhurried
@given(st.sampled_from(Side), st.floats(0, 500), st.floats(0, 50), st.floats(0, 50))
def test_a_cost_is_never_an_advantage(side: Side, slippage: float, fee: float, more: float) -> None:
    route = routed(side, slippage, fee, fee + more)
    sign = 1 if side is Side.BUY else -1
    assert sign * 100.0 <= sign * route.expected_px
    assert sign * route.expected_px <= sign * route.effective_px.maker <= sign * route.effective_px.taker
