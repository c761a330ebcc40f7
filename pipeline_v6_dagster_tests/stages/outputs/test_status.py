"""The verdict for a launch gate, as an exit code."""

import json
import re
from pathlib import Path

import click
import pytest

from pipeline_v6_dagster.cli.main import cli
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.logs.compare_log import encode_summary_file
from pipeline_v6_dagster.stages.outputs import next_steps
from pipeline_v6_dagster.stages.outputs.status import ChainReader, Report, read_status
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row

RUN_AT = 1000.0
HEAD_STALE_S = 3 * 600
SUMMARY_STALE_S = 3 * 900


def make_home(tmp_path: Path, *qtys: float, answered: int | None = None, **environ: str) -> Home:
    """Attempts of 5, answered by orders of these quantities, compared once."""
    home = Home(tmp_path, **{"PIPELINE_COMPARE_MIN_SAMPLE": "4"} | environ)
    for number, qty in enumerate(qtys):
        home.attempts(attempt_row(number, str(number)))
        if answered is None or number < answered:
            home.orders(ack_row(number + 0.2, str(number), qty=qty), fill_row(number + 0.4, str(number), qty=qty))
    home.run(RUN_AT)
    return home


def read_state(report: Report, name: str) -> CriterionState:
    (found,) = (each for each in report.criteria if each.name == name)
    return found.state


@pytest.mark.parametrize(
    ("qtys", "exit_code", "status", "verdict"),
    [
        ([5.0] * 4, 2, Status.GREEN, Verdict.INCONCLUSIVE),
        ([5.0] * 3 + [10.0], 1, Status.RED, Verdict.FAIL),
        ([4.7] * 4, 1, Status.AMBER, Verdict.FAIL),
        ([5.0] * 3, 2, Status.WARMUP, Verdict.INCONCLUSIVE),
        ([10.0] * 3, 2, Status.WARMUP, Verdict.FAIL),
        ([], 3, Status.NO_DATA, Verdict.NO_DATA),
    ],
)
def test_the_exit_code_is_for_a_gate(
    tmp_path: Path, qtys: list[float], exit_code: int, status: Status, verdict: Verdict
) -> None:
    report = read_status(make_home(tmp_path, *qtys).settings, T0 + RUN_AT)
    assert (report.exit_code, report.status, report.verdict, report.stale) == (exit_code, status, verdict, ())
    assert report.reasons


def test_green_sizes_do_not_open_the_gate_where_evidence_is_missing(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 8)
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
    report = read_status(make_home(tmp_path, *[5.0] * 4).settings, T0 + RUN_AT + age_s)
    assert [text.split()[0] for text in report.stale] == stale
    assert report.exit_code == (3 if stale else 2)


def test_the_interval_counts_not_the_default(tmp_path: Path) -> None:
    environ = {"PIPELINE_SHADOW_HEARTBEAT_INTERVAL": "10", "PIPELINE_COMPARE_INTERVAL": "10"}
    home = make_home(tmp_path, *[5.0] * 4, **environ)
    assert read_status(home.settings, T0 + RUN_AT + 30).exit_code == 2
    assert read_status(home.settings, T0 + RUN_AT + 31).exit_code == 3


