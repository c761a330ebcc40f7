"""What is configured, found and understood."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.stages.doctor import Findings, examine, understood_limits
from pipeline_v6_dagster_tests.live_builders import RISK_LIMITS, Home, attempt_row, can_write_anywhere


def look(home: Path, **environ: str) -> Findings:
    return examine({"PIPELINE_V6_HOME": str(home), **environ}, home)


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
    notes = look(tmp_path).notes
    assert "risk_limits.json: max_leverag: no rule reads this key; the nearest known key is max_leverage" in notes
    assert "risk_limits.json: zzz: no rule reads this key" in notes


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
    assert any("warmup" in note for note in look(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="199").notes)
    assert not any("warmup" in note for note in look(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="200").notes)


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
