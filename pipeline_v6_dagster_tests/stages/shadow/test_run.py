"""The shadow stage on real files."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.domain.errors import BusyError, DataError, StorageError
from pipeline_v6_dagster.storage import lock
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster_tests.live_builders import ATTEMPTS, T0, Home, attempt_row

GARBAGE = [b"\n", b"{not json\n", b"[1, 2]\n", b'{"ts": NaN}\n', b"\xff\xfe\n", b'{"symbol": "BTCUSDT"}\n']
GARBAGE_KINDS = {"blank": 1, "not_json": 1, "not_object": 1, "not_finite": 1, "not_utf8": 1, "no_time": 1}


def rows(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in home.settings.shadow_log.read_bytes().splitlines()]


def test_every_attempt_is_decided_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(1, "2", qty=50.0))
    run = home.shadow(10)
    assert (run.decided, run.allowed, run.denied) == (2, 1, 1)
    assert [row["intent_id"] for row in rows(home)] == ["ord_1", "ord_2"]

    before = home.settings.shadow_log.read_bytes()
    assert home.shadow(20).decided == 0
    assert home.settings.shadow_log.read_bytes() == before

    home.attempts(attempt_row(30, "3"))
    assert home.shadow(40).decided == 1
    assert home.settings.shadow_log.read_bytes().startswith(before)


def test_a_row_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(1, "2", qty=50.0))
    home.shadow(10)
    allowed, denied = rows(home)
    always = {
        *("decision_id", "symbol", "intent", "state", "risk_decision", "sizing", "timestamp", "logged_ts", "intent_id"),
        *("attempt_id", "config_hash", "engine_version", "source", "chain"),
    }
    assert set(allowed) == always | {"size_decision", "router_decision", "checkpoint"}
    assert set(denied) == always
    assert allowed["size_decision"] == {"gross_usd": 500.0, "qty": 5.0, "caps_applied": []}
    assert (allowed["timestamp"], allowed["logged_ts"]) == (T0, T0 + 10)
    assert allowed["config_hash"] == home.limits.config_hash
    assert "symbol_cap" in denied["risk_decision"]["reasons"]


def test_the_same_attempts_give_the_same_bytes_elsewhere_and_later(tmp_path: Path) -> None:
    logs = []
    for name in ("one", "other"):
        home = Home(tmp_path / name)
        home.attempts(attempt_row(0, "1"), attempt_row(1, "2", qty=50.0))
        home.shadow(10)
        logs.append(home.settings.shadow_log.read_bytes())
    assert logs[0] == logs[1]


@pytest.mark.parametrize("has_folder", [True, False])
def test_no_attempts_yet_is_said_and_is_no_error(tmp_path: Path, has_folder: bool) -> None:
    home = Home(tmp_path)
    if has_folder:
        home.log(ATTEMPTS).parent.mkdir(parents=True)
    run = home.shadow(0)
    assert (run.decided, run.is_log_missing) == (0, True)
    assert not home.settings.shadow_log.exists()


def test_an_empty_log_is_there_and_decides_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(b"")
    run = home.shadow(0)
    assert (run.decided, run.is_log_missing) == (0, False)


def test_garbage_alone_is_counted_by_kind(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(*GARBAGE)
    run = home.shadow(0)
    assert run.decided == 0
    assert run.rejected == Counter(GARBAGE_KINDS)


def test_garbage_between_attempts_stops_nothing_and_is_kept_on_record_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), *GARBAGE, attempt_row(1, "2"), *GARBAGE)
    assert home.shadow(10).decided == 2
    home.attempts(attempt_row(2, "3"))
    assert home.shadow(20).decided == 1
    assert [row["source"]["skipped"] for row in rows(home)] == [{}, GARBAGE_KINDS, GARBAGE_KINDS]


def test_a_line_that_is_being_written_is_left_until_it_is_whole(tmp_path: Path) -> None:
    home = Home(tmp_path)
    line = json.dumps(attempt_row(0, "1")).encode()
    home.attempts(line[:40])
    assert home.shadow(0).decided == 0
    home.attempts(line[40:])
    assert home.shadow(1).decided == 0
    home.attempts(b"\n")
    assert home.shadow(2).decided == 1


def test_a_rotation_between_runs_neither_loses_nor_repeats(tmp_path: Path) -> None:
    home = Home(tmp_path)
    names = iter(range(100))
    expected = []
    for at in range(4):
        name = str(next(names))
        home.attempts(attempt_row(at, name))
        home.shadow(at)
        unseen = str(next(names))
        home.attempts(attempt_row(at, unseen))
        home.rotate(ATTEMPTS)
        expected += [f"ord_{name}", f"ord_{unseen}"]
    home.attempts(attempt_row(9, "last"))
    home.shadow(9)
    assert [row["intent_id"] for row in rows(home)] == [*expected, "ord_last"]


def test_after_a_truncation_what_was_decided_is_not_decided_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(1, "2"), attempt_row(2, "3"))
    home.shadow(10)
    lines = home.log(ATTEMPTS).read_bytes().splitlines(keepends=True)
    home.log(ATTEMPTS).write_bytes(b"".join(lines[:2]))
    home.attempts(attempt_row(20, "4"))
    run = home.shadow(30)
    assert (run.decided, run.is_offset_lost, run.lost_bytes) == (1, True, len(lines[2]))
    assert [row["intent_id"] for row in rows(home)] == ["ord_1", "ord_2", "ord_3", "ord_4"]


def test_a_log_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.shadow(10)
    home.log(ATTEMPTS).unlink()
    home.attempts(attempt_row(20, "2"))
    run = home.shadow(30)
    assert (run.decided, run.is_offset_lost) == (1, True)


def test_killed_at_any_byte_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), b"garbage\n", attempt_row(1, "2"), attempt_row(2, "3"))
    home.shadow(10)
    whole = home.settings.shadow_log.read_bytes()
    for size in range(0, len(whole) + 1, 97):
        home.settings.shadow_log.write_bytes(whole[:size])
        run = home.shadow(10)
        assert home.settings.shadow_log.read_bytes() == whole
        assert run.cut_bytes == size - (whole[:size].rfind(b"\n") + 1)


def test_lines_of_another_program_are_refused_and_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.append(home.settings.shadow_log, {"hello": "world"})
    with pytest.raises(DataError, match="another program"):
        home.shadow(0)
    assert home.settings.shadow_log.read_bytes() == b'{"hello": "world"}\n'


def test_a_shadow_log_that_the_executor_writes_is_not_ours_to_write(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    home.attempts(attempt_row(0, "1"))
    with pytest.raises(DataError, match="external"):
        home.shadow(0)
    assert not home.settings.shadow_log.exists()


def test_a_home_that_cannot_be_written_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    elsewhere = tmp_path / "executor"
    Home(elsewhere).attempts(attempt_row(0, "1"))
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    home = Home(tmp_path, PIPELINE_V6_LOGS_DIR=str(blocked / "logs"))
    with pytest.raises(StorageError, match="cannot be made"):
        home.shadow(0)
    assert blocked.read_text() == "in the way"


def test_a_second_writer_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCK_TIMEOUT_S", 0.0)
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    with locked(home.settings.shadow_log, 0), pytest.raises(BusyError, match="another process"):
        home.shadow(0)
    assert home.shadow(0).decided == 1
