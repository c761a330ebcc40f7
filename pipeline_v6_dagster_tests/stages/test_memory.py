"""Memory does not follow the length of the logs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_peak_of_shadow_and_compare_is_that_of_a_log_a_twelfth_as_long(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [
            sys.executable,
            REPO / "benchmarks" / "memory.py",
            "--folder",
            tmp_path,
            "--small-mb",
            "5",
            "--large-mb",
            "60",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    peaks = json.loads(outcome.stdout)
    assert peaks["shadow_peak_ratio"] < 1.2
    assert peaks["compare_peak_ratio"] < 1.2
