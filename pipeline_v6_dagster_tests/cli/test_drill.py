"""`pipeline-v6 drill` as a user types it."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster_tests.cli.running import pipeline_v6

SIMULATION = ("simulate", "--at-once", "--seconds", "100000", "--rate", "0.003")


@pytest.mark.slow
def test_a_fault_has_one_line_and_a_drill_that_tests_nothing_is_no_success(tmp_path: Path) -> None:
    assert pipeline_v6(tmp_path, *SIMULATION).exit_code == 0
    # Three days, which is too few for a criterion of sufficiency to hold.
    outcome = pipeline_v6(tmp_path, "drill", "--fault", "few-days")
    assert (outcome.exit_code, outcome.stderr) == (2, "")
    assert "  not tested  few-days" in outcome.stdout
    assert "0 caught, 0 missed, 1 could not be tested" in outcome.stdout
    report = json.loads(pipeline_v6(tmp_path, "drill", "--fault", "few-days", "--json").stdout)
    assert [result["name"] for result in report["results"]] == ["few-days"]
    assert report["has_missed"] is False
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "config"}


def test_a_home_without_attempts_has_nothing_to_drill(tmp_path: Path) -> None:
    outcome = pipeline_v6(tmp_path, "drill")
    assert (outcome.exit_code, outcome.stderr) == (2, "")
    assert outcome.stdout == "nothing to drill: the logs hold no order attempt to inject faults into\n"
    report = json.loads(pipeline_v6(tmp_path, "drill", "--json").stdout)
    assert (report["attempts"], report["results"], report["first_ts"]) == (0, [], None)


def test_bad_usage_is_one_line(tmp_path: Path) -> None:
    for arguments, exit_code, part in (
        (("--fault", "nonsense"), 64, "nonsense"),
        (("--days", "0"), 64, "--days"),
    ):
        outcome = pipeline_v6(tmp_path, "drill", *arguments)
        assert (outcome.exit_code, outcome.stderr.count("\n")) == (exit_code, 1)
        assert part in outcome.stderr
