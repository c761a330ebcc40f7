"""Days that a service has: nobody ran it for three days, and live doubles a thousand orders within a minute."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk, record_alerts
from pipeline_v6_dagster.stages.outputs.comparison_checks import evaluate_comparison
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home

DAY_S = 86_400.0


def run_stages(settings: Settings, now: float) -> None:
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_shadow(settings, limits, fixed(now))
    run_compare(settings, limits, fixed(now))


def decided(settings: Settings) -> dict[str, bool]:
    rows = map(json.loads, settings.shadow_log.read_bytes().splitlines())
    return {row["decision_id"]: row["risk_decision"]["allowed"] for row in rows}


def known(settings: Settings) -> dict[str, str]:
    """What each decision is known as at the end."""
    rows = map(json.loads, settings.compare_diffs.read_bytes().splitlines())
    return {row["decision_id"]: row["mismatch_kind"] for row in rows if row.get("decision_id")}


@pytest.mark.slow
def test_three_days_of_downtime_are_made_up_for_by_one_run(tmp_path: Path) -> None:
    downs = []
    for name, hours in (("watched", range(6, 78, 6)), ("down", [72])):
        settings, executor = simulated_home(tmp_path / name, seconds=0, attempts_per_s=0.003, upsize_share=0.05)
        for hour in hours:
            write_feed(settings, executor.run(START_TS + min(hour, 72) * 3600.0))
            if name == "watched":
                run_stages(settings, START_TS + hour * 3600.0)
        run_stages(settings, START_TS + 4 * DAY_S)
        downs.append((decided(settings), known(settings)))
    assert downs[0] == downs[1]
    assert len(downs[1][0]) == len(downs[1][1]) > 500


@pytest.mark.slow
def test_a_thousand_upsizes_in_a_minute_are_one_alert_that_counts_them(tmp_path: Path) -> None:
    settings, executor = simulated_home(tmp_path, seconds=60, attempts_per_s=40.0, upsize_share=1.0)
    upsized = len(executor.injected)
    assert upsized > 1000
    now = START_TS + 60.0 + 3 * settings.match_tolerance_s
    run_stages(settings, now)
    recorded = record_alerts(settings, evaluate_comparison(CheckContext(settings, now)), now)
    (message,) = [one for one in recorded if one.name == "no_upsizes"]
    assert message.count is not None
    assert message.count >= 1000
    assert len(message.orders) == 5
    assert len(recorded) < 20
    # Evaluated again, nothing is new; and what waits is no more.
    assert record_alerts(settings, evaluate_comparison(CheckContext(settings, now + 60)), now + 60) == []
    assert AlertDesk(settings, fixed(now + 60)).run([]).waiting == {}
    assert settings.alert_outbox.stat().st_size < 200_000
