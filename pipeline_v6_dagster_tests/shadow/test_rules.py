from collections import defaultdict
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any

import pytest

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.risk import RiskEngineV6
from pipeline_v6_dagster.shadow.rules import RULES, Cap, Gate
from pipeline_v6_dagster_tests.builders import NAV_USD, SYMBOL, intent, limits, state

R = DenyReason
WILD = [None, nan, inf, -inf]


def check(rules: Limits, order: OrderIntent, account: RiskState | None = None) -> RiskDecision:
    return RiskEngineV6(rules).check_order(order, account or state())


def assert_denied(decision: RiskDecision, *reasons: DenyReason) -> None:
    assert decision.reasons == reasons
    assert not decision.allowed
    assert set(decision.diagnostics) == set(reasons)


# What the contract's table says: per reason, its rules as (kind, whether it applies to reduce-only, limit keys).
TABLE: dict[DenyReason, list[tuple[type, bool, set[str]]]] = {
    R.INVALID_INTENT: [(Gate, True, set())],
    R.KILL_SWITCH: [(Gate, True, {"kill_switch"})],
    R.TRADING_STATE: [(Gate, True, {"trading_state"}), (Gate, False, {"trading_state"})],
    R.NAV_STALE: [(Gate, True, {"nav_freshness_seconds", "fail_closed_on_nav_stale"})],
    R.UNKNOWN_SYMBOL: [(Gate, True, {"symbols", "universe"})],
    R.SYMBOL_DISABLED: [(Gate, True, {"enabled", "status"})],
    R.RESTRICTED_SYMBOL: [(Gate, True, {"restricted_symbols"})],
    R.NOT_WHITELISTED: [(Gate, True, {"whitelist"})],
    R.QUOTE_NOT_ALLOWED: [(Gate, True, {"quote_symbols"})],
    R.SIDE_BLOCKED: [(Gate, True, {"block_sides"})],
    R.REDUCE_ONLY_INVALID: [(Gate, True, set())],
    R.NOTIONAL_MISMATCH: [(Gate, True, {"notional_mismatch_pct"})],
    R.BELOW_MIN_NOTIONAL: [
        (Gate, True, {"min_notional", "min_notional_usd", "min_notional_usdt", "min_gross_usd", "step_size"}),
    ],
    R.ORDER_QTY: [
        (Gate, True, {"min_qty", "market_min_qty", "step_size"}),
        (Cap, True, {"max_qty", "market_max_qty"}),
    ],
    R.SYMBOL_CAP: [(Cap, False, {"max_order_notional", "max_notional_usd"}), (Gate, False, {"max_open_qty"})],
    R.MAX_POSITION: [(Cap, False, {"max_position_qty"}), (Cap, False, {"max_position_usd"})],
    R.SYMBOL_NAV_CAP: [(Cap, False, {"max_nav_pct", "max_symbol_exposure_pct"})],
    R.SYMBOL_SHARE_CAP: [(Cap, False, {"symbol_notional_share_cap_pct"})],
    R.LEVERAGE_EXCEEDED: [(Gate, False, {"max_leverage", "target_leverage"})],
    R.LEVERAGE_BRACKETS: [(Cap, False, {"leverage_brackets"})],
    R.MARGIN: [(Cap, False, {"max_margin_pct"})],
    R.TRADE_GT_EQUITY_CAP: [(Cap, False, {"trade_equity_nav_pct"})],
    R.TRADE_GT_MAX_TRADE_NAV_PCT: [(Cap, False, {"max_trade_nav_pct"})],
    R.PORTFOLIO_CAP: [(Cap, False, {"max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct"})],
    R.NET_EXPOSURE_CAP: [(Cap, False, {"max_net_exposure_pct"})],
    R.TIER_CAP: [(Cap, False, {"tiers.*.per_symbol_nav_pct"})],
    R.MAX_CONCURRENT: [(Gate, False, {"max_concurrent_positions"}), (Gate, False, {"caps.max_concurrent_positions"})],
    R.ALREADY_IN_TRADE: [(Gate, False, {"allow_pyramiding"})],
    R.MAX_OPEN_ORDERS: [(Gate, False, {"max_open_orders"})],
    R.COOLDOWN: [(Gate, False, {"cooldown_sec"}), (Gate, False, {"cooldown_minutes_after_stop"})],
    R.TRADE_RATE_LIMIT: [(Gate, False, {"max_trades_per_symbol_per_hour"})],
    R.BURST_LIMIT: [(Gate, False, {"burst_limit.window_sec", "burst_limit.max_orders"})],
    R.CIRCUIT_BREAKER: [
        (Gate, False, {"circuit_breaker.window_sec", "circuit_breaker.max_errors", "error_circuit"}),
    ],
    R.DAY_LOSS_LIMIT: [(Gate, False, {"daily_loss_limit_pct", "reset_timezone"})],
    R.SYMBOL_DRAWDOWN: [(Gate, False, {"symbol_drawdown_cap_pct", "reset_timezone"})],
    R.NAV_DRAWDOWN_LIMIT: [(Gate, False, {"max_nav_drawdown_pct", "nav_peak_since"})],
    R.PRICE_COLLAR: [(Gate, True, {"price_collar_pct"})],
    R.PERCENT_PRICE: [(Gate, True, {"multiplier_up", "multiplier_down"})],
    R.DUPLICATE_INTENT: [(Gate, True, {"duplicate_window_sec"})],
}


