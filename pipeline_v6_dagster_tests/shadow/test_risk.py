from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import DEFAULT_RULES, LeverageBracket, Limits, TradingState
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.lots import round_down
from pipeline_v6_dagster.shadow.price_rules import DEFAULT_COLLAR_RATIO, DEFAULT_MISMATCH_RATIO
from pipeline_v6_dagster.shadow.risk import RiskEngineV6
from pipeline_v6_dagster.shadow.rules import RULES, Cap
from pipeline_v6_dagster_tests.builders import SYMBOL, intent, limits, state, unhurried

EXPOSURE_CAPS = {rule.reason for rule in RULES if isinstance(rule, Cap)} | {
    DenyReason.MAX_CONCURRENT,
    DenyReason.LEVERAGE_EXCEEDED,
}

money = st.floats(min_value=0.01, max_value=20_000)
ratios = st.none() | st.floats(min_value=0.001, max_value=3)
exposures = st.floats(min_value=0, max_value=5_000)
# A position that no order exceeds.
HUGE_QTY = 1e30
# What binary rounding may come to at the largest limit that is drawn.
ROUNDING_USD = 1e-3
unsound = st.sampled_from([None, nan, inf, -inf, -1.0])


@st.composite
def sound_intents(draw: st.DrawFn) -> OrderIntent:
    """Orders that only a cap can deny. Notional and quantity * price differ now and then."""
    price = draw(st.sampled_from([0.1, 17.352, 100.0, 60_000.0]) | st.floats(1e-3, 1e5))
    notional = draw(money)
    return intent(
        notional * draw(st.sampled_from([1.0, 1.0, 1.0, 0.96, 1.04])),
        side=draw(st.sampled_from(Side)),
        qty=notional / price,
        price=price,
        tier_name=draw(st.sampled_from([None, "CORE"])),
        current_gross_notional=draw(exposures),
        nav_usd=draw(st.floats(100, 1e5)),
    )


@st.composite
def intents(draw: st.DrawFn) -> OrderIntent:
    """Orders for every rule: each field is now and then what it must not be."""
    order = replace(
        draw(sound_intents()),
        reduce_only=draw(st.booleans()),
        symbol=draw(st.sampled_from([SYMBOL, SYMBOL, SYMBOL, "OTHER", ""])),
        leverage=draw(st.sampled_from([1.0, 1.0, 3.0, 5.0, 0.0, nan])),
        symbol_open_qty=draw(exposures | unsound),
        open_positions_count=draw(st.none() | st.integers(0, 5)),
    )
    numbers = ("qty", "price", "quote_notional", "nav_usd", "current_gross_notional")
    broken: dict[str, Any] = draw(st.just({}) | st.dictionaries(st.sampled_from(numbers), unsound, max_size=1))
    words: dict[str, Any] = draw(st.sampled_from([{}, {}, {}, {"side": None}, {"tier_name": "UNKNOWN"}]))
    return replace(order, **broken, **words)


@st.composite
def sound_states(draw: st.DrawFn) -> RiskState:
    return state(portfolio_gross_usd=draw(exposures), has_position=draw(st.booleans()))


