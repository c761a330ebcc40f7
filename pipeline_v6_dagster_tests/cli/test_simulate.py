"""`pipeline-v6 simulate` as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipeline_v6_dagster_tests.cli.running import pipeline_v6

COMMAND = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "simulate"]


def test_a_history_with_faults_tells_what_was_injected(tmp_path: Path) -> None:
    arguments = ("--at-once", "--seconds", "1200", "--rate", "0.5", "--fault", "upsize:0.1", "--fault", "torn:0.01")
    outcome = pipeline_v6(tmp_path, "simulate", *arguments, "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    run = json.loads(outcome.stdout)
    truth = [json.loads(line) for line in (tmp_path / "logs" / "simulated_truth.jsonl").read_bytes().splitlines()]
    assert run["faults"] == {name: sum(one["fault"] == name for one in truth) for name in ("upsize", "torn")}
    assert min(run["faults"].values()) > 0
    assert {"logs", "config"} == {path.name for path in tmp_path.iterdir()}


def test_faults_of_the_table_are_mixed_in_as_well(tmp_path: Path) -> None:
    arguments = ("--at-once", "--seconds", "2400", "--rate", "0.5", "--fault", "overfill:0.1", "--fault", "upsize:0.1")
    outcome = pipeline_v6(tmp_path, "simulate", *arguments, "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    lines = (tmp_path / "logs" / "simulated_truth.jsonl").read_bytes().splitlines()
    truth = [json.loads(line)["fault"] for line in lines]
    assert {name: truth.count(name) for name in ("overfill", "upsize")} == json.loads(outcome.stdout)["faults"]
    assert min(truth.count("overfill"), truth.count("upsize")) > 30


def test_until_ctrl_c_and_then_it_says_what_it_wrote(tmp_path: Path) -> None:
    simulation = subprocess.Popen(
        [*COMMAND, "--rate", "50"],
        env={**os.environ, "PIPELINE_V6_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        # A terminal delivers Ctrl-C; a script's background job, in which these tests may run, ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    log = tmp_path / "logs" / "execution" / "orders_attempted.jsonl"
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        assert simulation.poll() is None
        time.sleep(0.05)
    simulation.send_signal(signal.SIGINT)
    said, _ = simulation.communicate(timeout=60)
    assert simulation.returncode == 0
    assert "lines logged" in said
    assert log.read_bytes().endswith(b"}\n")


def test_it_ends_by_itself_after_its_seconds(tmp_path: Path) -> None:
    outcome = pipeline_v6(tmp_path, "simulate", "--seconds", "1", "--rate", "50")
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_bad_usage_is_one_line_that_says_what_would_be_right(tmp_path: Path) -> None:
    for arguments, part in (
        (("--fault", "upsise:0.1"), "the nearest is upsize"),
        (("--fault", "upsize:7"), "share from 0 to 1"),
        (("--at-once",), "--seconds"),
    ):
        outcome = pipeline_v6(tmp_path, "simulate", *arguments)
        assert outcome.exit_code == 64
        assert outcome.stderr.count("\n") == 1
        assert part in outcome.stderr


def test_a_home_of_a_real_executor_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "execution" / "orders_attempted.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"symbol": "BTCUSDT"}\n')
    outcome = pipeline_v6(tmp_path, "simulate", "--at-once", "--seconds", "60")
    assert outcome.exit_code == 65
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [log]