def test_a_head_that_is_missing_is_stale(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    home.settings.shadow_head.unlink()
    report = read_status(home.settings, T0 + RUN_AT)
    assert (report.exit_code, len(report.stale)) == (3, 1)


@pytest.mark.parametrize(("waited_s", "exit_code"), [(HEAD_STALE_S, 2), (HEAD_STALE_S + 1, 3)])
def test_a_shadow_that_stands_still_makes_the_verdict_stale(tmp_path: Path, waited_s: float, exit_code: int) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    home.attempts(attempt_row(RUN_AT + 1, "undecided"))
    now = RUN_AT + 1 + waited_s
    refresh_head(home.settings, T0 + now)
    home.compare(now)
    report = read_status(home.settings, T0 + now)
    assert (report.status, report.exit_code) == (Status.GREEN, exit_code)
    assert [text for text in report.stale if "pipeline-v6 shadow" in text] == list(report.stale)


def test_an_attempt_that_the_next_heartbeat_decides_is_no_standstill(tmp_path: Path) -> None:
    # It had come a moment before the comparison, which is not made again for an hour.
    home = make_home(tmp_path, *[5.0] * 4, PIPELINE_COMPARE_INTERVAL="3600")
    home.attempts(attempt_row(RUN_AT + 1, "undecided"))
    home.compare(RUN_AT + 2)
    now = RUN_AT + 3600
    refresh_head(home.settings, T0 + now)
    assert read_status(home.settings, T0 + now).stale == ()


def test_a_lost_summary_file_is_read_from_the_log(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    before = read_status(home.settings, T0 + RUN_AT)
    home.settings.compare_summary.unlink()
    assert read_status(home.settings, T0 + RUN_AT) == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "purple"}', '{"status": "green", "verdict": "PASS"}'])
def test_a_summary_file_that_is_not_in_the_log_is_broken_evidence(tmp_path: Path, content: str) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    home.settings.compare_summary.write_text(content)
    report = read_status(home.settings, T0 + RUN_AT)
    assert (report.verdict, report.exit_code) == (Verdict.INCONCLUSIVE, 2)
    assert read_state(report, "logs_intact") is CriterionState.BROKEN


def test_a_summary_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    home.settings.compare_summary.unlink()
    home.settings.compare_summary.mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        read_status(home.settings, T0 + RUN_AT)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)

    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    before = content()
    read_status(home.settings, T0 + RUN_AT)
    assert content() == before