@st.composite
def states(draw: st.DrawFn) -> RiskState:
    return state(
        nav_age_s=draw(st.sampled_from([0.0, 0.0, 60.0, 1e6, None, nan, -5.0])),
        portfolio_gross_usd=draw(exposures | unsound),
        has_position=draw(st.sampled_from([True, False, None])),
        is_in_trade=draw(st.sampled_from([False, False, False, True, None])),
        since_fill_s=draw(st.sampled_from([None, 0.0, 30.0, 1e6, nan])),
        since_loss_s=draw(st.sampled_from([None, None, 0.0, 30.0])),
        openings_last_hour=draw(st.integers(0, 4)),
        orders_in_window=draw(st.integers(0, 4)),
        errors_in_window=draw(st.integers(0, 4)),
        day_pnl_usd=draw(st.sampled_from([0.0, 100.0, -100.0, -1_000.0, nan])),
        peak_nav_usd=draw(st.sampled_from([None, 10_000.0, 12_000.0, 1e6, nan])),
        reference_price=draw(st.sampled_from([None, 100.0, 101.0, 60_000.0, 0.0, nan])),
        is_intent_seen=draw(st.sampled_from([False, False, False, True])),
        since_same_order_s=draw(st.sampled_from([None, 0.0, 30.0])),
        position_qty=draw(st.sampled_from([None, 0.0, 1e-3, 10.0, nan])),
        pending_live_usd=draw(exposures | unsound),
        pending_v6_usd=draw(exposures),
        pending_portfolio_usd=draw(exposures | unsound),
        pending_qty=draw(exposures),
        pending_positions=draw(st.integers(0, 3)),
        open_orders=draw(st.integers(0, 3)),
        other_positions=draw(st.integers(0, 1)),
        net_usd=draw(st.floats(-5_000, 5_000) | unsound),
        free_balance_usd=draw(exposures | unsound),
        symbol_day_pnl_usd=draw(st.sampled_from([0.0, 100.0, -500.0, nan])),
        trading_state=draw(st.sampled_from([*TradingState, TradingState.ACTIVE, TradingState.ACTIVE])),
    )


@st.composite
def cap_limits(draw: st.DrawFn) -> Limits:
    """Limits that are caps or minima, none of them hopeless for the orders above."""
    rules = limits()
    symbol = replace(
        rules.of(SYMBOL),
        min_notional_usd=draw(st.none() | st.floats(0, 50)),
        max_order_notional_usd=draw(st.none() | money),
        max_symbol_nav_ratio=draw(ratios),
    )
    return replace(
        rules,
        symbols={SYMBOL: symbol},
        trade_equity_nav_ratio=draw(st.floats(0.001, 1)),
        max_trade_nav_ratio=draw(st.floats(0.001, 1)),
        max_portfolio_gross_nav_ratio=draw(ratios),
        tier_nav_ratios=draw(st.sampled_from([{}, {"CORE": 0.05}, {"CORE": 0.5, "SATELLITE": 0.1}])),
    )


