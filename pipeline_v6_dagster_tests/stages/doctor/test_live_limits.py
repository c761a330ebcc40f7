"""Limits that live applied with other values than v6 reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.stages.doctor.run import Action, examine
from pipeline_v6_dagster_tests.live_builders import RISK_LIMITS, SYMBOL, T0, Home, ack_row

LIMITS = RISK_LIMITS | {"max_leverage": 4, "nav_freshness_seconds": 90, "max_trades_per_symbol_per_hour": 10}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.settings.risk_limits.write_text(json.dumps(LIMITS))
    return home


def veto(at: float, detail: dict[str, Any], reason: str = "leverage_cap", **fields: Any) -> str:
    row = {"event_type": "risk_veto", "ts": T0 + at, "symbol": SYMBOL, "veto_reason": reason, "veto_detail": detail}
    return json.dumps(row | fields)


def said(home: Home, *rows: str) -> tuple[str, ...]:
    home.settings.risk_vetoes.parent.mkdir(parents=True, exist_ok=True)
    home.settings.risk_vetoes.write_text("".join(f"{row}\n" for row in rows))
    findings = examine({"PIPELINE_V6_HOME": str(home.settings.home)}, home.settings.home, T0 + 10_000)
    return findings.warning_groups.get(Action.LIVE_LIMITS, ())


def test_a_threshold_that_differs_is_told_with_both_numbers_when_and_how_often(home: Home) -> None:
    rows = [veto(at, {"thresholds": {"max_leverage": 2.0, "nav_freshness_seconds": 90.0}}) for at in (5, 3)]
    (warning,) = said(home, *rows)
    assert "live applied max_leverage = 2 in 2 vetoes of BTCUSDT, the newest at 2025-11-01 12:26:45 UTC" in warning
    assert "the configuration says 4" in warning


@pytest.mark.parametrize("place", ["nested", "flat", "beside"])
def test_thresholds_are_found_wherever_live_writes_them(home: Home, place: str) -> None:
    thresholds = {"max_trades_per_symbol_per_hour": 5, "observed_count": 5}
    detail = {"nested": {"thresholds": thresholds}, "flat": thresholds}.get(place, {})
    beside = {"thresholds": thresholds} if place == "beside" else {}
    (warning,) = said(home, veto(0, detail, "trade_rate_limit", **beside))
    assert "max_trades_per_symbol_per_hour = 5" in warning and "the configuration says 10" in warning


def test_a_limit_that_v6_does_not_have_is_one_line_whatever_its_number(home: Home) -> None:
    (warning,) = said(home, *(veto(at, {"thresholds": {"bucket_cap": 400.0 + at}}, "bucket_cap") for at in range(5)))
    assert "bucket_cap = 404 in 5 vetoes" in warning and "nothing that v6 reads limits this" in warning


def test_live_that_vetoes_at_fewer_openings_than_the_limit_is_told(home: Home) -> None:
    home.orders(*(ack_row(at * 60, str(at)) for at in range(5)))
    detail = {"max_trades_per_symbol_per_hour": 10, "observed_count": 11}
    (warning,) = said(home, veto(1000, detail, "trade_rate_limit"))
    assert "for trade_rate_limit after 5 opening orders within an hour" in warning
    assert "max_trades_per_symbol_per_hour = 10" in warning
    # Nothing is said of an hour of which the orders log holds no opening.
    assert said(home, veto(9000, detail, "trade_rate_limit")) == ()


@pytest.mark.parametrize("detail", [None, [], "x", {"thresholds": 3}, {"thresholds": {"max_leverage": [2]}}, {}])
def test_a_veto_without_thresholds_says_nothing(home: Home, detail: Any) -> None:
    assert said(home, veto(0, detail), "{torn", "[]", "") == ()
