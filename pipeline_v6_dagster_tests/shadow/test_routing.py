import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.decision import Route, RouteQuality, RouterDecision, SizeDecision
from pipeline_v6_dagster.shadow.routing import TakerRouter
from pipeline_v6_dagster_tests.builders import intent, limits, unhurried

SIZE = SizeDecision(500.0, 5.0, ())


def routed(side: Side, slippage_bps: float = 10.0, maker_bps: float = -1.0, taker_bps: float = 5.0) -> RouterDecision:
    rules = limits({"expected_slippage_bps": slippage_bps, "maker_fee_bps": maker_bps, "taker_fee_bps": taker_bps})
    return TakerRouter(rules).route_order(intent(side=side), SIZE)


def test_without_a_record_of_its_fills_it_crosses_the_spread_and_says_that_it_does_not_know_better() -> None:
    route = routed(Side.BUY)
    assert (route.route, route.offset_bps) == (Route.TAKER, 0.0)
    assert (route.policy.maker_first, route.policy.taker_bias) == (False, 1.0)
    assert route.policy.quality is RouteQuality.DEGRADED


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
    route = TakerRouter(limits()).route_order(intent(), SIZE)
    assert (route.expected_px, route.expected_slippage_bps) == (100.0, 0.0)
    assert (route.effective_px.maker, route.effective_px.taker) == pytest.approx((100.02, 100.05))


@unhurried
@given(st.sampled_from(Side), st.floats(0, 500), st.floats(0, 50), st.floats(0, 50))
def test_a_cost_is_never_an_advantage(side: Side, slippage: float, fee: float, more: float) -> None:
    route = routed(side, slippage, fee, fee + more)
    sign = 1 if side is Side.BUY else -1
    assert sign * 100.0 <= sign * route.expected_px
    assert sign * route.expected_px <= sign * route.effective_px.maker <= sign * route.effective_px.taker