@st.composite
def any_limits(draw: st.DrawFn) -> Limits:
    rules = draw(cap_limits())
    symbol = replace(
        rules.of(SYMBOL),
        is_enabled=draw(st.sampled_from([True, True, True, False])),
        max_leverage=draw(st.sampled_from([None, 2.0, 4.0])),
        max_open_qty=draw(st.none() | st.floats(0, 100)),
        block_sides=draw(st.sampled_from([frozenset(), frozenset({Side.BUY})])),
        lot_step=draw(st.sampled_from([None, None, 0.001, 10.0])),
        cooldown_s=draw(st.sampled_from([None, 30.0, 60.0])),
        max_openings_per_hour=draw(st.none() | st.integers(1, 5)),
        price_collar_ratio=draw(st.sampled_from([None, 0.01, 0.5])),
        min_qty=draw(st.sampled_from([None, None, 0.01, 5.0])),
        max_qty=draw(st.sampled_from([None, None, 0.5, 50.0])),
        max_position_qty=draw(st.sampled_from([None, None, 10.0])),
        max_position_usd=draw(st.none() | money),
        max_open_orders=draw(st.none() | st.integers(0, 3)),
        price_multiplier_up=draw(st.sampled_from([None, None, 1.05])),
        price_multiplier_down=draw(st.sampled_from([None, None, 0.95])),
        leverage_brackets=draw(
            st.sampled_from([(), (), (LeverageBracket(2.0, 5_000.0), LeverageBracket(4.0, 1_000.0))])
        ),
        max_concurrent_positions=draw(st.sampled_from([None, None, 0, 1])),
        max_share_ratio=draw(ratios),
        max_drawdown_ratio=draw(st.sampled_from([None, None, 0.03])),
    )
    return replace(
        rules,
        symbols={SYMBOL: symbol},
        restricted_symbols=draw(st.sampled_from([frozenset(), frozenset(), frozenset({SYMBOL})])),
        whitelist=draw(st.sampled_from([None, None, frozenset({SYMBOL}), frozenset()])),
        is_kill_switch_on=draw(st.sampled_from([False, False, False, True])),
        nav_freshness_s=draw(st.sampled_from([None, 30.0, 90.0])),
        is_fail_closed_on_nav_stale=draw(st.booleans()),
        max_concurrent_positions=draw(st.none() | st.integers(0, 4)),
        is_pyramiding_allowed=draw(st.booleans()),
        cooldown_after_loss_s=draw(st.sampled_from([None, 30.0])),
        burst_window_s=60.0,
        burst_max_orders=draw(st.none() | st.integers(1, 5)),
        breaker_window_s=60.0,
        breaker_max_errors=draw(st.none() | st.integers(1, 5)),
        day_loss_nav_ratio=draw(st.sampled_from([None, 0.01, 0.05])),
        drawdown_nav_ratio=draw(st.sampled_from([None, 0.1, 0.5])),
        duplicate_window_s=draw(st.sampled_from([None, 10.0])),
        trading_state=draw(st.sampled_from([*TradingState, TradingState.ACTIVE, TradingState.ACTIVE])),
        disabled_rules=draw(st.sampled_from([frozenset(), frozenset({"already_in_trade"}), DEFAULT_RULES])),
        notional_mismatch_ratio=draw(st.sampled_from([None, 0.01])),
        max_margin_ratio=draw(st.sampled_from([None, None, 0.9])),
        max_net_nav_ratio=draw(ratios),
        quote_symbols=draw(st.sampled_from([None, None, frozenset({"USDT"}), frozenset({"USDC"})])),
    )


def smaller(value: float | None, share: float) -> float:
    return 1.0 if value is None else value * share


def fewer(count: int | None) -> int:
    return 1 if count is None else max(count - 1, 0)