def test_every_reason_has_exactly_the_rules_of_the_table_in_the_order_of_the_reasons() -> None:
    found = defaultdict(list)
    for rule in RULES:
        found[rule.reason].append((type(rule), rule.applies_to_reduce_only, set(rule.limit_keys)))
        assert rule.denies_when
        assert rule.unit
    assert found == TABLE
    assert [*found, R.ENGINE_ERROR] == list(DenyReason)  # The last is given by what guards a desk's own engine.


# Gates.


@pytest.mark.parametrize("is_reduce_only", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", ""),
        ("side", None),
        *((field, value) for field in ("qty", "price", "quote_notional") for value in (*WILD, 0.0, -1.0)),
    ],
)
def test_an_invalid_intent_is_denied_also_where_it_reduces(field: str, value: Any, is_reduce_only: bool) -> None:
    decision = check(limits(), intent(reduce_only=is_reduce_only, **{field: value}))
    assert R.INVALID_INTENT in decision.reasons
    assert decision.clamped_qty == 0


def test_the_smallest_numbers_above_zero_are_valid() -> None:
    assert check(limits(), intent(5e-324, qty=5e-324, price=1.0)).allowed


def test_the_kill_switch_denies_all() -> None:
    for is_reduce_only in (False, True):
        order = intent(reduce_only=is_reduce_only)
        assert_denied(check(limits({"kill_switch": True}), order), R.KILL_SWITCH)
        assert check(limits({"kill_switch": False}), order).allowed


@pytest.mark.parametrize("nav_usd", [*WILD, 0.0, -1.0])
def test_a_nav_that_is_no_money_is_stale(nav_usd: float | None) -> None:
    for is_reduce_only in (False, True):
        decision = check(limits(), intent(nav_usd=nav_usd, reduce_only=is_reduce_only))
        assert_denied(decision, R.NAV_STALE)
        assert decision.clamped_qty == 0


@pytest.mark.parametrize(("age_s", "is_fresh"), [(0.0, True), (89.999, True), (90.0, True), (90.001, False)])
def test_a_nav_is_stale_when_it_is_older_than_its_limit(age_s: float, is_fresh: bool) -> None:
    decision = check(limits({"nav_freshness_seconds": 90}), intent(), state(nav_age_s=age_s))
    assert decision.allowed is is_fresh
    if not is_fresh:
        assert_denied(decision, R.NAV_STALE)
        assert decision.diagnostics[R.NAV_STALE].threshold == 90
        assert decision.diagnostics[R.NAV_STALE].observed == age_s


