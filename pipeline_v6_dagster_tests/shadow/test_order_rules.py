"""The rules of exchange filters, regulation and exposure on its way: at, just below and just above their limits."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.domain.limits import DEFAULT_RULES, Limits, TradingState
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.risk import Outcome, RiskEngineV6, read_rules
from pipeline_v6_dagster_tests.builders import NAV_USD, intent, limits, state

R = DenyReason
WILD = [None, nan, inf, -inf]
PERCENTS = [(0.05, 5.0), (0.25, 25.0)]


def check(rules: Limits, order: OrderIntent, account: RiskState | None = None) -> RiskDecision:
    return RiskEngineV6(rules).check_order(order, account or state())


# Trading states.


def test_halted_denies_all_and_reducing_all_but_what_reduces() -> None:
    for word, opens, reduces in (("active", True, True), ("reducing", False, True), ("halted", False, False)):
        rules = limits({"trading_state": word})
        assert check(rules, intent()).allowed is opens
        assert check(rules, intent(reduce_only=True)).allowed is reduces
    assert check(limits({"trading_state": "halted"}), intent()).reasons == (R.TRADING_STATE,)


@pytest.mark.parametrize("of_limits", TradingState)
@pytest.mark.parametrize("of_rollout", TradingState)
def test_the_stricter_trading_state_of_limits_and_rollout_holds(
    of_limits: TradingState, of_rollout: TradingState
) -> None:
    engine = RiskEngineV6(limits({"trading_state": of_limits.value}))
    strictest = max(of_limits, of_rollout, key=list(TradingState).index)
    for is_reducing in (False, True):
        decision = engine.check_order(intent(reduce_only=is_reducing), state(trading_state=of_rollout))
        is_denied = strictest is TradingState.HALTED or (strictest is TradingState.REDUCING and not is_reducing)
        assert decision.reasons == ((DenyReason.TRADING_STATE,) if is_denied else ())
        if is_denied:
            assert decision.diagnostics[DenyReason.TRADING_STATE].observed == strictest.value


def test_the_stricter_trading_state_of_two_levels_holds() -> None:
    rules = limits({"trading_state": "active", "global": {"trading_state": "reducing"}})
    assert check(rules, intent()).reasons == (R.TRADING_STATE,)


# Reduce-only.


@pytest.mark.parametrize("position", [0.0, -1.0, nan, inf])
def test_reduce_only_without_a_position_is_invalid(position: float) -> None:
    decision = check(limits(), intent(reduce_only=True), state(position_qty=position))
    assert decision.reasons == (R.REDUCE_ONLY_INVALID,)
    assert decision.clamped_qty == 0


def test_reduce_only_on_an_unknown_position_is_allowed_with_a_warning() -> None:
    decision = check(limits({"max_gross_nav_pct": 0.01}), intent(9_000.0, reduce_only=True), state(position_qty=None))
    assert decision.allowed
    assert decision.warnings == (R.REDUCE_ONLY_INVALID,)


@pytest.mark.parametrize(("qty", "is_allowed"), [(49.9, True), (50.0, True), (50.0 + 1e-9, True), (60.0, True)])
def test_reduce_only_up_to_the_position_is_exempt_and_beyond_it_an_opening(qty: float, is_allowed: bool) -> None:
    order = intent(qty * 100, reduce_only=True)
    assert check(limits(), order, state(position_qty=50.0)).allowed is is_allowed


def test_what_exceeds_the_position_counts_against_the_caps_and_the_rest_passes() -> None:
    rules = limits({"max_trade_nav_pct": 5})  # 500 USD, 5 at 100
    decision = check(rules, intent(6_000.0, reduce_only=True), state(position_qty=50.0))
    assert decision.reasons == (R.TRADE_GT_MAX_TRADE_NAV_PCT,)
    assert decision.diagnostics[R.TRADE_GT_MAX_TRADE_NAV_PCT].observed == pytest.approx(1_000)
    assert decision.clamped_qty == pytest.approx(55.0)
    gated = check(limits({"trading_state": "reducing"}), intent(6_000.0, reduce_only=True), state(position_qty=50.0))
    assert gated.reasons == (R.TRADING_STATE,)
    assert gated.clamped_qty == pytest.approx(50.0)


def test_a_leverage_that_is_not_known_denies_only_where_a_limit_is_configured() -> None:
    order = intent(leverage=None)
    assert check(limits(), order).allowed
    assert check(limits({"max_leverage": 3}), order).reasons == (R.LEVERAGE_EXCEEDED,)
    assert check(limits({"max_leverage": 3}), replace(order, reduce_only=True)).allowed


# Prices.


@pytest.mark.parametrize("widest", [0.02, 2.0])
@pytest.mark.parametrize(("price", "is_allowed"), [(101.99, True), (102.0, True), (102.01, False), (97.9, False)])
def test_the_collar_as_fraction_and_percent(widest: float, price: float, is_allowed: bool) -> None:
    order = intent(qty=500 / price, price=price)
    for is_reduce_only in (False, True):
        decision = check(
            limits({"price_collar_pct": widest}),
            replace(order, reduce_only=is_reduce_only),
            state(reference_price=100.0),
        )
        assert decision.reasons == (() if is_allowed else (R.PRICE_COLLAR,))


def test_the_collar_is_on_at_ten_percent_and_denies_without_a_price_only_where_configured() -> None:
    order = intent(qty=500 / 50, price=50.0)
    assert check(limits(), order, state(reference_price=50_000.0)).reasons == (R.PRICE_COLLAR,)
    assert check(limits(), order, state(reference_price=45.5)).allowed
    for reference in (*WILD, 0.0):
        assert check(limits(), order, state(reference_price=reference)).allowed
        assert check(limits({"price_collar_pct": 10}), order, state(reference_price=reference)).reasons == (
            R.PRICE_COLLAR,
        )


@pytest.mark.parametrize("name", sorted(DEFAULT_RULES))
def test_a_rule_that_is_on_by_default_can_be_switched_off_by_name(name: str) -> None:
    order = intent(qty=100.0, quote_notional=5_000.0, price=60.0, symbol_open_qty=1.0)
    account = state(reference_price=100.0, is_in_trade=True)
    assert {reason.value for reason in check(limits(), order, account).reasons} == DEFAULT_RULES
    found = check(limits({"disabled_rules": [name]}), order, account).reasons
    assert {reason.value for reason in found} == DEFAULT_RULES - {name}


def test_a_rule_that_is_not_on_by_default_cannot_be_switched_off() -> None:
    with pytest.raises((ConfigError, ValueError), match="may name rules that are on by default"):
        limits({"disabled_rules": ["kill_switch"]})


@pytest.mark.parametrize(("side", "price", "is_allowed"), [
    (Side.BUY, 105.0, True), (Side.BUY, 105.01, False), (Side.BUY, 90.0, True),
    (Side.SELL, 95.0, True), (Side.SELL, 94.99, False), (Side.SELL, 109.0, True),
])  # fmt: skip
def test_percent_price_bounds_each_side(side: Side, price: float, is_allowed: bool) -> None:
    rules = limits(multiplier_up=1.05, multiplier_down=0.95)
    order = intent(qty=500 / price, price=price, side=side)
    assert check(rules, order, state(reference_price=100.0)).reasons == (() if is_allowed else (R.PERCENT_PRICE,))
    assert check(rules, order, state(reference_price=None)).reasons == (R.PERCENT_PRICE,)


@pytest.mark.parametrize(("notional", "is_allowed"), [(500.0, True), (476.2, True), (526.3, True), (470.0, False)])
def test_a_notional_that_quantity_and_price_do_not_come_to(notional: float, is_allowed: bool) -> None:
    decision = check(limits(), intent(qty=5.0, quote_notional=notional))
    assert decision.reasons == (() if is_allowed else (R.NOTIONAL_MISMATCH,))


# Exchange filters.


@pytest.mark.parametrize(("qty", "reasons"), [
    (0.99, (R.ORDER_QTY,)), (1.0, ()), (1.09, ()), (5.0, ()), (5.01, (R.ORDER_QTY,)),
])  # fmt: skip
def test_order_quantities(qty: float, reasons: tuple[DenyReason, ...]) -> None:
    rules = limits(min_qty=0.5, market_min_qty=1.0, max_qty=8, market_max_qty=5, step_size=0.1)
    for is_reduce_only in (False, True):
        decision = check(rules, intent(qty * 100, reduce_only=is_reduce_only))
        assert decision.reasons == reasons
        if qty > 5:
            assert decision.clamped_qty == pytest.approx(5.0)


def test_symbols_of_other_quote_currencies_are_denied() -> None:
    assert check(limits({"quote_symbols": ["USDT", "USDC"]}), intent()).allowed
    assert check(limits({"quote_symbols": ["USDC"]}), intent()).reasons == (R.QUOTE_NOT_ALLOWED,)
    assert check(limits({"quote_symbols": []}), intent()).reasons == (R.QUOTE_NOT_ALLOWED,)


@pytest.mark.parametrize(("leverage", "notional", "is_allowed"), [
    (3.0, 600.0, True), (3.1, 600.0, False), (3.1, 500.0, True), (5.0, 500.0, True), (5.1, 1.0, False),
    (None, 1.0, False), (nan, 1.0, False),
])  # fmt: skip
def test_leverage_brackets(leverage: float | None, notional: float, is_allowed: bool) -> None:
    brackets = [{"initialLeverage": 5, "notionalCap": 700}, {"initialLeverage": 3, "notionalCap": 800}]
    decision = check(
        limits(leverage_brackets=brackets), intent(notional, leverage=leverage, current_gross_notional=200.0)
    )
    assert decision.reasons == (() if is_allowed else (R.LEVERAGE_BRACKETS,))


def test_orders_on_their_way_are_limited_in_number() -> None:
    for count, is_allowed in ((1, True), (2, False), (3, False)):
        decision = check(limits({"max_open_orders": 2}), intent(), state(open_orders=count))
        assert decision.reasons == (() if is_allowed else (R.MAX_OPEN_ORDERS,))
    assert check(limits({"max_open_orders": 2}), intent(reduce_only=True), state(open_orders=9)).allowed


def test_positions_of_one_symbol() -> None:
    for others, most, is_allowed in ((0, 1, True), (1, 1, False), (1, 2, True), (0, 0, False)):
        rules = limits(caps={"max_concurrent_positions": most})
        decision = check(rules, intent(), state(other_positions=others))
        assert decision.reasons == (() if is_allowed else (R.MAX_CONCURRENT,))


# Caps: (limits, fields of the intent, fields of the state, the largest notional that passes, the reason).
CAPS: list[tuple[Limits, dict[str, Any], dict[str, Any], float, DenyReason]] = [
    (limits(own={"max_position_qty": 8}), {"symbol_open_qty": 2.0}, {"pending_qty": 1.0}, 500.0, R.MAX_POSITION),
    (
        limits({"max_position_usd": 800}),
        {"current_gross_notional": 100.0},
        {"pending_live_usd": 150.0, "pending_v6_usd": 50.0},
        500.0,
        R.MAX_POSITION,
    ),
    *(
        (limits({"max_margin_pct": share}), {"leverage": 4.0}, {"free_balance_usd": 500.0}, 500.0, R.MARGIN)
        for share in PERCENTS[1]
    ),
    *(
        (limits({"max_net_exposure_pct": share}), {}, {"net_usd": 2_000.0}, 500.0, R.NET_EXPOSURE_CAP)
        for share in PERCENTS[1]
    ),
    (limits({"max_net_exposure_pct": 4}), {}, {"net_usd": -100.0}, 500.0, R.NET_EXPOSURE_CAP),
    *(
        (
            limits({"symbol_notional_share_cap_pct": share}),
            {"current_gross_notional": 2_000.0},
            {"portfolio_gross_usd": 5_000.0},
            500.0,
            R.SYMBOL_SHARE_CAP,
        )
        for share in PERCENTS[1]
    ),
    (  # (2,000 + 500) of (9,500 + 500) is a quarter
        limits({"symbol_notional_share_cap_pct": 25, "trade_equity_nav_pct": 100, "max_trade_nav_pct": 100}),
        {"current_gross_notional": 2_000.0, "nav_usd": 100.0 + NAV_USD / 2},
        {"portfolio_gross_usd": 9_500.0},
        500.0,
        R.SYMBOL_SHARE_CAP,
    ),
]
EACH_CAP = pytest.mark.parametrize(("rules", "asked", "known", "largest", "reason"), CAPS)


@EACH_CAP
def test_an_order_at_its_cap_passes_and_one_above_is_clamped_to_it(
    rules: Limits, asked: dict[str, Any], known: dict[str, Any], largest: float, reason: DenyReason
) -> None:
    for share in (0.999, 1.0):
        assert check(rules, intent(largest * share, **asked), state(**known)).allowed
    decision = check(rules, intent(largest * 1.001, **asked), state(**known))
    assert decision.reasons == decision.hit_caps == (reason,)
    assert decision.clamped_qty == pytest.approx(largest / 100)
    assert check(rules, intent(largest * 2, reduce_only=True, **asked), state(**known)).allowed


@EACH_CAP
@pytest.mark.parametrize("value", WILD)
def test_a_number_that_a_cap_needs_and_is_not_known_denies(
    rules: Limits, asked: dict[str, Any], known: dict[str, Any], largest: float, reason: DenyReason, value: float | None
) -> None:
    for name in known:
        if name == "pending_qty":
            continue
        decision = check(rules, intent(1.0, **asked), state(**(known | {name: value})))
        assert decision.reasons == (reason,), name
        assert decision.clamped_qty == 0


@pytest.mark.parametrize("share", PERCENTS[0])
@pytest.mark.parametrize(("pnl_usd", "is_allowed"), [(-499.9, True), (-500.0, False), (-600.0, False), (10.0, True)])
def test_the_loss_of_a_symbol(share: float, pnl_usd: float, is_allowed: bool) -> None:
    rules = limits({"symbol_drawdown_cap_pct": share})
    decision = check(rules, intent(), state(symbol_day_pnl_usd=pnl_usd))
    assert decision.reasons == (() if is_allowed else (R.SYMBOL_DRAWDOWN,))
    assert check(rules, intent(reduce_only=True), state(symbol_day_pnl_usd=-9_999.0)).allowed


def test_pending_exposure_counts_against_symbol_tier_portfolio_and_positions() -> None:
    rules = limits(
        {
            "max_symbol_exposure_pct": 5,
            "max_gross_nav_pct": 5,
            "max_concurrent_positions": 2,
            "tiers": {"CORE": {"per_symbol_nav_pct": 5}},
        },
        {"max_open_qty": 2},
    )
    order = intent(100.0, tier_name="CORE")
    assert check(rules, order).allowed
    pending = state(
        pending_live_usd=300.0,
        pending_v6_usd=101.0,
        pending_portfolio_usd=401.0,
        pending_qty=2.0,
        pending_positions=2,
    )
    assert check(rules, order, pending).reasons == (
        R.SYMBOL_CAP,
        R.SYMBOL_NAV_CAP,
        R.PORTFOLIO_CAP,
        R.TIER_CAP,
        R.MAX_CONCURRENT,
    )


def test_what_is_not_configured_is_not_checked_and_what_passes_is_explained() -> None:
    outcomes = {(one.reason, one.limit_keys[:1]): one.outcome for one in read_rules(intent(), state(), limits())}
    assert outcomes[R.MARGIN, ("max_margin_pct",)] is Outcome.NOT_CONFIGURED
    assert outcomes[R.NOTIONAL_MISMATCH, ("notional_mismatch_pct",)] is Outcome.PASSES
    assert outcomes[R.PRICE_COLLAR, ("price_collar_pct",)] is Outcome.PASSES