def tightened(rules: Limits, share: float) -> dict[str, Limits]:
    """One limit tighter in each, by name; what was not configured becomes so."""
    symbol = rules.of(SYMBOL)
    own: dict[str, Any] = {
        "is_enabled": False,
        "max_leverage": smaller(symbol.max_leverage, share),
        "min_notional_usd": (symbol.min_notional_usd or 1.0) / share,
        "max_order_notional_usd": smaller(symbol.max_order_notional_usd, share),
        "max_symbol_nav_ratio": smaller(symbol.max_symbol_nav_ratio, share),
        "max_open_qty": smaller(symbol.max_open_qty, share),
        "block_sides": symbol.block_sides | {Side.SELL},
        "cooldown_s": (symbol.cooldown_s or 1.0) / share,
        "max_openings_per_hour": fewer(symbol.max_openings_per_hour),
        "price_collar_ratio": (symbol.price_collar_ratio or DEFAULT_COLLAR_RATIO) * share,
        "min_qty": (symbol.min_qty or 0.01) / share,
        "max_qty": smaller(symbol.max_qty, share),
        "max_position_qty": smaller(symbol.max_position_qty, share),
        "max_position_usd": smaller(symbol.max_position_usd, share),
        "max_open_orders": fewer(symbol.max_open_orders),
        "price_multiplier_up": smaller(symbol.price_multiplier_up, share),
        "price_multiplier_down": (symbol.price_multiplier_down or 0.5) / share,
        "leverage_brackets": tuple(
            LeverageBracket(each.leverage, each.max_position_usd * share)
            for each in symbol.leverage_brackets or (LeverageBracket(9.0, 9_000.0),)
        ),
        "max_share_ratio": smaller(symbol.max_share_ratio, share),
        "max_drawdown_ratio": smaller(symbol.max_drawdown_ratio, share),
    }
    common: dict[str, Any] = {
        "restricted_symbols": rules.restricted_symbols | {SYMBOL},
        "whitelist": frozenset(),
        "is_kill_switch_on": True,
        "nav_freshness_s": smaller(rules.nav_freshness_s, share),
        "is_fail_closed_on_nav_stale": True,
        "is_pyramiding_allowed": False,
        "cooldown_after_loss_s": (rules.cooldown_after_loss_s or 1.0) / share,
        "burst_max_orders": fewer(rules.burst_max_orders),
        "breaker_max_errors": fewer(rules.breaker_max_errors),
        "day_loss_nav_ratio": smaller(rules.day_loss_nav_ratio, share),
        "drawdown_nav_ratio": smaller(rules.drawdown_nav_ratio, share),
        "duplicate_window_s": (rules.duplicate_window_s or 1.0) / share,
        "trade_equity_nav_ratio": rules.trade_equity_nav_ratio * share,
        "max_trade_nav_ratio": rules.max_trade_nav_ratio * share,
        "max_portfolio_gross_nav_ratio": smaller(rules.max_portfolio_gross_nav_ratio, share),
        "max_concurrent_positions": int(smaller(rules.max_concurrent_positions, share)),
        "trading_state": TradingState.HALTED,
        "disabled_rules": frozenset(),
        "notional_mismatch_ratio": (rules.notional_mismatch_ratio or DEFAULT_MISMATCH_RATIO) * share,
        "max_margin_ratio": smaller(rules.max_margin_ratio, share),
        "max_net_nav_ratio": smaller(rules.max_net_nav_ratio, share),
        "quote_symbols": frozenset({"EUR"}),
        "tier_nav_ratios": {"CORE": 0.05 * share} | {t: r * share for t, r in rules.tier_nav_ratios.items()},
    }
    return {
        **{name: replace(rules, symbols={SYMBOL: replace(symbol, **{name: value})}) for name, value in own.items()},
        **{name: replace(rules, **{name: value}) for name, value in common.items()},
    }


def check(rules: Limits, order: OrderIntent, account: RiskState) -> RiskDecision:
    return RiskEngineV6(rules).check_order(order, account)


@unhurried
@given(any_limits(), intents(), states(), st.floats(min_value=0.01, max_value=1))
def test_a_tighter_limit_never_allows_more(rules: Limits, order: OrderIntent, account: RiskState, share: float) -> None:
    decision = check(rules, order, account)
    for name, tighter in tightened(rules, share).items():
        found = check(tighter, order, account)
        assert decision.allowed or not found.allowed, name
        assert found.clamped_qty <= decision.clamped_qty * (1 + 1e-9), name


@unhurried
@given(any_limits(), intents(), states())
def test_a_decision_is_consistent_in_itself(rules: Limits, order: OrderIntent, account: RiskState) -> None:
    decision = check(rules, order, account)
    assert decision.allowed is (not decision.reasons)
    assert list(decision.reasons) == [reason for reason in DenyReason if reason in decision.reasons]
    assert set(decision.diagnostics) == {*decision.reasons, *decision.warnings}
    assert set(decision.hit_caps) <= set(decision.reasons) & EXPOSURE_CAPS
    assert not set(decision.warnings) & set(decision.reasons)
    if decision.allowed:
        assert decision.clamped_qty == order.qty
    elif decision.clamped_qty:
        assert order.qty is not None
        assert 0 < decision.clamped_qty < order.qty
        assert set(decision.reasons) == set(decision.hit_caps)


