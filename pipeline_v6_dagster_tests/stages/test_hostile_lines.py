"""Lines that nobody should log: each is counted under one kind and skipped, in bounded memory and time."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_v6_dagster.logs.compare_log import classify_line
from pipeline_v6_dagster.logs.shadow_log import read_source
from pipeline_v6_dagster.logs.shadow_rows import parse_shadow_row
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster_tests.live_builders import (
    ATTEMPTS,
    ORDERS,
    VETOES,
    Home,
    ack_row,
    attempt_row,
    fill_row,
    shadow_row,
    veto_row,
)

REPO = Path(__file__).parents[2]
LATER = 5000.0
DEEP = 100_000
LONG = 10_000
MOST_MEMORY_MB = 40

# name: (lines, how they are counted). A field that no rule reads may hold anything.
HOSTILE: dict[str, tuple[bytes, dict[str, int]]] = {
    "NUL bytes": (b"\0" * 4096 + b'\n{"local_ts": 1\0}\n', {"not_json": 2}),
    "invalid UTF-8": (b'{"symbol": "\xff\xfe"}\n\xc3\x28\n', {"not_utf8": 2}),
    "nested arrays": (b"[" * DEEP + b"]" * DEEP + b"\n", {"not_json": 1}),
    "nested objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"\n", {"not_json": 1}),
    "nested and never closed": (b'{"a":[' * DEEP + b"\n", {"not_json": 1}),
    "a JSON array": (json.dumps([attempt_row(0)]).encode() + b"\n", {"not_object": 1}),
    "plain values": (b'null\ntrue\n1\n"text"\n', {"not_object": 4}),
    "carriage returns": (b"\r\n \t\r\n", {"blank": 2}),
    "a UTF-16 line": ("{}".encode("utf-16") + b"\n", {"not_utf8": 1}),
}


def small_home(root: Path, lines: bytes = b"", logs: tuple[str, ...] = (ATTEMPTS, ORDERS, VETOES)) -> Home:
    """Hostile lines in the middle of what an executor logs."""
    home = Home(root)
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(1, "1"), fill_row(2, "1"))
    home.vetoes(veto_row(11, "2"))
    for name in logs:
        home.append(home.log(name), lines)
    home.attempts(attempt_row(10, "2"))
    # Of another size than the vetoed decision, which it would repeat otherwise.
    home.orders(ack_row(20, "9", qty=2.0), fill_row(21, "9", qty=2.0))
    home.vetoes(veto_row(12, "8"))
    return home


def quality(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = home.summary()["input_quality"]
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lines_are_counted_and_the_others_used(tmp_path: Path, name: str) -> None:
    lines, expected = HOSTILE[name]
    home = small_home(tmp_path, lines)
    home.run(LATER)
    assert sorted(diff["intent_id"] for diff in home.diffs()) == ["ord_1", "ord_2", "ord_9"]
    for input_name in ("order_attempts", "orders_executed", "risk_vetoes"):
        unusable = quality(home)[input_name]["unusable"]
        assert {kind: unusable.get(kind) for kind in expected} == expected, input_name
    assert verify_logs(home.settings).is_whole


@pytest.mark.parametrize(
    "row",
    [
        attempt_row(5, "x", qty="five"),
        attempt_row(5, "x", price_hint=[1]),
        attempt_row(5, "x", nav_snapshot="rich"),
        attempt_row(5, "x", reduce_only="no"),
        attempt_row(5, "x", symbol=7),
    ],
)
def test_text_where_a_number_belongs_decides_nothing(tmp_path: Path, row: dict[str, Any]) -> None:
    home = small_home(tmp_path)
    home.attempts(row)
    home.attempts(attempt_row(30, "3"))
    home.run(LATER)
    assert quality(home)["order_attempts"]["unusable"] == {"bad_field": 1}


@pytest.mark.parametrize("number", [b"9" * LONG, b"0." + b"1" * LONG, b"1e" + b"9" * LONG, b"-" + b"9" * LONG])
@pytest.mark.parametrize("log", [ATTEMPTS, ORDERS])
def test_a_number_of_ten_thousand_digits_is_no_number_of_ours(tmp_path: Path, number: bytes, log: str) -> None:
    home = small_home(tmp_path)
    row = json.dumps((attempt_row if log == ATTEMPTS else fill_row)(30, "3")).encode()
    home.append(home.log(log), row[:-1] + b', "qty": ' + number + b', "executedQty": ' + number + b"}\n")
    home.attempts(attempt_row(40, "4"))
    home.orders(ack_row(41, "4"), fill_row(42, "4"))
    home.run(LATER)
    for line in home.diff_lines():
        assert b"inf" not in line.lower()
        assert b"nan" not in line.lower()
    assert "ord_4" in {diff["intent_id"] for diff in home.diffs()}


def test_of_a_key_that_stands_there_twice_the_last_one_counts(tmp_path: Path) -> None:
    home = small_home(tmp_path)
    home.attempts(json.dumps(attempt_row(30, "3")).encode()[:-1] + b', "symbol": "BTCUSDT", "symbol": "ETHUSDT"}\n')
    home.run(LATER)
    assert [diff["symbol"] for diff in home.diffs() if diff["intent_id"] == "ord_3"] == ["ETHUSDT"]


def test_a_million_blank_lines_are_counted(tmp_path: Path) -> None:
    home = small_home(tmp_path, b"\n" * 1_000_000)
    home.run(LATER)
    for name in ("order_attempts", "orders_executed", "risk_vetoes"):
        assert quality(home)[name]["unusable"]["blank"] == 1_000_000
    assert len(home.diffs()) == 3


def peak_mb(home: Home) -> float:
    """Peak memory of shadow and compare in a process of their own."""
    program = (
        "from pathlib import Path; from pipeline_v6_dagster.cli.main import run\n"
        "assert run(['shadow']) == run(['compare']) == 0\n"
        # Not ru_maxrss: that of a child begins with the size of its parent.
        "print(*(line.split()[1] for line in Path('/proc/self/status').open() if line.startswith('VmHWM')))\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPO), "PIPELINE_V6_HOME": str(home.settings.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(outcome.stdout.splitlines()[-1]) / 1024


def test_a_hundred_megabytes_on_one_line_are_one_line_and_take_no_memory(tmp_path: Path) -> None:
    usual_mb = peak_mb(small_home(tmp_path / "usual"))
    home = small_home(tmp_path / "long", b'{"a": "' + b"x" * 100_000_000 + b'"}\n')
    assert peak_mb(home) < usual_mb + MOST_MEMORY_MB
    for name in ("order_attempts", "orders_executed", "risk_vetoes"):
        assert quality(home)[name]["unusable"]["too_long"] == 1
    assert len(home.diffs()) == 3


# -- anything ------------------------------------------------------------------------------------------------------

FIELDS = sorted({*attempt_row(0), *ack_row(0), *fill_row(0), *veto_row(0), *shadow_row(0), "cursor", "chain"})
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["BTCUSDT", "BUY", "order_ack", "order_fill", "order_error", "2026-09-01T00:00:00Z", 1.79e9]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
made_up_rows = st.dictionaries(st.sampled_from(FIELDS), values, max_size=12)


@st.composite
def mutated_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A true row with some fields replaced or taken away."""
    make = draw(st.sampled_from([attempt_row, ack_row, fill_row, veto_row, shadow_row]))
    row = make(draw(st.floats(0, 2000)), draw(st.sampled_from(["1", "2", None])))
    for field in draw(st.lists(st.sampled_from(sorted(row)), max_size=3)):
        if draw(st.booleans()):
            row[field] = draw(values)
        else:
            row.pop(field, None)
    return row


any_lines = (made_up_rows | mutated_rows()).map(lambda row: json.dumps(row).encode()) | st.binary(max_size=60)


@given(any_lines)
def test_no_line_breaks_a_reader(line: bytes) -> None:
    for read in (parse_attempt, parse_order_event, parse_veto, read_source, classify_line):
        read(line)
    parse_shadow_row(line, fallback_id="x")


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([ATTEMPTS, ORDERS, VETOES]), any_lines), max_size=12))
def test_no_lines_break_a_run_and_each_usable_attempt_is_settled_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, bytes]]
) -> None:
    home = small_home(tmp_path_factory.mktemp("home"))
    for name, line in lines:
        home.append(home.log(name), line.replace(b"\n", b" ") + b"\n")
    home.attempts(attempt_row(100, "last"))
    home.run(LATER)
    home.run(1e7)
    decided = [json.loads(line)["decision_id"] for line in home.settings.shadow_log.read_bytes().splitlines()]
    settled = [diff["decision_id"] for diff in home.diffs() if diff["decision_id"] and diff["revision_of"] is None]
    assert len(decided) == len(set(decided)) >= 3
    assert sorted(settled) == sorted(decided)
    assert verify_logs(home.settings).is_whole
