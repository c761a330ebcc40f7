"""The history holds each line of the compare log once, whoever is killed, overtaken or rebuilt."""

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.compare_log import classify_line, encode_diff, open_compare_log
from pipeline_v6_dagster.logs.history_rows import HISTORY, history_table, split_position
from pipeline_v6_dagster.stages.history.append import HistoryRun, append_history
from pipeline_v6_dagster.stages.history.maintain import maintain_history
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster.storage.chain import unchained
from pipeline_v6_dagster.storage.delta_table import StaleSnapshotError, open_table
from pipeline_v6_dagster.storage.jsonl_log import LineKind
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import make_settings, simulated_home
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, diff, fill_row

REPO = Path(__file__).parents[3]
PER_TICK = 6


def trade(home: Home, ticks: int, start: int = 0) -> None:
    """Runs of the stages, each after orders of its own."""
    for tick in range(start, start + ticks):
        at = 3600.0 * tick
        for number in range(PER_TICK):
            name, begins = f"{tick}-{number}", at + 10 * number
            home.attempts(attempt_row(begins, name))
            home.orders(ack_row(begins + 1, name), fill_row(begins + 2, name, status="FILLED"))
        home.run(at + 1800)


def diff_lines(settings: Settings) -> list[str]:
    """The diffs of the compare log, in its order."""
    lines = list(open_compare_log(settings).backward())
    return [unchained(line).decode() for line in reversed(lines) if classify_line(line) is LineKind.INNER]


def rows(settings: Settings, view: str, column: str = "json") -> list[Any]:
    query = f"SELECT {column} FROM {view} ORDER BY position"  # noqa: S608 -- of the tests' own names
    return [value for (value,) in query_history(settings, query).rows]


