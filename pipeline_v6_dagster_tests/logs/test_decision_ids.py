"""Ids of decisions: by content, with a number for true repeats, the same however the log is read."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.logs import decision_ids
from pipeline_v6_dagster.logs.decision_ids import DecisionIds
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

T0 = 1_790_000_000.0


def log_in(folder: Path) -> JsonlLog:
    return JsonlLog(folder / "shadow.jsonl", lambda line: LineKind.BLOCK_END)


def name_in_runs(folder: Path, attempts: list[tuple[bytes, float]], sizes: list[int]) -> list[str]:
    """The ids, where each run decides as many attempts as `sizes` says, in turn, and appends them at its end."""
    log = log_in(folder)
    named: list[str] = []
    while len(named) < len(attempts):
        size = sizes[len(named) % len(sizes)]
        ids = DecisionIds(log, size)
        part = attempts[len(named) : len(named) + size]
        found = [ids.name(line, ts) for line, ts in part]
        rows = [
            {"decision_id": one.decision_id, "timestamp": ts, "source": {"newest_ts": one.newest_ts}}
            for one, (_, ts) in zip(found, part, strict=True)
        ]
        log.append([msgspec.json.encode(row) for row in rows])
        named += [one.decision_id for one in found]
    return named


def attempt(number: int, ts: float) -> tuple[bytes, float]:
    return b'{"attempt": %d, "ts": %r}' % (number, ts), ts


@given(st.data())
@pytest.mark.slow
def test_ids_depend_on_the_content_and_its_repeats_alone(tmp_path_factory: object, data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.sampled_from([1.0, 0.0, 0.5, -3.0, 4e7, -4e7]), min_size=1, max_size=80))
    attempts: list[tuple[bytes, float]] = []
    ts = T0
    for number, step in enumerate(steps):
        ts += step
        attempts.append(attempt(number, ts))
        if data.draw(st.integers(0, 4)) == 0:  # One of those before it is logged again.
            attempts.append(data.draw(st.sampled_from(attempts)))
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=3))
    make = tmp_path_factory.mktemp  # type: ignore[attr-defined]
    named = name_in_runs(make("runs"), attempts, sizes)
    assert named == name_in_runs(make("whole"), attempts, [len(attempts)])
    assert len(set(named)) == len(named)
    # In whatever order they come, the same attempts have the same ids.
    by_line = {line for line, _ in attempts}
    other = sorted(attempts, key=lambda one: one[1])
    assert set(name_in_runs(make("sorted"), other, sizes)) == set(named)
    assert len(by_line) == len(set(named) & set(name_in_runs(make("once"), [(line, T0) for line in by_line], [1])))


def test_a_long_history_that_is_logged_again_gets_ids_of_its_own(tmp_path: Path) -> None:
    attempts = [attempt(number, T0 + number) for number in range(3000)]
    again = attempts + attempts[500:] + attempts[500:]
    named = name_in_runs(tmp_path, again, [700])
    assert len(set(named)) == len(again)
    assert set(named) == set(name_in_runs(tmp_path / "whole", again, [len(again)]))


def test_a_clock_that_was_ahead_does_not_hide_a_repeat(tmp_path: Path) -> None:
    attempts = [attempt(number, T0 + number) for number in range(300)]
    attempts.insert(0, attempt(-1, T0 + 315e6))
    named = name_in_runs(tmp_path, [*attempts, attempts[250], attempts[250]], [50])
    assert len(set(named)) == len(named)


def test_a_clock_that_was_ten_years_ahead_costs_a_hundred_searches(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    attempts = [attempt(-1, T0 + 315e6), *(attempt(number, T0 + number) for number in range(400))]
    named = name_in_runs(tmp_path, attempts, [150])
    assert len(set(named)) == len(named)
    ids = DecisionIds(log, 10)
    ids.name(*attempt(400, T0 + 400))
    assert ids._index is None


def test_a_byte_order_mark_and_spaces_are_no_part_of_an_attempt(tmp_path: Path) -> None:
    line, ts = attempt(1, T0)
    plain, marked = (
        DecisionIds(log_in(tmp_path / "none"), None).name(each, ts).decision_id
        for each in (line, b"\xef\xbb\xbf" + line + b"\r")
    )
    assert plain == marked


def test_attempts_in_order_read_one_row_and_hold_no_ids(tmp_path: Path) -> None:
    attempts = [attempt(number, T0 + number) for number in range(1000)]
    name_in_runs(tmp_path, attempts, [500])
    read: Counter[str] = Counter()

    class Counted(JsonlLog):
        def backward(self):  # type: ignore[no-untyped-def]
            for line in super().backward():
                read["rows"] += 1
                yield line

    ids = DecisionIds(Counted(tmp_path / "shadow.jsonl", lambda line: LineKind.BLOCK_END), 500)
    for number in range(1000, 1400):
        ids.name(*attempt(number, T0 + number))
    assert (read["rows"], ids._index) == (1, None)


def test_ids_that_are_held_for_late_attempts_are_let_go(tmp_path: Path) -> None:
    ids = DecisionIds(log_in(tmp_path), 100)
    most = 0
    for number in range(3 * decision_ids._MAX_ADDED):
        ids.name(*attempt(number, T0 + number - (number % 2) * 1.5))
        most = max(most, len(ids._index or ()))
    assert 0 < most < 1.1 * decision_ids._MAX_ADDED
