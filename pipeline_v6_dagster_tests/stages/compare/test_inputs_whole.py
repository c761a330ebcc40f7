"""What happens to inputs behind a reader's back breaks `inputs_whole`, stays broken, and never stops a run."""

import gzip
from pathlib import Path

import pytest

from pipeline_v6_dagster.logs.compare_log import open_compare_log, read_cursor
from pipeline_v6_dagster.logs.evidence_rows import LossRecord
from pipeline_v6_dagster.stages.doctor.run import examine
from pipeline_v6_dagster_tests.live_builders import (
    ATTEMPTS,
    ORDERS,
    T0,
    VETOES,
    Home,
    ack_row,
    attempt_row,
    fill_row,
    veto_row,
)

LATER = 5000.0


def small_home(folder: Path) -> Home:
    home = Home(folder)
    home.attempts(*(attempt_row(number, str(number)) for number in (1, 2, 3)))
    home.orders(ack_row(2, "1"), fill_row(3, "1"), fill_row(4, "1"))
    home.vetoes(veto_row(3, "2"), veto_row(4, "3"), veto_row(4, "3"))
    return home


def read_state(home: Home) -> str:
    (found,) = [one for one in home.summary()["criteria"] if one["name"] == "inputs_whole"]
    return str(found["state"])


@pytest.mark.parametrize("name", [ATTEMPTS, ORDERS, VETOES])
def test_a_row_that_is_edited_in_place_after_it_was_read_is_seen(tmp_path: Path, name: str) -> None:
    home = small_home(tmp_path)
    home.run(LATER)
    assert read_state(home) == "holds"
    first, second, third = home.log(name).read_bytes().splitlines(keepends=True)
    # The first line names the file, the third is where reading goes on: neither is touched.
    home.log(name).write_bytes(first + second.replace(b"BTCUSDT", b"BTCUSDC") + third)
    for at in (LATER + 10, LATER + 20):
        home.run(at)
        assert read_state(home) == "broken"
    cursor = read_cursor(open_compare_log(home.settings))
    home.compare(LATER + 20, rebuild=True)
    assert read_state(home) == "broken"
    assert cursor is not None
    inputs = {record.input for record in cursor.records if isinstance(record, LossRecord)}
    assert inputs == {"order_attempts" if name == ATTEMPTS else name}


def test_rows_that_are_appended_and_rotated_change_nothing_that_was_read(tmp_path: Path) -> None:
    home = small_home(tmp_path)
    home.run(LATER)
    for name in (ATTEMPTS, ORDERS, VETOES):
        log = home.log(name)
        log.rename(log.with_suffix(".1.jsonl"))
    home.orders(ack_row(LATER + 1, "3"))
    home.run(LATER + 10)
    home.run(LATER + 20)
    assert read_state(home) == "holds"


@pytest.mark.parametrize("kept", [0, 1])
def test_attempts_that_are_gone_are_seen_also_where_none_follows(tmp_path: Path, kept: int) -> None:
    home = small_home(tmp_path)
    home.run(LATER)
    log = home.log(ATTEMPTS)
    whole = log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:kept]))
    home.run(LATER + 10)
    assert read_state(home) == "broken"
    home.attempts(attempt_row(LATER + 20, "4"))
    home.run(LATER + 30)
    quality = home.summary()["input_quality"]["order_attempts"]
    assert quality["is_offset_lost"]
    assert quality["lost_bytes"] > 0
    home.compare(LATER + 30, rebuild=True)
    assert home.summary()["input_quality"]["order_attempts"] == quality


@pytest.mark.parametrize("damage", [lambda packed: packed[:-20], lambda packed: packed[:4], lambda packed: b"\0" * 90])
def test_a_damaged_rotation_is_read_as_far_as_it_goes(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    home = small_home(tmp_path)
    log = home.log(ORDERS)
    packed = gzip.compress(b"".join(log.read_bytes() for _ in range(200)))
    log.with_suffix(".1.jsonl.gz").write_bytes(damage(packed))
    home.run(LATER)
    assert read_state(home) == "broken"
    home.compare(LATER, rebuild=True)
    assert read_state(home) == "broken"
    findings = examine({"PIPELINE_V6_HOME": str(tmp_path)}, tmp_path, T0 + LATER)
    assert any("orders_executed.1.jsonl.gz" in line for line in findings.warnings)