def room_usd(rules: Limits, order: OrderIntent, account: RiskState) -> float:
    """The largest notional that every cap admits, told again from the contract's table."""
    nav, symbol = order.nav_usd, rules.of(SYMBOL)
    held, portfolio = order.current_gross_notional, account.portfolio_gross_usd
    assert nav is not None
    assert held is not None
    assert portfolio is not None
    rooms = [nav * rules.trade_equity_nav_ratio, nav * rules.max_trade_nav_ratio]
    if symbol.max_order_notional_usd is not None:
        rooms.append(symbol.max_order_notional_usd)
    if symbol.max_symbol_nav_ratio is not None:
        rooms.append(nav * symbol.max_symbol_nav_ratio - held)
    if order.tier_name in rules.tier_nav_ratios:
        rooms.append(nav * rules.tier_nav_ratios[order.tier_name] - held)
    if rules.max_portfolio_gross_nav_ratio is not None:
        rooms.append(nav * rules.max_portfolio_gross_nav_ratio - portfolio)
    return min(rooms)


@unhurried
@given(cap_limits(), sound_intents(), sound_states())
@example(limits({"max_gross_nav_pct": 0.5}), intent(500.0), state(portfolio_gross_usd=4_500.0))
def test_the_clamped_quantity_is_the_largest_that_the_caps_admit_and_itself_passes(
    rules: Limits, order: OrderIntent, account: RiskState
) -> None:
    decision = check(rules, order, account)
    qty, notional = order.qty, order.quote_notional
    assert qty is not None
    assert notional is not None
    minimum = rules.of(SYMBOL).min_notional_usd or 0.0
    share = min(1.0, room_usd(rules, order, account) / notional)
    left_usd = notional * share
    if abs(left_usd - minimum) > ROUNDING_USD:
        expected_usd = notional * share if left_usd > minimum and share > 0 else 0.0
        assert decision.clamped_qty / qty * notional == pytest.approx(expected_usd, abs=ROUNDING_USD)
    assert decision.allowed is (decision.clamped_qty == qty)
    if decision.clamped_qty > 0:
        clamped = replace(order, qty=decision.clamped_qty, quote_notional=notional * (decision.clamped_qty / qty))
        assert check(rules, clamped, account).allowed


@unhurried
@given(any_limits(), intents(), states())
def test_the_clamped_quantity_passes_whatever_else_is_unknown(
    rules: Limits, order: OrderIntent, account: RiskState
) -> None:
    decision = check(rules, order, account)
    if decision.clamped_qty > 0:
        assert order.qty is not None
        assert order.quote_notional is not None
        share = decision.clamped_qty / order.qty
        clamped = replace(order, qty=decision.clamped_qty, quote_notional=order.quote_notional * share)
        assert check(rules, clamped, account).allowed


@unhurried
@given(any_limits(), intents(), states())
def test_a_reduce_only_order_is_never_denied_for_exposure(
    rules: Limits, order: OrderIntent, account: RiskState
) -> None:
    account = replace(account, position_qty=HUGE_QTY)
    decision = check(rules, replace(order, reduce_only=True), account)
    exposure = (EXPOSURE_CAPS | {DenyReason.SYMBOL_CAP, DenyReason.ALREADY_IN_TRADE}) - {DenyReason.ORDER_QTY}
    assert not set(decision.reasons) & exposure
    if DenyReason.BELOW_MIN_NOTIONAL in decision.reasons:
        assert order.qty is not None
        left = round_down(order.qty, rules.of(order.symbol).lot_step)
        # Of an unlimited quantity nothing can be told, which denies it.
        assert not 0 < left < inf or not (order.quote_notional or 0.0) > 0
    assert set(decision.hit_caps) <= {DenyReason.ORDER_QTY}


@unhurried
@given(any_limits(), intents(), states())
@example(limits(), intent(), state())
def test_reducing_is_never_denied_where_opening_the_same_is_allowed(
    rules: Limits, order: OrderIntent, account: RiskState
) -> None:
    opening = check(rules, replace(order, reduce_only=False), account)
    reducing = check(rules, replace(order, reduce_only=True), replace(account, position_qty=HUGE_QTY))
    assert set(reducing.reasons) <= set(opening.reasons)


