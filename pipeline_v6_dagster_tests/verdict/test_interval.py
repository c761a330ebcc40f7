"""The exact interval of a rate, against scipy's quantiles of the beta distribution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from pipeline_v6_dagster.verdict.interval import exact_interval


def test_of_no_trial_there_is_none() -> None:
    assert exact_interval(0, 0, 0.95) is None


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (0, 200, 0.0, 1 - 0.025 ** (1 / 200)),
        (200, 200, 0.025 ** (1 / 200), 1.0),
        (0, 1, 0.0, 0.975),
        (1, 1, 0.025, 1.0),
    ],
)
def test_the_ends_have_a_closed_form(hits: int, trials: int, low: float, high: float) -> None:
    assert exact_interval(hits, trials, 0.95) == pytest.approx((low, high), abs=1e-12)


@given(
    st.integers(1, 20_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_the_bounds_are_quantiles_of_the_beta_distribution(counts: tuple[int, int], confidence: float) -> None:
    hits, trials = counts
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else beta.ppf(tail, hits, trials - hits + 1)
    high = 1.0 if hits == trials else beta.ppf(1 - tail, hits + 1, trials - hits)
    assert exact_interval(hits, trials, confidence) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("rate", [0.0005, 0.005, 0.02, 0.3])
@pytest.mark.slow
def test_it_covers_the_true_rate_as_often_as_it_claims(rate: float) -> None:
    trials = 300
    covered = 0.0
    for hits in range(trials + 1):
        bounds = exact_interval(hits, trials, 0.95)
        assert bounds is not None
        if bounds[0] <= rate <= bounds[1]:
            covered += binom.pmf(hits, trials, rate)
    assert covered >= 0.95
