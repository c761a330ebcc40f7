"""The cases of every cap, by the function that measures it. Each leaves 500 USD to a BUY at 100."""

from math import inf, nan

from pipeline_v6_dagster_tests.builders import limits
from pipeline_v6_dagster_tests.shadow.rule_case import (
    ABOVE,
    BELOW,
    NO_EXPOSURE,
    NO_NAV,
    NO_NUMBERS,
    NOT_POSITIVE,
    Case,
    account_wide,
    notional,
    own,
)

BRACKETS = [{"leverage": 5, "max_position_usd": 700}, {"leverage": 2, "max_position_usd": 9_000}]
TIERS = [limits({"fail_closed_on_nav_stale": False, "tiers": {"CORE": {"per_symbol_nav_pct": at}}}) for at in (0.08, 8)]
CAP_CASES: dict[str, tuple[Case, ...]] = {
    "max_qty": (notional([limits(max_qty=5), limits(market_max_qty=5)], {"qty": NO_NUMBERS}),),
    "order_cap": (
        notional(
            [
                limits(own={"max_order_notional": 500}),
                limits({"global": {"max_notional_usd": 500}}),
                limits(max_order_notional=500),
            ],
            {"quote_notional": (nan, inf)},
        ),
    ),
    "max_position_qty": (
        notional(
            [limits(own={"max_position_qty": 8})],
            {"symbol_open_qty": NO_NUMBERS, "pending_qty": (nan, inf)},
            symbol_open_qty=2.0,
            pending_qty=1.0,
        ),
    ),
    "max_position_usd": (
        notional(
            [limits({"max_position_usd": 800}), limits(own={"max_position_usd": 800})],
            NO_EXPOSURE,
            current_gross_notional=100.0,
            pending_live_usd=150.0,
            pending_v6_usd=50.0,
        ),
    ),
    "symbol_nav_cap": (
        notional(
            [*account_wide(0.08, "max_symbol_exposure_pct"), *own(0.08, "max_nav_pct")],
            NO_EXPOSURE | NO_NAV,
            current_gross_notional=300.0,
        ),
    ),
    "symbol_share_cap": (
        notional(
            account_wide(0.25, "symbol_notional_share_cap_pct"),
            NO_EXPOSURE | NO_NAV | {"portfolio_gross_usd": NO_NUMBERS},
            current_gross_notional=2_000.0,
            portfolio_gross_usd=5_000.0,
        ),
    ),
    "leverage_brackets": (
        notional(
            [limits(leverage_brackets=BRACKETS)],
            NO_EXPOSURE | {"leverage": NOT_POSITIVE},
            current_gross_notional=200.0,
            leverage=3.0,
        ),
        Case(
            measured="leverage",
            passing=(5.0 * BELOW, 5.0),
            denied=(5.0 * ABOVE,),
            configured=[limits(leverage_brackets=BRACKETS)],
        ),
    ),
    "margin": (
        notional(
            account_wide(0.25, "max_margin_pct"),
            {"free_balance_usd": NO_NUMBERS, "leverage": NOT_POSITIVE, "pending_portfolio_usd": NO_NUMBERS},
            free_balance_usd=600.0,
            leverage=4.0,
            pending_portfolio_usd=100.0,
        ),
    ),
    "equity_cap": (notional(account_wide(0.05, "trade_equity_nav_pct"), NO_NAV),),
    "trade_nav_cap": (notional(account_wide(0.05, "max_trade_nav_pct"), NO_NAV),),
    "portfolio_cap": (
        notional(
            account_wide(0.5, "max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct"),
            NO_NAV | {"portfolio_gross_usd": NO_NUMBERS, "pending_portfolio_usd": NO_NUMBERS},
            portfolio_gross_usd=4_400.0,
            pending_portfolio_usd=100.0,
        ),
    ),
    "net_exposure_cap": (
        notional(account_wide(0.25, "max_net_exposure_pct"), NO_NAV | {"net_usd": NO_NUMBERS}, net_usd=2_000.0),
    ),
    "tier_cap": (
        notional(
            TIERS,
            NO_EXPOSURE | NO_NAV | {"tier_name": ("core", "OTHER")},
            tier_name="CORE",
            current_gross_notional=300.0,
        ),
    ),
}
