"""Statistics of what was measured, against those of well-known libraries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.compare.drift import LEAST, measure_drift
from pipeline_v6_dagster.compare.statistics import mean, quantile, variance
from pipeline_v6_dagster.compare.summary import summarise
from pipeline_v6_dagster_tests.live_builders import diff

_SOME = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
_ANY = st.floats(allow_nan=False, allow_infinity=False)


class TestQuantile:
    @given(_SOME, st.sampled_from([0.0, 0.5, 0.95, 1.0]))
    def test_it_is_the_linear_one(self, values: list[float], share: float) -> None:
        expected = pd.Series(values).quantile(share, interpolation="linear")
        assert quantile(values, share) == pytest.approx(expected, rel=1e-12, abs=1e-9)

    def test_of_two_values_p95_is_not_the_smaller(self) -> None:
        assert quantile([1.0, 0.0], 0.95) == pytest.approx(0.95)


@given(_SOME)
def test_mean_and_variance_are_those_of_numpy(values: list[float]) -> None:
    found = mean(values)
    assert found == pytest.approx(np.mean(values), rel=1e-12, abs=1e-9)
    assert found is not None
    assert variance(values, found) == pytest.approx(np.var(values), rel=1e-9, abs=1e-3)


def test_of_nothing_they_are_null() -> None:
    assert (quantile([], 0.5), mean([]), variance([], 0.0)) == (None, None, None)


@pytest.mark.parametrize("values", [[1.7e308] * 3, [-1.7e308, 1.7e308], [1e200, 0.0]])
def test_beyond_any_number_they_are_null(values: list[float]) -> None:
    assert variance(values, 0.0) is None
    assert mean([1.7e308] * 3) is None
    assert quantile([-1.7e308, 1.7e308], 0.5) is None


@given(st.lists(_ANY, min_size=2 * LEAST, max_size=3 * LEAST))
def test_no_figure_whatever_it_is_stops_a_summary(values: list[float]) -> None:
    window = [
        diff(
            number,
            slippage_diff_bps=value,
            size_pct_diff=value,
            sizing_diff_pct=value,
            impact_usd=value,
            mismatch_usd=abs(value),
        )
        for number, value in enumerate(values)
    ]
    summary = summarise(window, len(window), 1)
    assert summary.sample_size == len(values)
    assert all(drift.score is None or abs(drift.score) < float("inf") for drift in measure_drift(window).values())
