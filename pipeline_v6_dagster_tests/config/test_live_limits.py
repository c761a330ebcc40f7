"""The limits that live applied, beside those that v6 reads."""

from typing import Any

import pytest
from hypothesis import given

from pipeline_v6_dagster.config.live_limits import LimitDifference, is_ratio, live_limit_differences
from pipeline_v6_dagster_tests.builders import SYMBOL, json_values, limits, unhurried

CONFIGURED = limits(
    {
        "max_leverage": 4,
        "nav_freshness_seconds": 90,
        "max_trades_per_symbol_per_hour": 10,
        "max_gross_exposure_pct": 200,
        "daily_loss_limit_pct": 5,
        "circuit_breaker": {"max_errors": 3, "window_sec": 60},
        "tiers": {"CORE": {"per_symbol_nav_pct": 30}},
    },
    {"max_order_notional": 80_000},
)


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ({"max_leverage": 4.0, "nav_freshness_seconds": 90, "max_gross_exposure_pct": 200}, []),
        ({"max_gross_exposure_pct": 2 * 100.00000000001}, []),
        ({"max_leverage": 3.0}, [("max_leverage", 3.0, 4.0)]),
        ({"max_leverage": "3"}, [("max_leverage", 3.0, 4.0)]),
        ({"max_trades_per_symbol_per_hour": 5}, [("max_trades_per_symbol_per_hour", 5.0, 10.0)]),
        ({"daily_loss_limit_pct": 3.0}, [("daily_loss_limit_pct", 0.03, 0.05)]),
        ({"daily_loss_limit_pct": 0.05}, []),
        ({"max_notional_per_trade": 100}, [("max_notional_per_trade", 100.0, 80_000.0)]),
        ({"error_circuit": {"max_errors": 5, "window_sec": 60}}, [("error_circuit.max_errors", 5.0, 3.0)]),
        ({"tier_cap": {"tier": "CORE", "per_symbol_nav_pct": 8.0}}, [("tiers.CORE", 0.08, 0.3)]),
        ({"tier_cap": {"tier": "ALT", "per_symbol_nav_pct": 8.0}}, [("tiers.ALT", 0.08, None)]),
        ({"max_concurrent_positions": 3}, [("max_concurrent_positions", 3.0, None)]),
        ({"bucket_cap": 478.0}, [("bucket_cap", 478.0, None)]),
        ({"observed_count": 5, "drawdown_peak": 3.0, "max_leverage": None, "min_notional": True}, []),
    ],
)
def test_what_differs_is_named_with_both_numbers(thresholds: dict[str, Any], expected: list[Any]) -> None:
    assert live_limit_differences(thresholds, CONFIGURED, SYMBOL) == tuple(LimitDifference(*each) for each in expected)


def test_ratios_are_known_as_such() -> None:
    assert is_ratio("daily_loss_limit_pct") and is_ratio("tiers.CORE") and not is_ratio("max_leverage")


@unhurried
@given(json_values())
def test_anything_that_json_holds_is_compared_or_left_out(value: Any) -> None:
    for name in ("max_leverage", "tier_cap", "error_circuit", "max_nav_pct"):
        live_limit_differences({name: value}, CONFIGURED, None)
