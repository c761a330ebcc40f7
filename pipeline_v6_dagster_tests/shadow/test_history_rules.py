"""Rules on what happened before, at, just below and just above their limits."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import DenyReason, RiskDecision
from pipeline_v6_dagster.shadow.risk import RiskEngineV6
from pipeline_v6_dagster_tests.builders import NAV_USD, intent, limits, state

R = DenyReason
DAY_LOSS = [limits({"daily_loss_limit_pct": 5.0}), limits({"global": {"daily_loss_limit_pct": 0.05}})]
DRAWDOWN = [limits({"max_nav_drawdown_pct": 10}), limits({"global": {"max_nav_drawdown_pct": 0.1}})]
COLLAR = [
    limits({"price_collar_pct": 0.02}),
    limits({"price_collar_pct": 2}),
    limits({"price_collar_pct": 5}, own={"price_collar_pct": 2}),
]


def check(rules: Limits, is_reduce_only: bool = False, of_intent: dict[str, Any] | None = None, **known: Any) -> Any:
    order = intent(reduce_only=is_reduce_only, **(of_intent or {}))
    return RiskEngineV6(rules).check_order(order, state(**known))


def assert_reasons(decision: RiskDecision, is_denied: bool, reason: DenyReason) -> None:
    assert decision.reasons == ((reason,) if is_denied else ())
    assert decision.clamped_qty == (0 if is_denied else 5.0)
    assert decision.hit_caps == ()


@pytest.mark.parametrize(
    ("is_in_trade", "is_denied"),
    [(False, False), (True, True), (None, True)],
)
def test_a_position_in_the_same_direction_denies_and_so_does_one_of_unknown_direction(
    is_in_trade: bool | None, is_denied: bool
) -> None:
    assert_reasons(check(limits(), is_in_trade=is_in_trade), is_denied, R.ALREADY_IN_TRADE)
    assert check(limits(), is_reduce_only=True, is_in_trade=is_in_trade).allowed
    assert check(limits({"allow_pyramiding": True}), is_in_trade=is_in_trade).allowed


def test_pyramiding_is_allowed_only_where_every_level_that_says_anything_allows_it() -> None:
    for rules in ({"allow_pyramiding": False}, {"allow_pyramiding": True, "global": {"allow_pyramiding": False}}):
        assert not check(limits(rules), is_in_trade=True).allowed


@pytest.mark.parametrize(
    ("rules", "known"),
    [
        (limits({"cooldown_sec": 60}), "since_fill_s"),
        (limits({"cooldown_sec": 5}, own={"cooldown_sec": 60}), "since_fill_s"),
        (limits({"cooldown_minutes_after_stop": 1}), "since_loss_s"),
    ],
)
@pytest.mark.parametrize(
    ("since_s", "is_denied"),
    [(0.0, True), (59.999, True), (60.0, False), (60.001, False), (None, False), (inf, False), (nan, True)],
)
def test_a_cooldown_denies_until_it_is_over(rules: Limits, known: str, since_s: float | None, is_denied: bool) -> None:
    decision = check(rules, **{known: since_s})
    assert_reasons(decision, is_denied, R.COOLDOWN)
    assert check(rules, is_reduce_only=True, **{known: since_s}).allowed
    assert check(limits(), **{known: since_s}).allowed
    if is_denied:
        assert decision.diagnostics[R.COOLDOWN].threshold == 60
        assert decision.diagnostics[R.COOLDOWN].unit == "s"


@pytest.mark.parametrize(
    ("rules", "known", "reason"),
    [
        (limits({"max_trades_per_symbol_per_hour": 3}), "openings_last_hour", R.TRADE_RATE_LIMIT),
        (
            limits({"max_trades_per_symbol_per_hour": 9}, own={"max_trades_per_symbol_per_hour": 3}),
            "openings_last_hour",
            R.TRADE_RATE_LIMIT,
        ),
        (limits({"burst_limit": {"window_sec": 10, "max_orders": 3}}), "orders_in_window", R.BURST_LIMIT),
        (limits({"circuit_breaker": {"window_sec": 10, "max_errors": 3}}), "errors_in_window", R.CIRCUIT_BREAKER),
        (
            limits({"global": {"error_circuit": {"window_sec": 9, "max_errors": 3}}}),
            "errors_in_window",
            R.CIRCUIT_BREAKER,
        ),
    ],
)
@pytest.mark.parametrize(("count", "is_denied"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_count_at_its_limit_denies(
    rules: Limits, known: str, reason: DenyReason, count: int, is_denied: bool
) -> None:
    decision = check(rules, **{known: count})
    assert_reasons(decision, is_denied, reason)
    assert check(rules, is_reduce_only=True, **{known: count}).allowed
    assert check(limits(), **{known: count}).allowed
    if is_denied:
        assert (decision.diagnostics[reason].threshold, decision.diagnostics[reason].observed) == (3, count)


@pytest.mark.parametrize("rules", DAY_LOSS)
@pytest.mark.parametrize(
    ("pnl_usd", "is_denied"),
    [(0.0, False), (500.0, False), (-499.99, False), (-500.0, True), (-500.01, True), (nan, True), (-inf, True)],
)
def test_a_loss_of_the_day_at_its_limit_denies(rules: Limits, pnl_usd: float, is_denied: bool) -> None:
    decision = check(rules, day_pnl_usd=pnl_usd)
    assert_reasons(decision, is_denied, R.DAY_LOSS_LIMIT)
    assert check(rules, is_reduce_only=True, day_pnl_usd=pnl_usd).allowed
    assert check(limits(), day_pnl_usd=pnl_usd).allowed
    if is_denied:
        assert decision.diagnostics[R.DAY_LOSS_LIMIT].threshold == NAV_USD * 0.05


@pytest.mark.parametrize("rules", DRAWDOWN)
@pytest.mark.parametrize(
    ("peak_usd", "is_denied"),
    [(10_000.0, False), (11_111.0, False), (10_000 / 0.9, True), (11_112.0, True), (None, True), (nan, True)],
)
def test_a_fall_from_the_peak_at_its_limit_denies(rules: Limits, peak_usd: float | None, is_denied: bool) -> None:
    decision = check(rules, peak_nav_usd=peak_usd)
    assert_reasons(decision, is_denied, R.NAV_DRAWDOWN_LIMIT)
    assert check(rules, is_reduce_only=True, peak_nav_usd=peak_usd).allowed
    assert check(limits(), peak_nav_usd=peak_usd).allowed


@pytest.mark.parametrize("rules", [*DAY_LOSS, *DRAWDOWN])
def test_a_missing_nav_is_said_once_and_denies_also_where_it_is_only_a_warning(rules: Limits) -> None:
    assert check(rules, of_intent={"nav_usd": None}).reasons == (R.NAV_STALE,)
    open_rules = replace(rules, is_fail_closed_on_nav_stale=False)
    reasons = check(open_rules, of_intent={"nav_usd": None}).reasons
    assert {R.DAY_LOSS_LIMIT, R.NAV_DRAWDOWN_LIMIT} & set(reasons)


@pytest.mark.parametrize("rules", COLLAR)
@pytest.mark.parametrize("is_reduce_only", [False, True])
@pytest.mark.parametrize(
    ("reference", "is_denied"),
    [
        (100.0, False),
        (100 / 1.02, False),
        (100 / 0.98, False),
        (100 / 1.0201, True),
        (100 / 0.9799, True),
        (None, True),
        (0.0, True),
        (nan, True),
        (inf, True),
    ],
)
def test_a_price_outside_the_collar_denies_and_so_does_one_without_a_reference(
    rules: Limits, is_reduce_only: bool, reference: float | None, is_denied: bool
) -> None:
    decision = check(rules, is_reduce_only, reference_price=reference)
    assert_reasons(decision, is_denied, R.PRICE_COLLAR)
    assert check(limits(), reference_price=reference).allowed


@pytest.mark.parametrize("is_reduce_only", [False, True])
def test_an_intent_that_was_seen_is_denied_whatever_is_configured(is_reduce_only: bool) -> None:
    decision = check(limits(), is_reduce_only, is_intent_seen=True)
    assert_reasons(decision, True, R.DUPLICATE_INTENT)
    assert decision.diagnostics[R.DUPLICATE_INTENT].observed == "ord_1"


@pytest.mark.parametrize(("since_s", "is_denied"), [(None, False), (0.0, True), (4.99, True), (5.0, False)])
def test_the_same_order_again_within_the_window_is_a_duplicate(since_s: float | None, is_denied: bool) -> None:
    rules = limits({"duplicate_window_sec": 5})
    for is_reduce_only in (False, True):
        assert_reasons(check(rules, is_reduce_only, since_same_order_s=since_s), is_denied, R.DUPLICATE_INTENT)
    assert check(limits(), since_same_order_s=since_s).allowed


@pytest.mark.parametrize(("qty", "is_allowed"), [(0.5, True), (0.49, False), (0.59, True), (0.6, True)])
def test_what_is_left_after_rounding_to_the_lot_step_must_reach_the_minimum(qty: float, is_allowed: bool) -> None:
    rules = limits({"min_notional": 50}, step_size=0.1)
    decision = RiskEngineV6(rules).check_order(intent(qty * 100), state())
    assert decision.reasons == (() if is_allowed else (R.BELOW_MIN_NOTIONAL,))


def test_less_than_a_lot_is_no_order_even_where_it_reduces() -> None:
    engine = RiskEngineV6(limits(step_size=0.1))
    for is_reduce_only in (False, True):
        order = intent(9.0, side=Side.SELL, reduce_only=is_reduce_only)
        assert engine.check_order(order, state()).reasons == (R.BELOW_MIN_NOTIONAL,)
    assert engine.check_order(intent(10.0, reduce_only=True), state()).allowed
