"""The questions give the figures that the diffs give when they are counted one by one."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from pipeline_v6_dagster.compare.statistics import quantile
from pipeline_v6_dagster.compare.summary import newest_states
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.compare_log import open_compare_log, read_diffs_backward
from pipeline_v6_dagster.stages.history.append import append_history
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster.stages.history.questions import GROUPS, QUESTIONS, VIEW_GROUPS, build_query
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home

MONTH_S = 31 * 86_400.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    settings, _ = simulated_home(home, seconds=MONTH_S, attempts_per_s=0.0002, upsize_share=0.05)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(home, command).exit_code == 0
    append_history(settings)
    return settings


@pytest.fixture(scope="module")
def samples(settings: Settings) -> list[Diff]:
    diffs = newest_states(read_diffs_backward(open_compare_log(settings)), 1_000_000)
    return [diff for diff in diffs if diff.mismatch_kind is not MismatchKind.LIVE_ONLY and diff.ignored_by is None]


def ask(settings: Settings, *arguments: str) -> list[dict[str, Any]]:
    outcome = pipeline_v6(settings.home, "history", *arguments, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found: list[dict[str, Any]] = json.loads(outcome.stdout)["rows"]
    return found


def test_upsizes_by_month_and_executor(settings: Settings, samples: list[Diff]) -> None:
    rows = ask(settings, "upsizes")
    assert [(row["month"], row["executor"]) for row in rows] == [("2026-09", "default"), ("2026-10", "default")]
    upsizes = [diff for diff in samples if diff.is_upsize]
    assert sum(row["upsizes"] for row in rows) == len(upsizes) > 5
    assert sum(row["sized_orders"] for row in rows) == sum(diff.is_upsize is not None for diff in samples)
    excess = sum(diff.live.gross_usd - diff.shadow.gross_usd for diff in upsizes)  # type: ignore[union-attr, operator]
    assert sum(row["excess_usd"] for row in rows) == pytest.approx(excess)


def test_mismatches_by_symbol_over_time(settings: Settings, samples: list[Diff]) -> None:
    for row in ask(settings, "mismatches", "--by", "symbol"):
        known = [diff.veto_mismatch for diff in samples if diff.symbol == row["symbol"]]
        known = [each for each in known if each is not None]
        assert (row["known_outcomes"], row["mismatches"]) == (len(known), sum(known))
        assert row["mismatch_pct"] == pytest.approx(100 * sum(known) / len(known))
    assert len(ask(settings, "mismatches")) == 6


def test_slippage_by_route(settings: Settings, samples: list[Diff]) -> None:
    rows = ask(settings, "slippage")
    assert {row["route"] for row in rows} >= {"maker", "taker"} or len(rows) >= 2
    for row in rows:
        of_route = [
            diff.slippage_diff_bps
            for diff in samples
            if diff.live_outcome is LiveOutcome.EXECUTED and diff.live is not None and diff.live.route == row["route"]
        ]
        measured = [each for each in of_route if each is not None]
        assert (row["orders"], row["measured"]) == (len(of_route), len(measured))
        if measured:
            assert row["slippage_diff_p50_bps"] == pytest.approx(median(measured), abs=1e-4)
            assert row["slippage_diff_p95_bps"] == pytest.approx(quantile(measured, 0.95), abs=1e-3)


def test_a_range_bounds_the_question(settings: Settings, samples: list[Diff]) -> None:
    middle = START_TS + MONTH_S / 2
    rows = ask(settings, "overview", "--by", "executor", "--from", str(middle))
    assert rows[0]["decisions"] == sum(diff.ts >= middle for diff in samples)
    assert ask(settings, "overview", "--to", "1700000000") == []


def test_every_question_can_be_grouped_by_what_its_view_holds_and_by_nothing_else(settings: Settings) -> None:
    for name, question in QUESTIONS.items():
        possible = VIEW_GROUPS[question.source]
        for group in GROUPS:
            if group not in possible:
                with pytest.raises(DataError, match=f"{name} cannot be grouped by {group}; use {', '.join(possible)}"):
                    build_query(name, [group])
            elif question.source != "replays":
                assert query_history(settings, build_query(name, [group])).columns[0] == group


def test_what_was_not_measured_is_null_and_never_0(settings: Settings) -> None:
    query = "SELECT sum(mismatch_usd) AS usd FROM diffs WHERE symbol = 'NONE'"
    assert ask(settings, "--sql", query) == [{"usd": None}]
    assert "not measured" in pipeline_v6(settings.home, "history", "--sql", query).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT * FROM diffs) TO '{file}' STORED AS CSV",
        "EXPLAIN ANALYZE COPY (SELECT * FROM diffs) TO '{file}' STORED AS CSV",
        "/* */ COPY (SELECT 1) TO '{file}' STORED AS CSV",
        "WITH one AS (SELECT 1) COPY (SELECT 1) TO '{file}' STORED AS CSV",
        "SELECT 1; COPY (SELECT 1) TO '{file}' STORED AS CSV",
        "WITH one AS (SELECT 1) INSERT INTO history SELECT * FROM history",
        "INSERT INTO history SELECT * FROM history",
        "DELETE FROM history",
        "DROP TABLE history",
        "CREATE EXTERNAL TABLE passwords STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT nothing FROM diffs",
        "SELECT * FROM '/etc/passwd'",
        "",
    ],
)
def test_a_statement_that_is_no_query_changes_nothing(settings: Settings, tmp_path: Path, statement: str) -> None:
    before = query_history(settings, "SELECT count(*), sum(position) FROM history").rows
    outcome = pipeline_v6(settings.home, "history", "--sql", statement.format(file=tmp_path / "out.csv"))
    assert (outcome.exit_code, outcome.stdout) == (65, "")
    assert outcome.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert query_history(settings, "SELECT count(*), sum(position) FROM history").rows == before


def test_sql_stands_alone(settings: Settings) -> None:
    outcome = pipeline_v6(settings.home, "history", "upsizes", "--sql", "SELECT 1")
    assert (outcome.exit_code, "--sql stands alone" in outcome.stderr) == (64, True)


def test_without_a_history_the_answer_is_what_to_run(tmp_path: Path) -> None:
    outcome = pipeline_v6(tmp_path, "history")
    assert outcome.exit_code == 65
    assert "there is no history yet; run pipeline-v6 history --append" in outcome.stderr


@pytest.mark.parametrize("question", [["replays"], ["limits"], ["--sql", "SELECT count(*) FROM replays"]])
def test_without_a_replay_the_answer_is_what_to_launch(settings: Settings, question: list[str]) -> None:
    outcome = pipeline_v6(settings.home, "history", *question)
    assert (outcome.exit_code, outcome.stderr.count("\n")) == (65, 1)
    assert "there is no replay yet; launch a backfill of replay_results_job in the UI" in outcome.stderr


def test_append_fills_it_once(tmp_path: Path) -> None:
    simulated_home(tmp_path, seconds=600)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    first = json.loads(pipeline_v6(tmp_path, "history", "--append", "--json").stdout)["appended"]
    assert (first["diffs"] > 10, first["summaries"]) == (True, 1)
    second = pipeline_v6(tmp_path, "history", "--append").stdout
    assert "0 diffs and 0 summaries appended" in second