def test_the_report_holds_the_summary(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    summary = read_status(home.settings, T0 + RUN_AT).summary
    assert summary is not None
    assert home.settings.compare_summary.read_bytes() == encode_summary_file(summary)


def test_what_changed_since_the_run_before_is_shown(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    first = read_status(home.settings, T0 + RUN_AT)
    assert (first.changes, first.previous_ts) == ((), None)
    home.attempts(attempt_row(RUN_AT, "more"))
    home.orders(ack_row(RUN_AT + 0.2, "more", qty=10.0), fill_row(RUN_AT + 0.4, "more", qty=10.0))
    home.run(RUN_AT + 100)
    report = read_status(home.settings, T0 + RUN_AT + 100)
    assert report.previous_ts == T0 + RUN_AT
    assert {
        "status green -> red",
        "verdict INCONCLUSIVE -> FAIL",
        "upsizes 0 -> 1",
        "decisions compared 4 -> 5",
    } <= set(report.changes)
    home.run(RUN_AT + 200)
    assert read_status(home.settings, T0 + RUN_AT + 200).changes == ()


@pytest.mark.parametrize(
    ("qtys", "now", "step"),
    [
        ([5.0] * 4, RUN_AT, "keep v6 off until every criterion holds"),
        ([5.0] * 4, RUN_AT + 10_000, "the figures are old"),
        ([5.0] * 3 + [10.0], RUN_AT, "no_upsizes: "),
        ([4.7] * 4, RUN_AT, "v6_not_larger: "),
        ([5.0] * 3, RUN_AT, "wait for more decisions"),
        ([], RUN_AT, "pipeline-v6 doctor"),
    ],
)
def test_the_next_step_fits_what_is_wrong(tmp_path: Path, qtys: list[float], now: float, step: str) -> None:
    report = read_status(make_home(tmp_path, *qtys).settings, T0 + now)
    assert step in report.to_do[0]
    assert report.answer.startswith("v6 may not go live: ")
    assert report.answer.endswith(report.to_do[0])


def test_a_named_step_is_a_command_that_is_there(tmp_path: Path) -> None:
    source = (Path(next_steps.__file__)).read_text(encoding="utf-8")
    named = set(re.findall(r"pipeline-v6 ([a-z]+)", source))
    assert named
    assert named <= set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize("verdict", ["PASS", "INCONCLUSIVE"])
def test_an_edited_summary_file_is_trusted_for_nothing(tmp_path: Path, verdict: str) -> None:
    home = make_home(tmp_path, *[5.0] * 3 + [10.0])
    path = home.settings.compare_summary
    content = path.read_bytes()
    assert b'"FAIL"' in content
    path.write_bytes(content.replace(b'"verdict": "FAIL"', b'"verdict": "%b"' % verdict.encode()))
    report = read_status(home.settings, T0 + RUN_AT)
    assert report.summary is not None and report.summary.verdict is Verdict.FAIL
    assert read_state(report, "logs_intact") is CriterionState.BROKEN
    assert (report.verdict, report.exit_code) == (Verdict.FAIL, 1)  # An upsize stays one on broken evidence.
    assert pipeline_v6(tmp_path, "verify").exit_code == 65


def test_a_broken_compare_log_still_gives_a_verdict(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    path = home.settings.compare_diffs
    *others, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(others) + last.replace(b'"counts":{', b'"counts":[', 1))
    outcome = pipeline_v6(tmp_path, "status", "--json")
    shown = json.loads(outcome.stdout)
    assert (shown["verdict"], outcome.exit_code) == ("INCONCLUSIVE", 2)
    assert "logs_intact" in shown["failed_criteria"]


def test_edited_limits_are_another_epoch_until_v6_decides_under_them(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    assert read_state(read_status(home.settings, T0 + RUN_AT), "epoch_is_current") is CriterionState.HOLDS
    limits = json.loads(home.settings.risk_limits.read_text())
    home.settings.risk_limits.write_text(json.dumps(limits | {"max_leverage": 3}))
    report = read_status(home.settings, T0 + RUN_AT)
    assert read_state(report, "epoch_is_current") is not CriterionState.HOLDS
    assert report.exit_code == 2


def test_a_key_that_nobody_reads_stands_in_the_way(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    assert read_state(read_status(home.settings, T0 + RUN_AT), "limits_understood") is CriterionState.HOLDS
    limits = json.loads(home.settings.risk_limits.read_text())
    home.settings.risk_limits.write_text(json.dumps(limits | {"max_symbol_exposure_ratio": 0.1}))
    report = read_status(home.settings, T0 + RUN_AT)
    assert read_state(report, "limits_understood") is CriterionState.BROKEN
    assert report.exit_code == 2


def test_a_limit_that_live_applied_otherwise_is_said_with_both_numbers(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    limits = json.loads(home.settings.risk_limits.read_text())
    home.settings.risk_limits.write_text(json.dumps(limits | {"max_leverage": 3}))
    veto = {"ts": T0, "symbol": "BTCUSDT", "veto_reason": "leverage_cap", "thresholds": {"max_leverage": 2}}
    home.settings.risk_vetoes.write_text(json.dumps(veto) + "\n")
    found = {each.name: each for each in read_status(home.settings, T0 + RUN_AT).criteria}["limits_understood"]
    assert found.state is CriterionState.HOLDS
    assert "live applied max_leverage = 2, the configuration says 3" in found.description


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0.0, CriterionState.HOLDS), (2 * 86_400.0, CriterionState.BROKEN), (-RUN_AT - 3600, CriterionState.BROKEN)],
)
def test_rows_a_day_old_or_ahead_of_the_clock_are_not_fresh(
    tmp_path: Path, seconds: float, state: CriterionState
) -> None:
    report = read_status(make_home(tmp_path, *[5.0] * 4).settings, T0 + RUN_AT + seconds)
    assert read_state(report, "inputs_fresh") is state
    assert report.exit_code != 0


def test_who_asks_repeatedly_reads_only_what_was_added_and_never_forgets_a_finding(tmp_path: Path) -> None:
    home = make_home(tmp_path, *[5.0] * 4)
    verify = ChainReader()
    assert verify(home.settings) == []
    home.run(RUN_AT + 900)
    assert verify(home.settings) == []
    path = home.settings.compare_diffs
    *others, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(others) + last.replace(b"1", b"2", 1))
    assert verify(home.settings)
    assert verify(home.settings) == verify(home.settings) != []
