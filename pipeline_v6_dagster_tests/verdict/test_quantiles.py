"""Quantiles from logarithmic buckets: within 1 %, and values can be taken back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.verdict.quantiles import LARGEST, RELATIVE_ERROR, SMALLEST, LogHistogram
from pipeline_v6_dagster_tests.builders import unhurried

values = st.floats(min_value=-1e6, max_value=1e6)


def histogram(found: list[float]) -> LogHistogram:
    one = LogHistogram()
    for value in found:
        one.change(value, 1)
    return one


@given(st.lists(values, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
@unhurried
def test_it_is_numpys_lower_quantile_to_within_1_percent(found: list[float], share: float) -> None:
    expected = float(np.quantile(np.abs(found), share, method="lower"))
    measured = histogram(found).quantile(share)
    assert measured == pytest.approx(expected, rel=RELATIVE_ERROR * 1.01, abs=SMALLEST)


@given(st.lists(values, max_size=50), st.lists(values, max_size=50))
@unhurried
def test_what_is_taken_back_leaves_no_trace(kept: list[float], removed: list[float]) -> None:
    one = histogram([*kept, *removed])
    for value in removed:
        one.change(value, -1)
    assert one == histogram(kept)


def test_of_nothing_there_is_no_quantile() -> None:
    assert LogHistogram().quantile(0.5) is None


def test_wild_figures_are_left_out_or_bounded() -> None:
    one = histogram([float("nan"), float("inf"), 1e300])
    assert one.count == 1
    assert one.quantile(0.5) == pytest.approx(LARGEST, rel=RELATIVE_ERROR)
    one.change(5.0, -1)
    assert one.count == 1