def test_all_reasons_that_apply_are_kept_in_the_order_of_the_reasons() -> None:
    rules = limits(
        {
            "kill_switch": True,
            "restricted_symbols": [SYMBOL],
            "whitelist": [],
            "max_leverage": 1,
            "nav_freshness_seconds": 1,
            "max_gross_nav_pct": 0.01,
            "max_concurrent_positions": 0,
            "tiers": {"CORE": {"per_symbol_nav_pct": 0.01}},
            "cooldown_sec": 5,
            "max_trades_per_symbol_per_hour": 1,
            "burst_limit": {"window_sec": 5, "max_orders": 1},
            "circuit_breaker": {"window_sec": 5, "max_errors": 1},
            "daily_loss_limit_pct": 0.01,
            "max_nav_drawdown_pct": 0.01,
            "price_collar_pct": 0.01,
            "trading_state": "halted",
            "quote_symbols": ["USDC"],
            "max_position_usd": 1,
            "max_open_orders": 1,
            "max_margin_pct": 0.01,
            "max_net_exposure_pct": 0.01,
            "symbol_notional_share_cap_pct": 0.01,
            "symbol_drawdown_cap_pct": 0.01,
        },
        {"enabled": False, "block_sides": ["BUY"], "max_open_qty": 0, "max_nav_pct": 0.01, "max_order_notional": 1},
        max_qty=1,
        multiplier_up=1.05,
        leverage_brackets=[{"leverage": 4, "max_position_usd": 1}],
    )
    order = intent(5_000.0, leverage=2.0, tier_name="CORE", symbol_open_qty=1.0, price=110.0)
    past = {"is_in_trade": True, "since_fill_s": 1.0, "peak_nav_usd": 20_000.0, "day_pnl_usd": -1_000.0}
    counts = {"openings_last_hour": 1, "orders_in_window": 1, "errors_in_window": 1, "is_intent_seen": True}
    more = {"open_orders": 1, "net_usd": 0.0, "free_balance_usd": 1.0, "symbol_day_pnl_usd": -1_000.0}
    decision = check(rules, order, state(nav_age_s=2.0, reference_price=50.0, **past, **counts, **more))
    assert list(decision.reasons) == [
        reason
        for reason in dict.fromkeys(rule.reason for rule in RULES)
        if reason
        not in (
            DenyReason.INVALID_INTENT,
            DenyReason.UNKNOWN_SYMBOL,
            DenyReason.BELOW_MIN_NOTIONAL,
            DenyReason.REDUCE_ONLY_INVALID,
        )
    ]
    assert list(decision.reasons) == sorted(set(decision.reasons), key=list(DenyReason).index)
    assert decision.hit_caps == tuple(reason for reason in decision.reasons if reason in EXPOSURE_CAPS - {
        DenyReason.MAX_CONCURRENT, DenyReason.LEVERAGE_EXCEEDED
    })  # fmt: skip
    assert decision.clamped_qty == 0


def test_the_tightest_of_several_caps_sets_the_clamped_quantity() -> None:
    rules = limits({"max_trade_nav_pct": 3, "trade_equity_nav_pct": 4}, {"max_order_notional": 350})
    decision = check(rules, intent(1_000.0), state())
    assert decision.clamped_qty == pytest.approx(3.0)
    assert len(decision.hit_caps) == 3


def test_a_gate_leaves_nothing_of_the_quantity_whatever_the_caps_leave() -> None:
    decision = check(limits({"max_leverage": 1, "max_trade_nav_pct": 3}), intent(1_000.0, leverage=2.0), state())
    assert decision.hit_caps == (DenyReason.TRADE_GT_MAX_TRADE_NAV_PCT,)
    assert decision.clamped_qty == 0


def test_two_rules_of_one_reason_give_it_once_with_the_first_rules_numbers() -> None:
    rules = limits(own={"max_order_notional": 100, "max_open_qty": 0})
    decision = check(rules, intent(500.0), state())
    assert decision.reasons == (DenyReason.SYMBOL_CAP,)
    assert decision.diagnostics[DenyReason.SYMBOL_CAP].threshold == 100
    assert decision.clamped_qty == 0
