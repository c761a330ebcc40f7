"""The cases of every gate, by the function that measures it. Unless given, an order is a BUY of 5 at 100."""

from math import inf, nan

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster_tests.builders import NAV_USD, SYMBOL, limits
from pipeline_v6_dagster_tests.shadow.rule_case import (
    ABOVE,
    BELOW,
    NO_NAV,
    NO_NUMBERS,
    NOT_POSITIVE,
    Case,
    account_wide,
    count,
    elapsed,
    loss,
    switch,
)

GATE_CASES: dict[str, tuple[Case, ...]] = {
    "invalid_intent": (
        Case(
            measured="quote_notional",
            passing=(1e-300,),
            denied=(0.0, -1.0),
            configured=[limits()],
            unknown={
                "symbol": ("",),
                "side": (None,),
                **dict.fromkeys(("qty", "price", "quote_notional"), NOT_POSITIVE),
            },
        ),
    ),
    "kill_switch": (switch((limits({"kill_switch": False}),), (limits({"kill_switch": True}),)),),
    "halted": (
        Case(
            measured="trading_state",
            passing=(TradingState.ACTIVE,),
            denied=(TradingState.HALTED,),
            configured=[limits()],
        ),
        switch((limits({"trading_state": "active"}),), (limits({"trading_state": "halted"}),)),
    ),
    "reducing": (
        Case(
            measured="trading_state",
            passing=(TradingState.ACTIVE,),
            denied=(TradingState.REDUCING,),
            configured=[limits()],
        ),
        switch((limits({"trading_state": "active"}),), (limits({"trading_state": "reducing"}),)),
    ),
    "nav_stale": (
        Case(
            measured="nav_age_s",
            passing=(0.0, 90.0 * BELOW, 90.0),
            denied=(90.0 * ABOVE,),
            configured=[limits({"nav_freshness_seconds": 90})],
            unknown={"nav_age_s": (*NO_NUMBERS, -0.001), **NO_NAV},
        ),
    ),
    "unknown_symbol": (
        Case(
            measured="symbol",
            passing=(SYMBOL,),
            denied=("OTHERUSDT", SYMBOL.lower(), f"{SYMBOL} "),
            configured=[limits()],
            unknown={"symbol": ("",)},
        ),
    ),
    "symbol_disabled": (
        switch(
            (limits(own={"enabled": True}), limits(status="trading")),
            (limits(own={"enabled": False}), limits(enabled=False), limits(status="halted")),
        ),
    ),
    "restricted": (
        switch((limits({"restricted_symbols": ["OTHER"]}),), (limits({"restricted_symbols": ["OTHER", SYMBOL]}),)),
    ),
    "not_whitelisted": (
        switch((limits({"whitelist": [SYMBOL]}),), (limits({"whitelist": []}), limits({"whitelist": ["OTHER"]}))),
    ),
    "quote_not_allowed": (
        switch(
            (limits({"quote_symbols": ["EUR", "USDT"]}),),
            (limits({"quote_symbols": ["USDC"]}), limits({"quote_symbols": []})),
        ),
    ),
    "side_blocked": (
        Case(
            measured="side",
            passing=(Side.BUY,),
            denied=(Side.SELL,),
            configured=[limits(own={"block_sides": [word]}) for word in ("SELL", "SHORT")],
        ),
    ),
    "reduce_only_invalid": (
        Case(
            measured="position_qty",
            passing=(9.0, 5.0, 5e-324),
            denied=(0.0, -1.0),
            configured=[limits()],
            given={"reduce_only": True},
            unknown={"position_qty": (nan, inf, -inf)},
            unknown_passes={"position_qty": (None,)},
        ),
    ),
    "notional_mismatch": (
        Case(
            measured="price",
            passing=(100.0, 102.0 * BELOW, 102.0, 98.0),
            denied=(102.0 * ABOVE, 98.0 * BELOW),
            configured=account_wide(0.02, "notional_mismatch_pct"),
            unknown={"price": (nan, inf, -inf)},
        ),
    ),
    "below_min_notional": (
        Case(
            measured="quote_notional",
            passing=(20.0 * ABOVE, 20.0),
            denied=(20.0 * BELOW, 1.0),
            configured=[
                limits({"min_notional": 20}),
                limits({"global": {"min_notional_usdt": 20}}),
                limits(min_notional=20),
            ],
            is_denied_reducing=False,
        ),
        Case(
            measured="quote_notional",
            passing=(10.0,),
            denied=(10.0 * BELOW,),
            configured=[limits(step_size=0.1)],
        ),
    ),
    "below_min_qty": (
        Case(
            measured="quote_notional",
            passing=(100.0 * ABOVE, 100.0),
            denied=(100.0 * BELOW,),
            configured=[limits(min_qty=1), limits(market_min_qty=1)],
            unknown={"qty": (None, nan, -inf)},
        ),
    ),
    "open_qty": (
        Case(
            measured="symbol_open_qty",
            passing=(0.0, 2.0 * BELOW, -2.0 * BELOW),
            denied=(2.0, -2.0, 2.0 * ABOVE),
            configured=[limits(own={"max_open_qty": 3})],
            given={"pending_qty": 1.0},
            unknown={"symbol_open_qty": NO_NUMBERS, "pending_qty": (nan, inf)},
        ),
    ),
    "leverage": (
        Case(
            measured="leverage",
            passing=(3.0 * BELOW, 3.0),
            denied=(3.0 * ABOVE,),
            configured=[limits({"max_leverage": 3}), limits(own={"max_leverage": 3}), limits(max_leverage=3)],
            unknown={"leverage": NOT_POSITIVE},
        ),
    ),
    "max_concurrent": (
        Case(
            measured="open_positions_count",
            passing=(0, 1),
            denied=(2, 3),
            configured=[limits({"max_concurrent_positions": 3})],
            given={"pending_positions": 1},
            unknown={"open_positions_count": (*NO_NUMBERS, -2)},
        ),
    ),
    "symbol_positions": (
        Case(
            measured="other_positions",
            passing=(0,),
            denied=(1, 2),
            configured=[limits(caps={"max_concurrent_positions": 1})],
        ),
    ),
    "already_in_trade": (
        Case(
            measured="is_in_trade",
            passing=(False,),
            denied=(True,),
            configured=[limits(), limits({"allow_pyramiding": False})],
            unknown={"is_in_trade": (None,)},
        ),
        switch((limits({"allow_pyramiding": True}),), (limits({"allow_pyramiding": False}),), is_in_trade=True),
    ),
    "max_open_orders": (count("open_orders", limits({"max_open_orders": 3}), limits(own={"max_open_orders": 3})),),
    "cooldown_after_fill": (elapsed("since_fill_s", 60.0, limits({"cooldown_sec": 60})),),
    "cooldown_after_loss": (elapsed("since_loss_s", 60.0, limits({"cooldown_minutes_after_stop": 1})),),
    "trade_rate": (count("openings_last_hour", limits({"max_trades_per_symbol_per_hour": 3})),),
    "burst": (count("orders_in_window", limits({"burst_limit": {"window_sec": 9, "max_orders": 3}})),),
    "circuit_breaker": (
        count(
            "errors_in_window",
            limits({"circuit_breaker": {"window_sec": 9, "max_errors": 3}}),
            limits({"global": {"error_circuit": {"window_sec": 9, "max_errors": 3}}}),
        ),
    ),
    "day_loss": (loss("day_pnl_usd", "daily_loss_limit_pct"),),
    "symbol_drawdown": (loss("symbol_day_pnl_usd", "symbol_drawdown_cap_pct"),),
    "drawdown": (
        Case(
            measured="peak_nav_usd",
            passing=(NAV_USD, NAV_USD / 0.9 * BELOW),
            denied=(NAV_USD / 0.9, NAV_USD / 0.9 * ABOVE),
            configured=account_wide(0.1, "max_nav_drawdown_pct"),
            unknown={"peak_nav_usd": NOT_POSITIVE, **NO_NAV},
        ),
    ),
    "price_collar": (
        Case(
            measured="reference_price",
            passing=(100.0, 100 / 1.02 * ABOVE, 100 / 1.02, 100 / 0.98),
            denied=(100 / 1.02 * BELOW, 100 / 0.98 * ABOVE),
            configured=account_wide(0.02, "price_collar_pct"),
            unknown={"reference_price": NOT_POSITIVE},
        ),
    ),
    "percent_price": tuple(
        Case(
            measured="reference_price",
            passing=passing,
            denied=denied,
            configured=[limits(multiplier_up=1.05, multiplier_down=0.95)],
            given={"side": side},
            unknown={"reference_price": NOT_POSITIVE},
        )
        for side, passing, denied in (
            (Side.BUY, (100 / 1.05 * ABOVE, 100 / 1.05), (100 / 1.05 * BELOW,)),
            (Side.SELL, (100 / 0.95 * BELOW, 100 / 0.95), (100 / 0.95 * ABOVE,)),
        )
    ),
    "duplicate_intent": (elapsed("since_same_order_s", 5.0, limits({"duplicate_window_sec": 5})),),
}
