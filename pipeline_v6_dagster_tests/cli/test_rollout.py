"""`pipeline-v6 rollout` as an operator types it."""

import getpass
import json
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
