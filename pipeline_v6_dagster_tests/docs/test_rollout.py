"""The page on the rollout is run: its commands in its order, its reader, its table of stages, its example of a plan."""

import json
import re
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.rollout_plan import DEFAULT_PLAN, load_rollout_plan
from pipeline_v6_dagster.simulator import rollout_reader
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.rollout.desk import LENIENT, Desk

TEXT = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_reader_on_the_page_is_the_one_that_is_tested() -> None:
    assert blocks("python")[0] == Path(rollout_reader.__file__).read_text(encoding="utf-8")


def test_the_example_of_a_plan_is_one(tmp_path: Path) -> None:
    (example,) = blocks("json")
    path = tmp_path / "rollout.json"
    path.write_text(example)
    assert load_rollout_plan(path, ()).approvals == json.loads(example)["approvals"]


def test_the_table_of_stages_is_the_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\d+) % \| (\d*) ?\|$", TEXT, re.MULTILINE)
    assert [(name, int(share) / 100, float(hours or 0)) for name, share, hours in rows] == [
        (stage.name, stage.notional_share, stage.min_hours) for stage in DEFAULT_PLAN.stages
    ]


def test_the_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    for name in ("rollout", "status"):
        monkeypatch.setattr(f"pipeline_v6_dagster.cli.{name}.clock", lambda: desk.now)
    (console,) = blocks("console")
    lines = console.splitlines()
    for line in lines:
        words = re.findall(r'"[^"]*"|\S+', line)[1:]
        outcome = pipeline_v6(tmp_path, *(word.strip('"') for word in words), **LENIENT)
        assert (outcome.exit_code, outcome.stderr) == (0, ""), line
    assert len(lines) == 9
    assert desk.rollout.state == "rolled_back"
