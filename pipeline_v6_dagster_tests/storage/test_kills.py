"""Real processes, killed at random: 300 SIGKILLs among commands that work beside each other on one home."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.storage.chain import unchained
from pipeline_v6_dagster.storage.follow import Follower
from pipeline_v6_dagster_tests.homes import make_settings

REPO = Path(__file__).parents[2]
KILLS = 300
SEED = 11


def read_lines(path: Path) -> list[bytes]:
    """All lines of a log over its rotations and archives, oldest first."""
    with Follower(path, None, with_archives=True) as follower:
        return [unchained(line.raw) for line in follower.lines()]


def read_diffs(path: Path) -> list[bytes]:
    return [line for line in read_lines(path) if b'"cursor":' not in line]


@pytest.mark.slow
def test_three_hundred_kills_of_real_processes_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    soak = subprocess.run(
        [sys.executable, "-m", "pipeline_v6_dagster_tests.storage.soak_of_kills", str(tmp_path), str(SEED), str(KILLS)],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert (soak.returncode, soak.stderr) == (0, "")
    told = json.loads(soak.stdout)
    assert sum(told["killed"].values()) >= KILLS
    # Whoever was not killed did its work, or left because the other one held the log.
    assert {code.split()[1] for code in told["exits"]} <= {"0"}

    settings = make_settings(tmp_path)
    attempts = [json.loads(line)["attempt_id"] for line in read_lines(settings.order_attempts)]
    decided = [json.loads(line)["attempt_id"] for line in read_lines(settings.shadow_log)]
    assert decided == attempts
    assert len(attempts) > 500

    compared = [json.loads(line) for line in read_diffs(settings.compare_diffs)]
    settled = [diff["decision_id"] for diff in compared if diff["decision_id"] and diff["revision_of"] is None]
    decisions = [json.loads(line)["decision_id"] for line in read_lines(settings.shadow_log)]
    assert sorted(settled) == sorted(decisions)
    assert len(set(settled)) == len(settled)
    assert verify_logs(settings).is_whole

    # What no kill ever met writes the same.
    incremental = read_diffs(settings.compare_diffs)
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_compare(settings, limits, lambda: told["now"], rebuild=True)
    assert read_diffs(settings.compare_diffs) == incremental