@pytest.mark.parametrize("age_s", [*WILD, -0.001])
def test_a_nav_of_unknown_age_is_stale_whatever_the_limit(age_s: float | None) -> None:
    assert_denied(check(limits(), intent(), state(nav_age_s=age_s)), R.NAV_STALE)


def test_a_nav_of_any_known_age_is_fresh_where_no_limit_is_configured() -> None:
    assert check(limits(), intent(), state(nav_age_s=1e9)).allowed


def test_an_old_nav_is_only_a_warning_where_the_desk_says_so() -> None:
    rules = limits({"nav_freshness_seconds": 90, "fail_closed_on_nav_stale": False})
    decision = check(rules, intent(), state(nav_age_s=91.0))
    assert decision.allowed
    assert decision.warnings == (R.NAV_STALE,)
    assert decision.diagnostics[R.NAV_STALE].observed == 91


def test_a_missing_nav_denies_by_the_ratios_of_it_even_where_staleness_is_only_a_warning() -> None:
    rules = limits({"fail_closed_on_nav_stale": False})
    decision = check(rules, intent(nav_usd=None))
    assert decision.reasons == (R.TRADE_GT_EQUITY_CAP, R.TRADE_GT_MAX_TRADE_NAV_PCT)
    assert decision.warnings == (R.NAV_STALE,)
    assert decision.clamped_qty == 0
    assert check(rules, intent(nav_usd=None, reduce_only=True)).allowed


@pytest.mark.parametrize("is_reduce_only", [False, True])
def test_a_symbol_is_denied_for_what_it_is(is_reduce_only: bool) -> None:
    order = intent(reduce_only=is_reduce_only)
    assert_denied(check(limits(), replace(order, symbol="OTHER")), R.UNKNOWN_SYMBOL)
    assert_denied(check(limits(own={"enabled": False}), order), R.SYMBOL_DISABLED)
    assert_denied(check(limits(status="halted"), order), R.SYMBOL_DISABLED)
    assert_denied(check(limits({"restricted_symbols": [SYMBOL]}), order), R.RESTRICTED_SYMBOL)
    assert_denied(check(limits({"whitelist": ["OTHER"]}), order), R.NOT_WHITELISTED)
    assert_denied(check(limits({"whitelist": []}), order), R.NOT_WHITELISTED)
    assert check(limits({"whitelist": [SYMBOL], "restricted_symbols": ["OTHER"]}), order).allowed


@pytest.mark.parametrize(
    ("blocked", "side", "is_allowed"),
    [("BUY", Side.BUY, False), ("LONG", Side.BUY, False), ("SELL", Side.BUY, True), ("short", Side.SELL, False)],
)
def test_a_blocked_side_is_denied_and_the_other_is_not(blocked: str, side: Side, is_allowed: bool) -> None:
    decision = check(limits(own={"block_sides": [blocked]}), intent(side=side))
    assert decision.reasons == (() if is_allowed else (R.SIDE_BLOCKED,))


MINIMA = [
    limits({"min_notional": 5, "min_notional_usd": 20}),
    limits({"global": {"min_notional_usdt": 20}}, {"min_notional": 5}),
    limits({"min_notional": 5}, {"min_notional": 20}),
    limits({"min_notional": 5}, min_notional=20),
]


@pytest.mark.parametrize("rules", MINIMA)
@pytest.mark.parametrize(("notional", "is_allowed"), [(19.999, False), (20.0, True), (20.001, True)])
def test_a_notional_below_the_largest_minimum_is_denied(rules: Limits, notional: float, is_allowed: bool) -> None:
    decision = check(rules, intent(notional))
    assert decision.allowed is is_allowed
    if not is_allowed:
        assert_denied(decision, R.BELOW_MIN_NOTIONAL)
        assert decision.diagnostics[R.BELOW_MIN_NOTIONAL].threshold == 20
        assert decision.clamped_qty == 0
    assert check(rules, intent(notional, reduce_only=True)).allowed


