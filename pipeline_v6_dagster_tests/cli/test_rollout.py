"""`pipeline-v6 rollout` as an operator types it."""

import getpass
import json
import os
from pathlib import Path

import pytest

from pipeline_v6_dagster_tests.cli.running import pipeline_v6


@pytest.mark.parametrize(("command", "trading_state"), [("halt", "halted"), ("reduce", "reducing")])
def test_a_stop_needs_no_evidence_and_no_name(tmp_path: Path, command: str, trading_state: str) -> None:
    done = pipeline_v6(tmp_path, "rollout", command)
    assert done.exit_code == 0, done.stderr
    file = json.loads((tmp_path / "logs" / "state" / "pipeline_v6_rollout.json").read_bytes())
    assert (file["trading_state"], file["by"], file["symbols"]) == (trading_state, getpass.getuser(), [])


def test_a_step_up_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    unnamed = pipeline_v6(tmp_path, "rollout", "approve")
    assert (unnamed.exit_code, "--by" in unnamed.stderr) == (64, True)
    refused = pipeline_v6(tmp_path, "rollout", "approve", "--by", "Ada", "--why", "go")
    assert (refused.exit_code, refused.stderr.count("\n")) == (65, 1)
    assert "a PASS is needed, and the verdict is NO_DATA" in refused.stderr
    assert not (tmp_path / "logs" / "state" / "pipeline_v6_rollout.json").exists()


@pytest.mark.parametrize("damage", ["garbage", "folder"])
@pytest.mark.parametrize(("command", "trading_state"), [("halt", "halted"), ("reduce", "reducing")])
def test_a_stop_is_in_effect_although_the_history_is_damaged(
    tmp_path: Path, command: str, trading_state: str, damage: str
) -> None:
    log = tmp_path / "logs" / "pipeline_v6_rollout.jsonl"
    log.parent.mkdir()
    log.mkdir() if damage == "folder" else log.write_text("garbage\n")
    done = pipeline_v6(tmp_path, "rollout", command, "--by", "Ben", "--why", "incident")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert f"the history is damaged ({log}: " in done.stderr
    assert f"pipeline_v6_rollout.json says so: v6 is off and trading is {trading_state};" in done.stderr
    assert "pipeline-v6 rollout resume" in done.stderr
    assert f"trading is {trading_state}" in done.stdout
    told = pipeline_v6(tmp_path, "rollout", command, "--json")
    file = json.loads((tmp_path / "logs" / "state" / "pipeline_v6_rollout.json").read_bytes())
    assert json.loads(told.stdout) == file
    assert (file["state"], file["trading_state"]) == ("off", trading_state)
    assert pipeline_v6(tmp_path, "rollout", "resume", "--by", "Ben", "--why", "over").exit_code in (65, 74)


def test_a_stop_that_cannot_be_announced_is_in_effect(tmp_path: Path) -> None:
    (tmp_path / "logs" / "pipeline_v6_alerts.jsonl").mkdir(parents=True)
    done = pipeline_v6(tmp_path, "rollout", "halt")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert "halt is in effect and not announced" in done.stderr


@pytest.mark.parametrize("by", ["", "compare", "..."])
def test_no_name_stops_a_stop(tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", no_name)
    done = pipeline_v6(tmp_path, "rollout", "halt", "--by", by, "--why", "")
    assert done.exit_code == 0, done.stderr
    file = json.loads((tmp_path / "logs" / "state" / "pipeline_v6_rollout.json").read_bytes())
    assert (file["trading_state"], file["by"], file["reason"]) == ("halted", by or f"user {os.getuid()}", "by hand")


def test_status_shows_where_it_stands_although_the_plan_is_broken(tmp_path: Path) -> None:
    pipeline_v6(tmp_path, "rollout", "halt", "--by", "Ben", "--why", "incident")
    plan = tmp_path / "config" / "rollout.json"
    plan.parent.mkdir(exist_ok=True)
    plan.write_text('{"stages": []}')
    told = pipeline_v6(tmp_path, "rollout", "status")
    assert told.exit_code == 65
    lines = told.stdout.splitlines()
    assert lines[0] == "v6 is off, trading is halted"
    assert lines[1].endswith(" by Ben: incident")
    assert lines[-1] == f"PLAN: {plan}: stages = []: lists no stage"
    report = json.loads(pipeline_v6(tmp_path, "rollout", "status", "--json").stdout)
    assert (report["trading_state"], report["by"], len(report["plan_problems"])) == ("halted", "Ben", 1)
