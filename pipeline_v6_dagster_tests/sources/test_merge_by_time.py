"""Rows of several logs by time. The reference merges one row at a time, as the rule reads."""

import gc
from collections.abc import Iterator
from heapq import merge
from itertools import accumulate
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.sources import merge_by_time as time_order
from pipeline_v6_dagster.sources.merge_by_time import OrderedRows, in_time_order
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc

Row = list[Any]

# Mostly forward, now and then back; the lookahead of the tests is four rows.
steps = st.lists(st.sampled_from([0, 0, 1, 2, 5, -1, -7]), max_size=40)
LOOKAHEAD = 4


def read_rows(name: str, log_steps: list[int]) -> list[Row]:
    """[time, log, number] of each row."""
    ts = 100.0
    rows = []
    for number, step in enumerate(log_steps):
        ts += step
        rows.append([ts, name, number])
    return rows


def one_by_one(rows: list[Row], slack_s: float) -> Iterator[Row]:
    """The rows of one log with their times put right, as they are where all of them are known."""
    times = [row[0] for row in rows]
    for place in range(1, len(times)):
        newest, ts = times[place - 1], times[place]
        if ts >= newest:
            continue
        first, last = place, place
        while first > max(0, place - LOOKAHEAD) and times[first - 1] > ts + slack_s:
            first -= 1
        while last < min(len(times), place + LOOKAHEAD) and times[last] < newest:
            last += 1
        if last - place < place - first:
            times[place:last] = [newest] * (last - place)
        else:
            times[first:place] = [ts] * (place - first)
            if first == place:
                times[place] = newest
    for row, ts in zip(rows, accumulate(times, max), strict=True):
        yield [ts, *row[1:]]


def ranked(rank: int, rows: Iterator[Row]) -> Iterator[tuple[float, int, int, Row]]:
    for number, row in enumerate(rows):
        yield row[0], rank, number, row


def copies(logs: list[list[Row]]) -> list[list[Row]]:
    return [[row[:] for row in rows] for rows in logs]


@given(st.lists(steps, min_size=1, max_size=4), st.integers(1, 9), st.sampled_from([0.0, 3.0]))
def test_batches_give_what_one_row_at_a_time_gives(log_steps: list[list[int]], batch_rows: int, slack_s: float) -> None:
    logs = [read_rows(str(rank), one) for rank, one in enumerate(log_steps)]
    streams = [ranked(rank, one_by_one(rows, slack_s)) for rank, rows in enumerate(copies(logs))]
    expected = [row for *_, row in merge(*streams)]
    with patch.object(time_order, "LOOKAHEAD_ROWS", LOOKAHEAD), patch.object(time_order, "_BATCH_ROWS", batch_rows):
        assert list(in_time_order([OrderedRows(iter(rows), slack_s) for rows in copies(logs)])) == expected


@pytest.mark.parametrize(
    ("times", "put_right"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        ([1, 99, 98, 2, 3, 4], [1, 2, 2, 2, 3, 4]),  # a clock that ran ahead and was set
        ([11, 12, 13, 1, 2, 14], [11, 12, 13, 13, 13, 14]),  # rows that were logged hours later
        ([11, 12, 1], [11, 12, 12]),
        ([11, 1], [1, 1]),
    ],
)
def test_where_times_go_back_the_fewer_rows_are_put_right(times: list[float], put_right: list[float]) -> None:
    assert [row[0] for row in in_time_order([OrderedRows([ts] for ts in times)])] == put_right


def test_rows_that_are_a_little_late_move_none_of_those_before_them() -> None:
    log = OrderedRows(([ts] for ts in (10, 12, 11, 40, 13, 14)), slack_s=3)
    assert [row[0] for row in in_time_order([log])] == [10, 12, 12, 13, 13, 14]


@pytest.mark.parametrize("step_s", [3600.0, 86_400.0, 315_576_000.0])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [1, 10, 60])
@pytest.mark.parametrize("start", [5, 500, 700])
def test_rows_of_a_clock_that_stepped_and_came_back_freeze_nothing_that_follows(
    step_s: float, sign: int, count: int, start: int
) -> None:
    times = [1e9 + number for number in range(1500)]
    logged = [ts + sign * step_s * (start <= number < start + count) for number, ts in enumerate(times)]
    put_right = [row[0] for row in in_time_order([OrderedRows([ts] for ts in logged)])]
    assert put_right == sorted(put_right)
    if start >= count or sign > 0:
        assert put_right[start + count :] == times[start + count :]
        assert put_right[:start] == times[:start]


def test_of_equal_times_the_first_log_comes_first() -> None:
    logs = [read_rows(name, [0] * 700) for name in "ab"]
    merged = list(in_time_order([OrderedRows(iter(rows)) for rows in logs]))
    assert [row[1] for row in merged] == ["a"] * 700 + ["b"] * 700


def test_little_is_read_before_the_first_row_is_given() -> None:
    taken = 0

    def endless() -> Iterator[Row]:
        nonlocal taken
        while True:
            taken += 1
            yield [float(taken)]

    rows = in_time_order([OrderedRows(endless()), OrderedRows(endless())])
    assert next(rows) == [1.0]
    assert taken < 3000


@pytest.mark.parametrize("before", [(700, 10, 10), (0, 10, 10), (500_000, 5, 5)])
def test_garbage_is_looked_for_as_before_afterwards(before: tuple[int, int, int]) -> None:
    own = gc.get_threshold()
    gc.set_threshold(*before)
    try:
        with relaxed_gc():
            assert gc.get_threshold()[0] in (0, 100_000, 500_000)
            assert (gc.get_threshold()[0] == 0) == (before[0] == 0)
        assert gc.get_threshold() == before
    finally:
        gc.set_threshold(*own)
