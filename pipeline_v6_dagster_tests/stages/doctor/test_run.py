"""What is configured, found and understood."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.simulator.faults import Fault
from pipeline_v6_dagster.stages.doctor.run import Action, Findings, examine, understood_limits
from pipeline_v6_dagster.stages.doctor.versions import version_problems
from pipeline_v6_dagster.stages.simulate.run import Plan, prepare_home, read_truth, simulate_history
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home
from pipeline_v6_dagster_tests.live_builders import RISK_LIMITS, T0, Home, attempt_row, can_write_anywhere


def look(home: Path, **environ: str) -> Findings:
    return examine({"PIPELINE_V6_HOME": str(home), **environ}, home, T0)


def test_a_home_in_order_has_no_problems(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0))
    findings = look(tmp_path)
    assert findings.problems == ()
    assert findings.settings == home.settings
    sizes = {file.role: file.size_bytes for file in findings.files}
    assert sizes["order_attempts"] == home.settings.order_attempts.stat().st_size
    assert sizes["orders_executed"] is None


def test_what_is_not_there_yet_is_a_note(tmp_path: Path) -> None:
    Home(tmp_path)
    notes = [note for note in look(tmp_path).notes if "not there yet" in note]
    roles = ("orders_attempted", "orders_executed", "order_metrics", "risk_vetoes", "position_state")
    outputs = ("pipeline_v6_shadow.", "shadow_head", "pipeline_v6_compare.", "compare_summary")
    for name in (*roles, *outputs):
        assert any(name in note for note in notes), name


def test_a_key_that_no_rule_reads_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.risk_limits.write_text(json.dumps(RISK_LIMITS | {"max_leverag": 3, "zzz": 1}))
    notes = look(tmp_path).warnings
    assert "risk_limits.json: max_leverag: no rule reads this key; the nearest known key is max_leverage" in notes
    assert "risk_limits.json: zzz: no rule reads this key" in notes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"approvals":0}', "rollout.json: approvals = 0: must be greater than or equal to 1"),
        ('{"approvals":0}', "rollout.json: stages"),
        ("stages", "rollout.json: "),
    ],
)
def test_a_broken_rollout_plan_is_a_problem_like_any_other_configuration_file(
    tmp_path: Path, content: str, problem: str
) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0))
    home.settings.rollout_plan.write_text(content)
    found = look(tmp_path)
    assert any(problem in each for each in found.problems), found.problems
    assert found.configuration is not None


def test_a_rollout_plan_that_cannot_be_read_is_a_problem_and_one_that_is_valid_is_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0))
    home.settings.rollout_plan.mkdir()
    (problem,) = look(tmp_path).problems
    assert problem.startswith(f"{home.settings.rollout_plan}: ")
    home.settings.rollout_plan.rmdir()
    stage = {"name": "canary", "symbols": "all", "notional_share": 0.1, "min_hours": 1, "criteria": ["no_upsizes"]}
    home.settings.rollout_plan.write_text(json.dumps({"stages": [stage]}))
    assert look(tmp_path).problems == ()


def test_a_filter_of_the_exchange_that_differs_is_named_with_both_values_and_what_holds(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.risk_limits.write_text(json.dumps(RISK_LIMITS | {"min_notional_usd": 20}))
    home.settings.pairs_universe.write_text(
        json.dumps({"symbols": ["BTCUSDT", "ETHUSDT"], "overrides": {"BTCUSDT": {"step_size": 0.001}}})
    )
    filters = [
        {"filterType": "LOT_SIZE", "stepSize": "0.010"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    listed = {"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "filters": filters}]}
    home.settings.exchange_info.write_text(json.dumps(listed))
    findings = look(tmp_path)
    assert (
        "exchange_info.json: BTCUSDT: step_size is 0.01, the desk's files say 0.001: the exchange's holds; correct the"
        " desk's step_size" in findings.warning_groups[Action.LIMITS]
    )
    assert (
        "exchange_info.json: does not list ETHUSDT, which the universe does: no filter of the exchange holds there"
        in findings.warning_groups[Action.LIMITS]
    )
    assert (
        "exchange_info.json: BTCUSDT: min_notional is 5, the desk's files say 20: the desk's is the stricter and holds"
        in findings.notes
    )
    home.settings.exchange_info.write_text("[]")
    (problem,) = look(tmp_path).problems
    assert problem == f"{home.settings.exchange_info}: must hold a JSON object, not []"


def test_every_problem_of_both_files_is_named_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.risk_limits.write_text(json.dumps({"max_leverage": "much", "nav_freshness_seconds": -1}))
    home.settings.pairs_universe.unlink()
    problems = look(tmp_path).problems
    assert len(problems) == 3
    for name in ("max_leverage", "nav_freshness_seconds", "pairs_universe.json"):
        assert any(name in problem for problem in problems), name


def test_every_bad_setting_is_named_at_once(tmp_path: Path) -> None:
    findings = look(tmp_path, PIPELINE_COMPARE_INTERVAL="soon", PIPELINE_COMPARE_MIN_SAMPLE="0")
    assert findings.settings is None
    assert sum("PIPELINE_COMPARE_INTERVAL" in problem for problem in findings.problems) == 1
    assert sum("PIPELINE_COMPARE_MIN_SAMPLE" in problem for problem in findings.problems) == 1


def test_a_window_that_can_never_hold_the_minimum_is_noted(tmp_path: Path) -> None:
    Home(tmp_path)
    assert any("warmup" in note for note in look(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="199").warnings)
    assert not any("warmup" in note for note in look(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="200").warnings)


def test_it_looks_on_past_the_first_problem(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.risk_limits.unlink()
    home.log("orders_executed").mkdir(parents=True)
    problems = look(tmp_path).problems
    assert any("risk_limits.json" in problem for problem in problems)
    assert any("not a regular file" in problem for problem in problems)


def test_a_folder_that_is_a_file_is_a_problem_of_every_output_in_it(tmp_path: Path) -> None:
    Home(tmp_path)
    (tmp_path / "logs").write_text("in the way")
    problems = look(tmp_path).problems
    assert problems
    assert all("logs" in problem for problem in problems)


@pytest.mark.skipif(can_write_anywhere(), reason="this user may write where a mode forbids it")
def test_a_path_that_this_user_may_not_write_is_a_problem(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.logs_dir.mkdir()
    home.settings.logs_dir.chmod(0o555)
    assert all("not writable" in problem for problem in look(tmp_path).problems)
    assert len(look(tmp_path).problems) == 4


@pytest.mark.skipif(can_write_anywhere(), reason="this user may write where a mode forbids it")
def test_a_file_that_this_user_may_not_read_is_a_problem(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0))
    home.settings.order_attempts.chmod(0)
    (problem,) = look(tmp_path).problems
    assert str(home.settings.order_attempts) in problem


def test_limits_are_shown_as_they_are_held(tmp_path: Path) -> None:
    Home(tmp_path)
    configuration = look(tmp_path).configuration
    assert configuration is not None
    limits = understood_limits(configuration)
    assert (limits["max_trade_nav_ratio"], limits["trade_equity_nav_ratio"]) == (0.1, 0.15)
    assert limits["max_portfolio_gross_nav_ratio"] == 1.5
    assert limits["symbols"]["ETHUSDT"]["max_symbol_nav_ratio"] == 0.08
    assert limits["symbols"]["BTCUSDT"]["lot_step"] == 0.001


def test_looking_changes_nothing(tmp_path: Path) -> None:
    Home(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    look(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


# What will bite some day.


def test_a_simulated_home_has_no_warnings(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600, start_ts=START_TS - 600)
    assert examine({"PIPELINE_V6_HOME": str(settings.home)}, tmp_path, START_TS).warnings == ()


def test_every_row_of_a_clock_that_jumps_is_counted(tmp_path: Path) -> None:
    settings = Home(tmp_path / "home").settings
    prepare_home(settings)
    plan = Plan(seed=5, attempts_per_s=0.5, seconds=2400, shares={Fault.CLOCK_SKEW: 0.05})
    simulate_history(settings, plan, START_TS, lambda share: None)
    injected = sum(one.fault == Fault.CLOCK_SKEW for one in read_truth(settings))
    assert injected > 20
    found = examine({"PIPELINE_V6_HOME": str(settings.home)}, tmp_path, START_TS).warnings
    (warning,) = (warning for warning in found if "clock" in warning)
    assert f": {injected} of the newest " in warning
    assert "ahead of" in warning


def test_a_log_that_is_ahead_of_this_machine_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(100))
    (warning,) = look(tmp_path).warnings
    assert "orders_attempted.jsonl: its newest row is 1 min 40 s ahead" in warning


def test_a_variable_that_no_setting_reads_is_named_with_the_nearest(tmp_path: Path) -> None:
    Home(tmp_path)
    (warning,) = look(tmp_path, PIPELINE_COMPAR_INTERVAL="60").warnings
    assert warning.endswith(
        "PIPELINE_COMPAR_INTERVAL: no setting has this name; the nearest known setting is PIPELINE_COMPARE_INTERVAL"
    )


@pytest.mark.parametrize(
    ("environ", "parts"),
    [
        ({"PIPELINE_COMPARE_INTERVAL": "90"}, ["not whole minutes", "below PIPELINE_SHADOW_HEARTBEAT_INTERVAL"]),
        ({"PIPELINE_COMPARE_INTERVAL": "1020"}, ["does not divide a day"]),
        ({"PIPELINE_COMPARE_INTERVAL": "1"}, ["below the floor", "whole minutes", "below PIPELINE"]),
        ({"PIPELINE_V6_RUN_TIMEOUT": "30"}, ["counts as dead"]),
        ({}, []),
    ],
)
def test_intervals_that_do_not_fit_are_told(tmp_path: Path, environ: dict[str, str], parts: list[str]) -> None:
    Home(tmp_path)
    warnings = look(tmp_path, **environ).warnings
    assert len(warnings) == len(parts)
    for warning, part in zip(warnings, parts, strict=True):
        assert part in warning


def test_a_number_that_may_be_a_fraction_or_a_percent_is_told_with_both_readings(tmp_path: Path) -> None:
    home = Home(tmp_path)
    limits = RISK_LIMITS | {"max_trade_nav_pct": 1, "max_gross_exposure_pct": 1.5, "trade_equity_nav_pct": 0.15}
    home.settings.risk_limits.write_text(json.dumps(limits))
    warnings = [text for text in look(tmp_path).warnings if "is read as" in text]
    assert len(warnings) == 2
    assert "max_trade_nav_pct = 1 is read as 1 of NAV (100 %); if you mean 1 %, write 0.01" in warnings[0]
    assert "max_gross_exposure_pct = 1.5 is read as 0.015 of NAV (1.5 %); if you mean 150 %, write 150" in warnings[1]


def test_an_alert_url_that_reaches_nobody_is_a_problem_that_shows_no_secret(tmp_path: Path) -> None:
    Home(tmp_path)
    problems = look(tmp_path, PIPELINE_V6_ALERT_URLS="json://localhost/path slak://tokenA/tokenB").problems
    assert [problem.split(": ")[2].split(" is")[0] for problem in problems] == ["URL 2 (slak://...)"]
    assert not any(secret in " ".join(problems) for secret in ("tokenA", "tokenB"))


def test_versions_are_shown_and_fit(tmp_path: Path) -> None:
    Home(tmp_path)
    findings = look(tmp_path)
    assert {"pipeline_v6_dagster", "engine", "python", "dagster", "msgspec"} <= set(findings.versions)
    assert "missing" not in findings.versions.values()
    assert version_problems() == ()


def test_rotated_files_are_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0))
    home.settings.order_attempts.with_name("orders_attempted.1.jsonl").write_text("{}\n")
    files = {file.role: file.rotations for file in look(tmp_path).files}
    assert files["order_attempts"] == 1


def test_what_looks_like_a_rotation_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = Home(tmp_path).settings
    bad = [
        settings.orders_executed.with_name("orders_executed.jsonl.1.zst"),
        settings.risk_vetoes.with_suffix(".1.jsonl.lz4"),
    ]
    for path in bad:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no such format")
    (group,) = [group for action, group in look(tmp_path).warning_groups.items() if "rotations" in action]
    assert [warning.partition(":")[0] for warning in group] == [str(path) for path in bad]


def test_symbols_that_the_universe_does_not_list_are_named_with_their_other_spelling(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0), attempt_row(1, symbol="XRPUSDT"), attempt_row(2, symbol="eth-usdt"), b"{torn")
    (warning,) = (warning for warning in look(tmp_path).warnings if "does not list" in warning)
    assert "2 of the newest 3 attempts: 'XRPUSDT', 'eth-usdt' (it lists 'ETHUSDT');" in warning
    assert not any(
        "does not list" in warning for warning in look(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external").warnings
    )


def test_of_many_unlisted_symbols_the_most_traded_are_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(*(attempt_row(at, symbol=f"X{at % 10}USDT") for at in range(19)))
    (warning,) = (warning for warning in look(tmp_path).warnings if "does not list" in warning)
    assert "'X0USDT', 'X1USDT'" in warning and "'X7USDT' and 2 more;" in warning


def test_a_universe_that_lists_all_is_not_warned_of(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, symbol="ETHUSDT"), attempt_row(1))
    assert not any("does not list" in warning for warning in look(tmp_path).warnings)