LEVERAGES = [
    limits({"max_leverage": 3}),
    limits({"max_leverage": 4}, {"max_leverage": 3}),
    limits({"global": {"max_leverage": 3}}, max_leverage=5),
    limits(max_leverage=3),
]


@pytest.mark.parametrize("rules", LEVERAGES)
@pytest.mark.parametrize(("leverage", "is_allowed"), [(2.99, True), (3.0, True), (3.01, False)])
def test_a_leverage_above_the_smallest_limit_is_denied(rules: Limits, leverage: float, is_allowed: bool) -> None:
    decision = check(rules, intent(leverage=leverage))
    assert decision.reasons == (() if is_allowed else (R.LEVERAGE_EXCEEDED,))
    assert check(rules, intent(leverage=leverage, reduce_only=True)).allowed


@pytest.mark.parametrize("leverage", [nan, inf, -inf, 0.0, -1.0])
def test_a_leverage_that_is_none_is_denied_where_there_is_a_limit(leverage: float) -> None:
    assert_denied(check(limits({"max_leverage": 3}), intent(leverage=leverage)), R.LEVERAGE_EXCEEDED)


@pytest.mark.parametrize(
    ("held", "is_allowed"),
    [(0.0, True), (2.99, True), (-2.99, True), (3.0, False), (-3.0, False), (3.01, False)],
)
def test_an_open_quantity_at_its_limit_denies(held: float, is_allowed: bool) -> None:
    rules = limits(own={"max_open_qty": 3})
    decision = check(rules, intent(symbol_open_qty=held))
    assert decision.reasons == (() if is_allowed else (R.SYMBOL_CAP,))
    assert check(rules, intent(symbol_open_qty=held, reduce_only=True)).allowed


@pytest.mark.parametrize("held", WILD)
def test_an_open_quantity_that_is_not_known_denies(held: float | None) -> None:
    assert_denied(check(limits(own={"max_open_qty": 3}), intent(symbol_open_qty=held)), R.SYMBOL_CAP)
    assert check(limits(), intent(symbol_open_qty=held)).allowed


def test_an_open_quantity_limit_of_zero_admits_nothing_new() -> None:
    assert_denied(check(limits(own={"max_open_qty": 0}), intent()), R.SYMBOL_CAP)


@pytest.mark.parametrize(
    ("count", "has_position", "is_allowed"),
    [
        (2, False, True),
        (3, False, False),
        (4, False, False),
        (3, True, True),
        (3, None, False),
        (None, None, False),
        (None, False, False),
        (nan, False, False),
        (0, None, True),
    ],
)
def test_open_positions_at_the_limit_deny_unless_the_symbol_is_one_of_them(
    count: int | None, has_position: bool | None, is_allowed: bool
) -> None:
    rules = limits({"max_concurrent_positions": 3})
    order, account = intent(open_positions_count=count), state(has_position=has_position)
    assert check(rules, order, account).reasons == (() if is_allowed else (R.MAX_CONCURRENT,))
    assert check(rules, replace(order, reduce_only=True), account).allowed
    assert check(limits(), order, account).allowed


@pytest.mark.parametrize("has_position", [True, False, None])
def test_a_symbol_that_the_universe_allows_no_position_is_not_opened(has_position: bool | None) -> None:
    none, one = (limits(caps={"max_concurrent_positions": most}) for most in (0, 1))
    account = state(has_position=has_position)
    assert check(none, intent(), account).reasons == (R.MAX_CONCURRENT,)
    assert check(none, intent(reduce_only=True), account).allowed
    assert check(one, intent(), account).allowed


# Caps: each admits an order of 500 USD and no more.

LIMIT_USD = 500.0
HELD_USD = 300.0
GROSS_USD = 4_500.0


@dataclass(frozen=True, kw_only=True)
class CapCase:
    """One way to configure a cap; `held` and `portfolio` are what counts against it already."""

    reason: DenyReason
    rules: Limits
    threshold_usd: float = LIMIT_USD
    held: float | None = None
    portfolio: float | None = None

    def order(self, notional: float, **changes: Any) -> OrderIntent:
        held = 0.0 if self.held is None else self.held
        return intent(notional, **({"tier_name": "CORE", "current_gross_notional": held} | changes))

    def account(self, **changes: Any) -> RiskState:
        portfolio = 0.0 if self.portfolio is None else self.portfolio
        return state(**({"portfolio_gross_usd": portfolio} | changes))


