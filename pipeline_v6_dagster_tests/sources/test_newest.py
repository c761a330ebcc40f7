"""The newest time near the end of an executor's log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.sources.newest import newest_ts
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, line


@pytest.mark.parametrize(
    ("rows", "ts"),
    [
        ([], None),
        ([{"ts": AS_OF_ISO}], AS_OF),
        ([{"ts": AS_OF}], AS_OF),
        ([{"timestamp": AS_OF_ISO}], AS_OF),
        ([{"ts": AS_OF_ISO, "local_ts": AS_OF - 5}], AS_OF - 5),
        ([{"ts": AS_OF}, {"ts": AS_OF - 7}], AS_OF),
        ([{"ts": "yesterday", "timestamp": AS_OF}], AS_OF),
        ([{"ts": 12}, {"symbol": "BTCUSDT"}], None),
        ([{"ts": {}}, {"ts": AS_OF}], AS_OF),
    ],
)
def test_the_newest_time_is_found_whatever_the_rows_say(rows: list[dict[str, object]], ts: float | None) -> None:
    assert newest_ts(map(line, rows)) == ts


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_no_line_stops_it(lines: list[bytes]) -> None:
    assert newest_ts([*lines, line({"ts": AS_OF})]) is not None