def assert_equal_to_the_log(settings: Settings) -> None:
    assert rows(settings, "all_diffs") == diff_lines(settings)
    ends = [line for line in open_compare_log(settings).backward() if classify_line(line) is LineKind.BLOCK_END]
    assert len(rows(settings, "summaries")) == len(ends)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a compare log of several blocks, not to be changed."""
    root = tmp_path_factory.mktemp("traded")
    trade(Home(root), 5)
    return root


@pytest.fixture
def home(traded: Path, tmp_path: Path) -> Settings:
    shutil.copytree(traded, tmp_path / "home")
    return make_settings(tmp_path / "home")


def test_a_tick_at_a_time_or_all_at_once_gives_the_lines_of_the_log(tmp_path: Path) -> None:
    slow, fast = Home(tmp_path / "slow"), Home(tmp_path / "fast")
    for tick in range(3):
        trade(slow, 1, tick)
        assert append_history(slow.settings).commits == 1
    trade(fast, 3)
    append_history(fast.settings)
    for each in (slow, fast):
        assert len(diff_lines(each.settings)) == 3 * PER_TICK
        assert_equal_to_the_log(each.settings)
    assert rows(slow.settings, "all_diffs") == rows(fast.settings, "all_diffs")


def test_a_second_run_appends_nothing(home: Settings) -> None:
    assert append_history(home).diffs == 5 * PER_TICK
    assert append_history(home) == HistoryRun(location=history_table(home))
    assert_equal_to_the_log(home)


def test_a_writer_that_dies_between_data_and_commit_at_any_commit_loses_and_repeats_nothing(home: Settings) -> None:
    append_history(home, batch_rows=1)
    table = Path(history_table(home))
    commits = sorted((table / "_delta_log").glob("*.json"))
    assert len(commits) == 6  # the table, and five blocks
    for last in reversed(range(len(commits))):
        # The data files of what is not committed stay, as a writer leaves them that is killed before its commit.
        for commit in commits[last:]:
            commit.unlink(missing_ok=True)
        append_history(home, batch_rows=1)
        assert_equal_to_the_log(home)


def test_a_block_that_is_being_written_is_not_read(home: Settings) -> None:
    before = diff_lines(home)
    log = open_compare_log(home)
    log.append([encode_diff(diff(99))])
    with home.compare_diffs.open("ab") as file:
        file.write(b'{"torn')
    append_history(home)
    assert rows(home, "all_diffs") == before


@pytest.mark.slow
def test_a_writer_that_is_killed_anywhere_loses_and_repeats_nothing(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=7200)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    program = (
        "import sys; from pathlib import Path\n"
        "from pipeline_v6_dagster.stages.history.append import append_history\n"
        "from pipeline_v6_dagster_tests.homes import make_settings\n"
        "print('ready', flush=True); append_history(make_settings(Path(sys.argv[1])), batch_rows=1)"
    )
    killed = 0
    for delay_s in (0.02, 0.05, 0.1, 0.2):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=REPO, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(delay_s)
            # On a loaded machine this process may sleep for longer than the writer takes.
            killed += writer.poll() is None
            writer.send_signal(signal.SIGKILL)
        append_history(settings)
        assert rows(settings, "all_diffs") == diff_lines(settings)
        pipeline_v6(tmp_path, "compare", "--rebuild")
    assert killed


def test_writers_of_the_same_executor_at_once_append_each_block_once(home: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: append_history(home, batch_rows=1), range(4)))
    assert sum(run.diffs for run in runs) == 5 * PER_TICK
    assert_equal_to_the_log(home)


def test_writers_of_several_executors_share_a_table(traded: Path, tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    homes = []
    for name in ("alpha", "beta", "gamma"):
        shutil.copytree(traded, tmp_path / name)
        homes.append(make_settings(tmp_path / name, PIPELINE_V6_HISTORY_URL=shared).for_executor(name))
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda each: append_history(each, batch_rows=1), homes))
    assert [run.diffs for run in runs] == [5 * PER_TICK] * 3
    assert Counter(rows(homes[0], "diffs", "executor")) == {each.executor: 5 * PER_TICK for each in homes}


def test_who_was_overtaken_writes_nothing(home: Settings) -> None:
    append_history(home)
    table = history_table(home)
    first, second = open_table(table, HISTORY), open_table(table, HISTORY)
    nothing: dict[str, list[Any]] = {name: [] for name in HISTORY.columns}
    one = nothing | {"kind": ["diff"], "executor": ["default"], "month": ["2026-01"], "position": [1]}
    one = {name: values or [None] for name, values in one.items()}
    first.append(one, {"default": 1})
    with pytest.raises(StaleSnapshotError, match="another process writes to it"):
        second.append(one, {"default": 1})
    assert len(rows(home, "all_diffs")) == 5 * PER_TICK + 1


def test_a_revision_takes_the_place_of_what_it_revises(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(4000, "2"))
    home.orders(ack_row(4001, "2"), fill_row(4002, "2", status="FILLED"))
    home.run(4500)
    append_history(home.settings)
    assert rows(home.settings, "diffs", "live_outcome") == ["unresolved", "executed"]
    home.orders(ack_row(1, "1"), fill_row(2, "1", status="FILLED"))  # logged late
    home.run(5000)
    append_history(home.settings)
    assert rows(home.settings, "all_diffs", "live_outcome") == ["unresolved", "executed", "executed"]
    assert rows(home.settings, "diffs", "revision_of IS NOT NULL") == [False, True]
    next_month_s = 40 * 86_400
    home.attempts(attempt_row(next_month_s, "3"))
    home.orders(ack_row(next_month_s + 1, "3"), fill_row(next_month_s + 2, "3", status="FILLED"))
    home.run(next_month_s + 500)
    append_history(home.settings)
    assert rows(home.settings, "diffs", "revision_of IS NOT NULL") == [False, True, False]
    assert len(set(rows(home.settings, "diffs", "month"))) == 2


def test_a_rebuilt_log_replaces_its_diffs_and_no_summary(home: Settings) -> None:
    append_history(home)
    assert pipeline_v6(home.home, "compare", "--rebuild").exit_code == 0
    run = append_history(home)
    assert run.is_replaced
    assert rows(home, "all_diffs") == diff_lines(home)
    assert {split_position(position)[0] for position in rows(home, "diffs", "position")} == {1}
    assert len(rows(home, "summaries")) == 5 + run.summaries
    assert append_history(home).commits == 0


def test_a_rebuild_that_dies_after_its_delete_goes_on_from_the_log(home: Settings) -> None:
    append_history(home)
    assert pipeline_v6(home.home, "compare", "--rebuild").exit_code == 0
    append_history(home, batch_rows=1)
    table = Path(history_table(home))
    newest = max((table / "_delta_log").glob("*.json"))
    newest.unlink()  # the appended rows; the delete stays
    assert rows(home, "all_diffs") == []
    append_history(home)
    assert rows(home, "all_diffs") == diff_lines(home)


def test_what_the_logs_no_longer_hold_stays_in_the_history(tmp_path: Path) -> None:
    home = Home(tmp_path)
    trade(home, 2)
    append_history(home.settings)
    old = diff_lines(home.settings)
    shutil.rmtree(home.settings.logs_dir / "execution")
    for name in ("compare_diffs", "shadow_log"):
        getattr(home.settings, name).unlink()
    trade(home, 1, start=24)
    run = append_history(home.settings)
    assert run.is_replaced
    assert rows(home.settings, "diffs") == [*old, *diff_lines(home.settings)]


def test_lines_that_were_deleted_before_they_were_appended_are_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    trade(home, 1)
    lines = home.settings.compare_diffs.read_bytes().splitlines(keepends=True)
    trade(home, 1, start=1)
    home.settings.compare_diffs.write_bytes(
        b"".join(home.settings.compare_diffs.read_bytes().splitlines(keepends=True)[len(lines) :])
    )
    run = append_history(home.settings)
    assert (run.missing_lines, run.diffs, run.is_replaced) == (len(lines), PER_TICK, False)


def test_a_log_that_is_gone_or_was_never_there_changes_nothing(home: Settings) -> None:
    append_history(home)
    before = rows(home, "all_diffs")
    home.compare_diffs.unlink()
    assert append_history(home).commits == 0
    assert rows(home, "all_diffs") == before


def test_hostile_names_and_figures_are_kept_or_null(tmp_path: Path) -> None:
    home = Home(tmp_path)
    trade(home, 1)
    hostile = "' OR 1=1; -- \x00 \u202e \U0001f4a3"
    odd = replace(diff(), symbol=hostile, decision_id=hostile, intent_id=hostile, number=2**70, impact_usd=1e308)
    end = home.settings.compare_diffs.read_bytes().splitlines()[-1]
    open_compare_log(home.settings).append([encode_diff(odd), unchained(end)])
    append_history(home.settings)
    assert rows(home.settings, "all_diffs") == diff_lines(home.settings)
    newest = query_history(home.settings, "SELECT symbol, number, impact_usd FROM diffs WHERE intent_id LIKE '% OR %'")
    assert newest.rows == [(hostile, None, 1e308)]


def test_a_line_without_a_link_is_refused_with_what_to_do(home: Settings) -> None:
    home.compare_diffs.write_bytes(
        b"".join(unchained(line) + b"\n" for line in home.compare_diffs.read_bytes().splitlines())
    )
    with pytest.raises(DataError, match="has no link of the chain; run pipeline-v6 compare --rebuild"):
        append_history(home)


def test_a_table_of_another_program_is_not_touched(home: Settings) -> None:
    import deltalake
    from arro3.core import Array, DataType, Table

    deltalake.write_deltalake(history_table(home), Table.from_pydict({"x": Array([1], type=DataType.int64())}))
    with pytest.raises(DataError, match="is a table with other columns"):
        append_history(home)


def test_maintenance_joins_files_and_changes_no_row(home: Settings) -> None:
    append_history(home, batch_rows=1)
    before = rows(home, "all_diffs")
    done = maintain_history(home)
    assert done is not None
    assert (done.files_compacted, done.files_written) == (10, 2)
    assert rows(home, "all_diffs") == before
    assert append_history(home).commits == 0


def test_maintenance_of_no_history_does_nothing(tmp_path: Path) -> None:
    assert maintain_history(make_settings(tmp_path)) is None


def test_without_the_package_it_says_so_in_one_line_and_nothing_else_breaks(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_history(home)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DataError, match=r"needs the package deltalake, which is not installed; run pip install"):
        append_history(home)
    outcome = pipeline_v6(home.home, "history")
    assert (outcome.exit_code, outcome.stderr.count("\n")) == (65, 1)
    assert maintain_history(home) is None
    for command in ("status", "report"):
        assert pipeline_v6(home.home, command).exit_code != 65
    assert pipeline_v6(home.home, "report", "--from", "2020-01-01T00:00:00Z").exit_code == 0


def test_a_run_with_nothing_to_do_reads_little(home: Settings) -> None:
    append_history(home)
    started = time.process_time()
    append_history(home)
    assert time.process_time() - started < 0.5