def of_nav(ratio: float, key: str, place: str) -> list[Limits]:
    """Limits with `key` at a ratio of NAV, as a fraction and as a percent."""
    written = (ratio, ratio * 100)
    if place == "own":
        return [limits(own={key: value}) for value in written]
    if place == "entry":
        return [limits(**{key: value}) for value in written]
    if place == "caps":
        return [limits(caps={key: value}) for value in written]
    if place == "tiers":
        return [limits({"tiers": {"CORE": {key: value}}}) for value in written]
    return [limits({key: value}) for value in written] + [limits({"global": {key: value}}) for value in written]


SYMBOL_RATIO = (LIMIT_USD + HELD_USD) / NAV_USD
CASES = [
    CapCase(reason=R.SYMBOL_CAP, rules=limits(own={"max_order_notional": LIMIT_USD})),
    CapCase(reason=R.SYMBOL_CAP, rules=limits(own={"max_notional_usd": LIMIT_USD})),
    CapCase(
        reason=R.SYMBOL_CAP, rules=limits({"global": {"max_notional_usd": LIMIT_USD}}, {"max_order_notional": 600})
    ),
    CapCase(reason=R.SYMBOL_CAP, rules=limits(max_order_notional=LIMIT_USD)),
    CapCase(reason=R.SYMBOL_CAP, rules=limits(own={"max_order_notional": 600}, caps={"max_order_notional": LIMIT_USD})),
    *(
        CapCase(reason=R.SYMBOL_NAV_CAP, rules=rules, threshold_usd=LIMIT_USD + HELD_USD, held=HELD_USD)
        for key, place in (
            ("max_nav_pct", "own"),
            ("max_nav_pct", "entry"),
            ("max_nav_pct", "caps"),
            ("max_symbol_exposure_pct", "global"),
        )
        for rules in of_nav(SYMBOL_RATIO, key, place)
    ),
    *(CapCase(reason=R.TRADE_GT_EQUITY_CAP, rules=rules) for rules in of_nav(0.05, "trade_equity_nav_pct", "global")),
    *(
        CapCase(reason=R.TRADE_GT_MAX_TRADE_NAV_PCT, rules=rules)
        for rules in of_nav(0.05, "max_trade_nav_pct", "global")
    ),
    *(
        CapCase(reason=R.PORTFOLIO_CAP, rules=rules, threshold_usd=LIMIT_USD + GROSS_USD, portfolio=GROSS_USD)
        for key in ("max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct")
        for rules in of_nav(0.5, key, "global")
    ),
    *(
        CapCase(reason=R.TIER_CAP, rules=rules, threshold_usd=LIMIT_USD + HELD_USD, held=HELD_USD)
        for rules in of_nav(SYMBOL_RATIO, "per_symbol_nav_pct", "tiers")
    ),
]
EACH_CAP = pytest.mark.parametrize("case", CASES, ids=[f"{case.reason}-{i}" for i, case in enumerate(CASES)])


@EACH_CAP
@pytest.mark.parametrize("notional", [LIMIT_USD * 0.999, LIMIT_USD])
def test_an_order_below_or_at_a_cap_is_allowed(case: CapCase, notional: float) -> None:
    decision = check(case.rules, case.order(notional), case.account())
    assert decision.allowed
    assert decision.clamped_qty == notional / 100


