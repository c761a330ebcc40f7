"""A range is the same from the history as from the compare log, and so is the report over it."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.history_rows import history_table
from pipeline_v6_dagster.stages.history.append import append_history
from pipeline_v6_dagster.stages.history.ranges import read_history_range, read_log_range
from pipeline_v6_dagster.stages.outputs.report import MOST_DECISIONS, MOST_RUNS, report_path, write_report
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.live_builders import (
    T0,
    Home,
    ack_row,
    attempt_row,
    error_row,
    fill_row,
    veto_row,
)

HOURS = 8
LATE_S = 3 * 3600.0


def trade(root: Path) -> Settings:
    """Hours of matches, vetoes, errors, upsizes, orders without a decision, and fills that were logged late."""
    home = Home(root)
    for hour in range(HOURS):
        at = 3600.0 * hour
        for number in range(8):
            name, begins = f"{hour}-{number}", at + 60 * number
            home.attempts(attempt_row(begins, name))
            if number == 0:
                home.vetoes(veto_row(begins + 1, name))
            elif number == 1:
                home.orders(error_row(begins + 1, name))
            elif number > 2:
                qty = 10.0 if number == 3 else 5.0
                home.orders(ack_row(begins + 1, name, qty=qty), fill_row(begins + 2, name, qty=qty, status="FILLED"))
        home.orders(ack_row(at + 600, f"nobody-{hour}", symbol="ETHUSDT"))
        if at >= LATE_S:
            late = f"{int((at - LATE_S) // 3600)}-2"
            home.orders(ack_row(at + 700 - LATE_S, late), fill_row(at + 701 - LATE_S, late, status="FILLED"))
        home.run(at + 3000)
    return home.settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = trade(tmp_path_factory.mktemp("traded"))
    append_history(settings)
    yield settings


@pytest.mark.parametrize(
    ("from_h", "to_h"), [(None, None), (0, HOURS), (2, 5), (None, 3), (4, None), (2.01, 2.02), (100, 200)]
)
@pytest.mark.parametrize("most", [5, 20, 1000])
def test_the_diffs_and_runs_of_a_range_are_those_of_the_log(
    settings: Settings, from_h: float | None, to_h: float | None, most: int
) -> None:
    from_ts = None if from_h is None else T0 + 3600 * from_h
    to_ts = None if to_h is None else T0 + 3600 * to_h
    of_log = read_log_range(settings, from_ts, to_ts, most, 3)
    of_history = read_history_range(settings, from_ts, to_ts, most, 3)
    assert of_history == of_log
    if (from_h, to_h) == (0, HOURS) and most == 1000:
        assert len(of_log.diffs) == 9 * HOURS
        assert sum(diff.revision_of is not None for diff in of_log.diffs) == HOURS - 3
        assert sum(diff.is_upsize is True for diff in of_log.diffs) == HOURS


def test_a_report_over_a_range_is_the_one_from_the_log(settings: Settings, tmp_path: Path) -> None:
    from_ts, to_ts = T0 + 3600, T0 + 6 * 3600
    report = write_report(settings, T0, from_ts=from_ts, to_ts=to_ts)
    page = report.path.read_text(encoding="utf-8")
    assert history_table(settings) in page
    shutil.copytree(settings.home, tmp_path / "home", ignore=shutil.ignore_patterns("history"))
    alone = settings.model_copy(update={"home": tmp_path / "home", "logs_dir": tmp_path / "home" / "logs"})
    of_log = write_report(alone, T0, from_ts=from_ts, to_ts=to_ts)
    assert replace(of_log, path=report.path, size_bytes=report.size_bytes) == report
    other = of_log.path.read_text(encoding="utf-8")
    assert page.replace(history_table(settings), "SOURCE") == other.replace(str(alone.compare_diffs), "SOURCE")


def test_a_report_over_a_range_holds_the_decisions_and_the_last_verdict_of_that_time(settings: Settings) -> None:
    report = write_report(settings, T0, from_ts=T0, to_ts=T0 + 3600)
    assert (report.decisions, report.upsizes) == (9, 1)
    assert report.path == report_path(settings, T0, T0 + 3600)
    assert re.fullmatch(r"pipeline_v6_parity_\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d\.html", report.path.name)
    assert (report.status, report.verdict) == ("warmup", "FAIL")


def test_a_range_without_a_run_has_no_report(settings: Settings) -> None:
    with pytest.raises(DataError, match=r"holds no run of compare from .*; choose another range"):
        write_report(settings, T0, from_ts=T0 + 90 * 86_400, to_ts=None)


def test_the_report_appends_first_what_the_history_lacks(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.run(3600)
    append_history(home.settings)
    home.attempts(attempt_row(4000, "2"))
    home.run(9000)
    outcome = pipeline_v6(tmp_path, "report", "--from", str(T0), "--to", str(T0 + 9000), "--json")
    assert '"decisions":2' in outcome.stdout
    everything = read_history_range(home.settings, None, None, MOST_DECISIONS, MOST_RUNS)
    assert [diff.intent_id for diff in everything.diffs] == ["ord_2", "ord_1"]


def test_the_ends_of_a_range_come_in_their_order(tmp_path: Path) -> None:
    for command in ("report", "history"):
        outcome = pipeline_v6(tmp_path, command, "--from", "1790000001", "--to", "1790000000")
        assert (outcome.exit_code, "--from is after --to" in outcome.stderr) == (64, True)
