"""Figures as people read them."""

import re
from datetime import UTC, datetime
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.formatting import (
    NOT_MEASURED,
    format_bps,
    format_duration,
    format_number,
    format_percent,
    format_ratio,
    format_time,
    format_usd,
)
from pipeline_v6_dagster_tests.builders import unhurried

ALL = (format_usd, format_percent, format_ratio, format_bps, format_number, format_duration, format_time)


@pytest.mark.parametrize("formatter", ALL)
@pytest.mark.parametrize("value", [None, nan, inf, -inf])
def test_what_was_not_measured_is_not_a_number(formatter: object, value: float | None) -> None:
    assert callable(formatter)
    assert formatter(value) == NOT_MEASURED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_usd(26_350.0), "26,350.00 USD"),
        (format_usd(-0.001), "0.00 USD"),
        (format_usd(1e15), "1,000,000,000,000,000.00 USD"),
        (format_percent(0.25), "25.0 %"),
        (format_percent(1), "100.0 %"),
        (format_percent(-0.0001), "0.0 %"),
        (format_ratio(2), "x2.00"),
        (format_bps(10_000), "10,000.0 bps"),
        (format_number(10.076700000000002), "10.0767"),
        (format_number(80_000.0), "80,000"),
        (format_number(1e-5), "0.00001"),
        (format_number(0), "0"),
        (format_duration(0), "0 s"),
        (format_duration(0.5), "0.5 s"),
        (format_duration(-3), "-3 s"),
        (format_duration(90), "1 min 30 s"),
        (format_duration(7500), "2 h 5 min"),
        (format_duration(3600), "1 h"),
        (format_duration(3 * 86_400 + 4 * 3600 + 59), "3 d 4 h"),
        (format_duration(33_159_046), "383 d 18 h"),
        (format_time(1_762_377_627.65), "2025-11-05 21:20:27 UTC"),
        (format_time(0), "1970-01-01 00:00:00 UTC"),
        (format_time(-1), "1969-12-31 23:59:59 UTC"),
    ],
)
def test_a_figure_reads(text: str, expected: str) -> None:
    assert text == expected


@unhurried
@given(st.floats(-6e10, 2e11))
def test_a_time_is_what_the_calendar_says(epoch_s: float) -> None:
    moment = datetime.fromtimestamp(epoch_s // 1, UTC)
    assert format_time(epoch_s) == moment.isoformat(sep=" ")[:19] + " UTC"


@unhurried
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_figure_is_in_scientific_notation(value: float) -> None:
    for formatter in ALL[:-1]:
        assert re.search(r"\de[+-]?\d", formatter(value)) is None
