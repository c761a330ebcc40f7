"""The README is run, not only read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_v6_dagster_tests.homes import simulated_home

REPO = Path(__file__).parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every line of a console block."""
    return [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def test_every_make_target_is_there_and_goes_through_the_lock() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert {"demo", "test", "dev", "check", "bench"} <= targets
    for target in targets:
        assert f"\n{target}: $(INSTALLED)\n" in makefile, target


def test_the_commands_on_ones_own_logs_run_as_written(tmp_path: Path) -> None:
    simulated_home(tmp_path, upsize_share=0.05)
    lines = [line for line in commands() if line.startswith(".venv/bin/pipeline-v6 ")]
    assert [line.split()[1] for line in lines] == ["doctor", "shadow", "heartbeat", "compare", "status"]
    codes = []
    for line in lines:
        arguments = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", *line.split()[1:]]
        environ = {**os.environ, "PIPELINE_V6_HOME": str(tmp_path)}
        codes.append(subprocess.run(arguments, cwd=REPO, env=environ, capture_output=True, check=False).returncode)
    assert codes == [0, 0, 0, 0, 1]


@pytest.mark.slow
def test_the_demo_without_its_ui_ends_green(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "demo", "--no-ui"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "status green, verdict PASS" in demo.stdout
    assert list(tmp_path.iterdir()) == []
