"""`pipeline-v6 --executor NAME` and `pipeline-v6 fleet`."""

import json
import time
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.fleet import Executor, load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.outputs.fleet_status import ExecutorStatus, write_fleet_summary
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster_tests.cli.running import Outcome, pipeline_v6
from pipeline_v6_dagster_tests.cli.test_commands import EASY
from pipeline_v6_dagster_tests.fleets import fleet_settings

HISTORY_S = 3700.0


def run(base: Settings, *arguments: str, **environ: str) -> Outcome:
    return pipeline_v6(base.home, *arguments, PIPELINE_V6_FLEET=str(base.fleet_file), **environ)


def trade(executor: Executor, upsize_share: float = 0.0) -> None:
    write_configuration(executor.settings)
    start_ts = time.time() - HISTORY_S
    simulated = SimulatedExecutor(7, start_ts, 0.1, upsize_share)
    write_feed(executor.settings, simulated.run(start_ts + HISTORY_S - 100))


def decide(base: Settings, name: str) -> None:
    for command in ("shadow", "heartbeat", "compare"):
        outcome = run(base, "--executor", name, command, **EASY)
        assert (outcome.exit_code, outcome.stderr) == (0, "")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Four executors: one that passes, one with upsizes, one that has nothing yet, one whose home is not there."""
    folder = tmp_path_factory.mktemp("fleet")
    base = fleet_settings(folder, {"passes": [], "upsizes": [], "idle": [], "gone": ['home = "/nowhere"']})
    fleet = load_fleet(base)
    trade(fleet.executor("passes"))
    trade(fleet.executor("upsizes"), upsize_share=0.05)
    write_configuration(fleet.executor("idle").settings)
    for name in ("passes", "upsizes"):
        decide(base, name)
    return base


def test_a_command_is_about_the_executor_that_is_named(base: Settings) -> None:
    assert run(base, "--executor", "passes", "status", **EASY).exit_code == 0
    assert run(base, "--executor", "upsizes", "status", **EASY).exit_code == 1
    doctor = run(base, "--executor", "passes", "doctor", "--json")
    assert json.loads(doctor.stdout)["settings"]["PIPELINE_V6_HOME"] == str(base.home / "passes")


def test_fleet_status_shows_all_and_exits_with_the_worst(base: Settings) -> None:
    outcome = run(base, "fleet", "status", "--json", **EASY)
    rows = {row["name"]: row for row in json.loads(outcome.stdout)["executors"]}
    assert {name: (row["status"], row["verdict"], row["exit_code"]) for name, row in rows.items()} == {
        "passes": ("green", "PASS", 0),
        "upsizes": ("red", "FAIL", 1),
        "idle": ("no_data", "NO_DATA", 3),
        "gone": ("no_data", "NO_DATA", 3),
    }
    assert rows["gone"]["problem"] == "/nowhere: is no folder that this machine can see"
    assert outcome.exit_code == 1
    table = run(base, "fleet", "status", **EASY)
    assert [line.split()[:4] for line in table.stdout.splitlines()[1:4]] == [
        ["passes", "-", "green", "PASS"],
        ["upsizes", "-", "red", "FAIL"],
        ["idle", "-", "no_data", "NO_DATA"],
    ]
    assert table.exit_code == 1


@pytest.mark.parametrize(
    ("tables", "exit_code"),
    [({"passes": 0}, 0), ({"passes": 0, "warms": 2}, 2), ({"warms": 2, "idle": 3}, 3), ({"idle": 3, "red": 1}, 1)],
)
def test_no_data_is_worse_than_warmup_and_red_is_the_worst(
    tmp_path: Path, tables: dict[str, int], exit_code: int
) -> None:
    base = fleet_settings(tmp_path, {name: ['host = "far-away"'] for name in tables})
    rows = [reported(name, code) for name, code in tables.items()]
    write_fleet_summary(base, rows, time.time())
    assert run(base, "fleet", "status").exit_code == exit_code


def reported(name: str, exit_code: int, age_s: float = 0.0) -> ExecutorStatus:
    return ExecutorStatus(
        name=name,
        host="far-away",
        status=Status.GREEN,
        verdict=Verdict.PASS,
        exit_code=exit_code,
        answer="",
        as_of_ts=time.time() - age_s,
    )


def test_an_executor_on_another_host_is_shown_as_it_reported_and_is_stale_after_three_intervals(tmp_path: Path) -> None:
    base = fleet_settings(tmp_path, {name: ['host = "far-away"'] for name in ("new", "old", "silent")})
    write_fleet_summary(base, [reported("new", 0, age_s=2600), reported("old", 0, age_s=2800)], time.time())
    outcome = run(base, "fleet", "status", "--json")
    rows = {row["name"]: row for row in json.loads(outcome.stdout)["executors"]}
    assert {name: row["exit_code"] for name, row in rows.items()} == {"new": 0, "old": 3, "silent": 3}
    assert rows["old"]["problem"] == "its newest report is from 2,800 s ago, 2,700 s at most"
    assert rows["silent"]["problem"] == "its runs on host far-away have reported nothing yet"


def test_with_a_fleet_a_command_needs_a_name_and_without_one_it_takes_none(base: Settings) -> None:
    without_name = run(base, "status")
    assert without_name.exit_code == 64
    assert "name one: pipeline-v6 --executor NAME" in without_name.stderr
    for arguments in (("--executor", "alpha", "status"), ("fleet", "status")):
        without_fleet = pipeline_v6(base.home, *arguments)
        assert without_fleet.exit_code == 64
        assert "there is no fleet; set PIPELINE_V6_FLEET" in without_fleet.stderr


def test_a_bad_fleet_file_is_one_line_and_bad_configuration(tmp_path: Path) -> None:
    base = fleet_settings(tmp_path, {"alpha": ["compare_interval_s = 0"]})
    for arguments in (("--executor", "alpha", "status"), ("fleet", "status")):
        outcome = run(base, *arguments)
        assert outcome.exit_code == 65
        assert outcome.stderr.count("\n") == 1
        assert "executors.alpha.compare_interval_s = 0: must be greater than 0" in outcome.stderr


@pytest.mark.parametrize("arguments", [("status",), ("shadow",), ("metrics",), ("fleet", "status")], ids=" ".join)
def test_a_fleet_file_that_cannot_be_used_is_what_a_command_names_first(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "fleet.toml"
    missing = pipeline_v6(tmp_path, *arguments, PIPELINE_V6_FLEET=str(path))
    assert (missing.exit_code, missing.stdout, missing.stderr.count("\n")) == (74, "", 1)
    assert f"{path}: cannot be read: No such file" in missing.stderr
    path.mkdir()
    assert pipeline_v6(tmp_path, *arguments, PIPELINE_V6_FLEET=str(path)).exit_code == 74
    path.rmdir()
    path.touch()
    empty = pipeline_v6(tmp_path, *arguments, PIPELINE_V6_FLEET=str(path))
    assert (empty.exit_code, empty.stdout, empty.stderr.count("\n")) == (65, "", 1)
    assert f"{path}: executors: lists no executor" in empty.stderr


@pytest.mark.parametrize("command", ["status", "metrics", "doctor", "alerts"])
def test_an_executor_that_the_fleet_does_not_list_is_bad_usage(tmp_path: Path, command: str) -> None:
    base = fleet_settings(tmp_path, {"alpha": []})
    outcome = run(base, "--executor", "alpha-2", command)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr.count("\n")) == (64, "", 1)
    assert "executors.alpha-2: lists no such executor; did you mean alpha?" in outcome.stderr


def samples(base: Settings, *arguments: str) -> dict[str, dict[str, float]]:
    """The value of each metric without further labels, by executor."""
    outcome = run(base, *arguments, "metrics", "--json", **EASY)
    assert outcome.exit_code == 0, outcome.stderr
    found: dict[str, dict[str, float]] = {}
    for sample in json.loads(outcome.stdout)["metrics"]:
        assert "executor" in sample["labels"], sample
        if set(sample["labels"]) <= {"executor", "host"}:
            found.setdefault(sample["name"], {})[sample["labels"]["executor"]] = sample["value"]
    return found


def test_metrics_carry_the_executor(base: Settings) -> None:
    found = samples(base)
    assert found["pipeline_v6_exit_code"] == {"passes": 0, "upsizes": 1, "idle": 3, "gone": 3}
    assert set(found["pipeline_v6_executor_info"]) == {"passes", "upsizes", "idle", "gone"}
    assert found["pipeline_v6_upsizes"]["upsizes"] > 0 == found["pipeline_v6_upsizes"]["passes"]
    assert samples(base, "--executor", "passes")["pipeline_v6_exit_code"] == {"passes": 0}


def test_the_text_of_a_fleet_is_one_family_for_each_name(base: Settings) -> None:
    text = run(base, "metrics", **EASY).stdout
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families)) > 20
    assert 'pipeline_v6_exit_code{executor="upsizes"} 1.0' in text


def test_alerts_are_those_of_the_fleet_unless_an_executor_is_named(base: Settings) -> None:
    of_fleet = json.loads(run(base, "alerts", "--json").stdout)
    assert of_fleet["standing"] == []
    first = run(base, "alerts").stdout.splitlines()[0]
    assert first.startswith("no gathered alert stands; Dagster gathers the alerts of the executors")
    own = json.loads(run(base, "--executor", "upsizes", "alerts", "--json").stdout)
    assert "compare_summary/no_upsizes" in {alert["subject"] for alert in own["standing"]}
    assert [channel["channel"] for channel in own["waiting"]] == ["fleet"]