@EACH_CAP
@pytest.mark.parametrize("notional", [LIMIT_USD * 1.00001, LIMIT_USD * 2])
def test_an_order_above_a_cap_is_denied_and_clamped_to_it(case: CapCase, notional: float) -> None:
    decision = check(case.rules, case.order(notional), case.account())
    assert_denied(decision, case.reason)
    assert decision.hit_caps == (case.reason,)
    assert decision.clamped_qty == pytest.approx(LIMIT_USD / 100, rel=1e-12)
    diagnostic = decision.diagnostics[case.reason]
    assert diagnostic.unit == "usd"
    assert diagnostic.threshold == pytest.approx(case.threshold_usd)
    assert diagnostic.observed == pytest.approx(case.threshold_usd - LIMIT_USD + notional)


@EACH_CAP
def test_a_reduce_only_order_is_exempt_from_every_cap(case: CapCase) -> None:
    for held in (case.held, *WILD):
        order = case.order(LIMIT_USD * 100, reduce_only=True, current_gross_notional=held)
        assert check(case.rules, order, case.account(portfolio_gross_usd=held)).allowed


@EACH_CAP
def test_an_exposure_at_or_above_the_cap_leaves_no_room(case: CapCase) -> None:
    if case.held is None and case.portfolio is None:
        return
    for exposure in (case.threshold_usd, case.threshold_usd * 2):
        order = case.order(LIMIT_USD, current_gross_notional=exposure)
        decision = check(case.rules, order, case.account(portfolio_gross_usd=exposure))
        assert_denied(decision, case.reason)
        assert decision.clamped_qty == 0


@EACH_CAP
@pytest.mark.parametrize("exposure", [*WILD, -1.0])
def test_an_exposure_that_is_not_known_denies_where_the_cap_counts_it(case: CapCase, exposure: float | None) -> None:
    order = case.order(1.0, current_gross_notional=exposure)
    decision = check(case.rules, order, case.account(portfolio_gross_usd=exposure))
    if case.held is None and case.portfolio is None:
        assert decision.allowed
        return
    assert_denied(decision, case.reason)
    assert decision.clamped_qty == 0
    assert decision.hit_caps == ()


@EACH_CAP
@pytest.mark.parametrize("notional", [nan, inf])
def test_a_notional_that_is_not_finite_passes_no_cap(case: CapCase, notional: float) -> None:
    decision = check(case.rules, case.order(LIMIT_USD, quote_notional=notional), case.account())
    assert {R.INVALID_INTENT, case.reason} <= set(decision.reasons)
    assert decision.clamped_qty == 0


@EACH_CAP
def test_what_is_left_below_the_minimum_notional_is_no_order(case: CapCase) -> None:
    for minimum, qty in ((LIMIT_USD * 0.99, LIMIT_USD / 100), (LIMIT_USD * 1.01, 0.0)):
        known = case.rules.of(SYMBOL)
        rules = replace(case.rules, symbols={SYMBOL: replace(known, min_notional_usd=minimum)})
        decision = check(rules, case.order(LIMIT_USD * 2), case.account())
        assert_denied(decision, case.reason)
        assert decision.clamped_qty == pytest.approx(qty)


def test_the_defaults_of_the_trade_caps_are_fifteen_and_ten_percent_of_nav() -> None:
    decision = check(limits(), intent(1_500.01))
    assert_denied(decision, R.TRADE_GT_EQUITY_CAP, R.TRADE_GT_MAX_TRADE_NAV_PCT)
    assert [diagnostic.threshold for diagnostic in decision.diagnostics.values()] == [1_500, 1_000]
    assert_denied(check(limits(), intent(1_500.0)), R.TRADE_GT_MAX_TRADE_NAV_PCT)
    assert check(limits(), intent(1_000.0)).allowed


def test_a_tier_that_the_limits_do_not_name_is_denied_and_no_tier_or_no_tier_limits_are_not() -> None:
    tiers = limits({"tiers": {"CORE": {"per_symbol_nav_pct": 0.1}}})
    decision = check(tiers, intent(tier_name="core"))
    assert_denied(decision, R.TIER_CAP)
    assert decision.diagnostics[R.TIER_CAP].threshold is None
    assert decision.clamped_qty == 0
    assert check(tiers, intent(tier_name=None)).allowed
    assert check(limits(), intent(tier_name="core")).allowed
