"""Days as ranges: the same days as a set would hold, however they come."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.verdict.day_ranges import MAX_RANGES, DayRanges
from pipeline_v6_dagster.verdict.policy import DAY_S
from pipeline_v6_dagster_tests.builders import unhurried


@given(st.lists(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 60))
@unhurried
def test_it_counts_as_a_set_does(days: list[int], first: int, last: int) -> None:
    ranges = DayRanges()
    for day in days:
        ranges.add(day * DAY_S + 5)
    assert ranges.count(first * DAY_S, last * DAY_S + 9) == len({day for day in days if first <= day <= last})
    assert all(one[1] + 1 < other[0] for one, other in zip(ranges.ranges, ranges.ranges[1:], strict=False))


def test_wild_times_are_bounded_and_push_out_no_long_range() -> None:
    ranges = DayRanges()
    for day in range(20_000, 20_030):
        ranges.add(day * DAY_S)
    for day in range(30_000, 32_000, 3):
        ranges.add(day * DAY_S)
    for ts in (float("nan"), float("inf"), -1.0, 1e300):
        ranges.add(ts)
    assert len(ranges.ranges) <= MAX_RANGES
    assert ranges.count(20_000 * DAY_S, 20_029 * DAY_S) == 30
