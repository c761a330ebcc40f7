"""The verdict for a launch gate, as an exit code."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from pipeline_v6_dagster.cli.main import cli
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.stages.compare import summary as compare_summary
from pipeline_v6_dagster.stages.outputs import next_steps as advice
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row

RUN_AT = 1000.0
HEAD_STALE_S = 3 * 600
SUMMARY_STALE_S = 3 * 900


@pytest.fixture(autouse=True)
def _two_decisions_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    # They tell half a percent of mismatches from nine in ten.
    monkeypatch.setattr(compare_summary, "UNACCEPTABLE_MISMATCH_RATIO", 0.9)


def home_of(tmp_path: Path, *qtys: float, answered: int | None = None, **environ: str) -> Home:
    """Attempts of 5, answered by orders of these quantities, compared once."""
    home = Home(tmp_path, **{"PIPELINE_COMPARE_MIN_SAMPLE": "4"} | environ)
    for number, qty in enumerate(qtys):
        home.attempts(attempt_row(number, str(number)))
        if answered is None or number < answered:
            home.orders(ack_row(number + 0.2, str(number), qty=qty), fill_row(number + 0.4, str(number), qty=qty))
    home.run(RUN_AT)
    return home


@pytest.mark.parametrize(
    ("qtys", "exit_code", "status", "verdict"),
    [
        ([5.0] * 4, 0, Status.GREEN, Verdict.PASS),
        ([5.0] * 3 + [10.0], 1, Status.RED, Verdict.FAIL),
        ([4.7] * 4, 1, Status.AMBER, Verdict.INCONCLUSIVE),
        ([5.0] * 3, 2, Status.WARMUP, Verdict.INCONCLUSIVE),
        ([10.0] * 3, 2, Status.WARMUP, Verdict.INCONCLUSIVE),
        ([], 3, Status.NO_DATA, Verdict.NO_DATA),
    ],
)
def test_the_exit_code_is_for_a_gate(
    tmp_path: Path, qtys: list[float], exit_code: int, status: Status, verdict: Verdict
) -> None:
    report = read_status(home_of(tmp_path, *qtys).settings, T0 + RUN_AT)
    assert (report.exit_code, report.status, report.verdict, report.stale) == (exit_code, status, verdict, ())
    assert report.reasons


def test_green_sizes_do_not_open_the_gate_where_the_decisions_disagree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_summary, "MAX_UNCOVERED_RATIO", 1.0)
    home = home_of(tmp_path, *[5.0] * 8, answered=6)
    report = read_status(home.settings, T0 + RUN_AT)
    assert (report.status, report.verdict, report.exit_code) == (Status.GREEN, Verdict.FAIL, 1)


def test_green_sizes_do_not_open_the_gate_where_evidence_is_missing(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 8)
    home.attempts(attempt_row(500, "denied", qty=50.0))  # v6 denies it, and nobody logged what live did.
    home.run(2000)
    report = read_status(home.settings, T0 + 2000)
    assert (report.status, report.verdict, report.exit_code) == (Status.GREEN, Verdict.INCONCLUSIVE, 2)


def test_nothing_run_yet_is_no_data(tmp_path: Path) -> None:
    report = read_status(Home(tmp_path).settings, T0)
    assert (report.exit_code, report.status, report.summary) == (3, Status.NO_DATA, None)
    assert "pipeline-v6" in report.reasons[0]


@pytest.mark.parametrize(
    ("age_s", "stale"),
    [
        (HEAD_STALE_S, []),
        (HEAD_STALE_S + 1, ["head"]),
        (SUMMARY_STALE_S, ["head"]),
        (SUMMARY_STALE_S + 1, ["summary", "head"]),
        (-HEAD_STALE_S, []),
        (-SUMMARY_STALE_S - 1, ["summary", "head"]),
    ],
)
def test_more_than_three_intervals_from_now_is_stale(tmp_path: Path, age_s: float, stale: list[str]) -> None:
    report = read_status(home_of(tmp_path, *[5.0] * 4).settings, T0 + RUN_AT + age_s)
    assert [text.split()[0] for text in report.stale] == stale
    assert report.exit_code == (3 if stale else 0)


def test_the_interval_counts_not_the_default(tmp_path: Path) -> None:
    environ = {"PIPELINE_SHADOW_HEARTBEAT_INTERVAL": "10", "PIPELINE_COMPARE_INTERVAL": "10"}
    home = home_of(tmp_path, *[5.0] * 4, **environ)
    assert read_status(home.settings, T0 + RUN_AT + 30).exit_code == 0
    assert read_status(home.settings, T0 + RUN_AT + 31).exit_code == 3


def test_a_head_that_is_missing_is_stale(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    home.settings.shadow_head.unlink()
    report = read_status(home.settings, T0 + RUN_AT)
    assert (report.exit_code, len(report.stale)) == (3, 1)


@pytest.mark.parametrize(("waited_s", "exit_code"), [(HEAD_STALE_S, 0), (HEAD_STALE_S + 1, 3)])
def test_a_shadow_that_stands_still_makes_the_verdict_stale(tmp_path: Path, waited_s: float, exit_code: int) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    home.attempts(attempt_row(RUN_AT + 1, "undecided"))
    now = RUN_AT + 1 + waited_s
    refresh_head(home.settings, T0 + now)
    home.compare(now)
    report = read_status(home.settings, T0 + now)
    assert (report.status, report.exit_code) == (Status.GREEN, exit_code)
    assert [text for text in report.stale if "pipeline-v6 shadow" in text] == list(report.stale)


def test_an_attempt_that_the_next_heartbeat_decides_is_no_standstill(tmp_path: Path) -> None:
    # It had come a moment before the comparison, which is not made again for an hour.
    home = home_of(tmp_path, *[5.0] * 4, PIPELINE_COMPARE_INTERVAL="3600")
    home.attempts(attempt_row(RUN_AT + 1, "undecided"))
    home.compare(RUN_AT + 2)
    now = RUN_AT + 3600
    refresh_head(home.settings, T0 + now)
    assert read_status(home.settings, T0 + now).stale == ()


def test_a_lost_summary_file_is_read_from_the_log(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    before = read_status(home.settings, T0 + RUN_AT)
    home.settings.compare_summary.unlink()
    assert read_status(home.settings, T0 + RUN_AT) == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "purple"}', '{"status": "green"}', '{"status": 1}'])
def test_a_summary_that_is_not_understood_is_no_verdict(tmp_path: Path, content: str) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    home.settings.compare_summary.write_text(content)
    with pytest.raises(DataError, match="not understood"):
        read_status(home.settings, T0 + RUN_AT)


def test_a_summary_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    home.settings.compare_summary.unlink()
    home.settings.compare_summary.mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        read_status(home.settings, T0 + RUN_AT)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 4)

    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    before = content()
    read_status(home.settings, T0 + RUN_AT)
    assert content() == before


def test_the_report_holds_the_summary(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    summary: dict[str, Any] = json.loads(home.settings.compare_summary.read_bytes())
    assert read_status(home.settings, T0 + RUN_AT).summary == summary


def test_what_changed_since_the_run_before_is_told(tmp_path: Path) -> None:
    home = home_of(tmp_path, *[5.0] * 4)
    first = read_status(home.settings, T0 + RUN_AT)
    assert (first.changes, first.previous_ts) == ((), None)
    home.attempts(attempt_row(RUN_AT, "more"))
    home.orders(ack_row(RUN_AT + 0.2, "more", qty=10.0), fill_row(RUN_AT + 0.4, "more", qty=10.0))
    home.run(RUN_AT + 100)
    report = read_status(home.settings, T0 + RUN_AT + 100)
    assert report.previous_ts == T0 + RUN_AT
    assert {"status green -> red", "verdict PASS -> FAIL", "upsizes 0 -> 1", "decisions compared 4 -> 5"} <= set(
        report.changes
    )
    home.run(RUN_AT + 200)
    assert read_status(home.settings, T0 + RUN_AT + 200).changes == ()


@pytest.mark.parametrize(
    ("qtys", "now", "step"),
    [
        ([5.0] * 4, RUN_AT, "nothing: the evidence is for v6"),
        ([5.0] * 4, RUN_AT + 10_000, "the figures are old"),
        ([5.0] * 3 + [10.0], RUN_AT, "keep v6 off and stop the executor"),
        ([4.7] * 4, RUN_AT, "keep v6 off: order sizes are far from v6's"),
        ([5.0] * 3, RUN_AT, "wait for more decisions"),
        ([], RUN_AT, "pipeline-v6 doctor"),
    ],
)
def test_the_next_step_fits_what_is_wrong(tmp_path: Path, qtys: list[float], now: float, step: str) -> None:
    report = read_status(home_of(tmp_path, *qtys).settings, T0 + now)
    assert step in report.to_do[0]
    assert ("nothing" in report.to_do[0]) == (report.exit_code == 0)


def test_a_named_step_is_a_command_that_is_there(tmp_path: Path) -> None:
    source = (Path(advice.__file__)).read_text(encoding="utf-8")
    named = set(re.findall(r"pipeline-v6 ([a-z]+)", source))
    assert named
    assert named <= set(cli.list_commands(click.Context(cli)))
