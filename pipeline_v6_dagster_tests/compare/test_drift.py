"""The newest half of a window against the older half."""

import numpy as np
import pytest

from pipeline_v6_dagster.compare.drift import LEAST, measure_drift
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster_tests.live_builders import diff


def window(older: list[float | None], newer: list[float | None]) -> list[Diff]:
    """Newest first, with these slippages."""
    return [diff(number, slippage_diff_bps=bps) for number, bps in enumerate([*older, *newer])][::-1]


def test_the_halves_are_told_apart() -> None:
    found = measure_drift(window([1.0, 2.0] * 50, [5.0, 6.0] * 50))["slippage_diff_bps"]
    assert (found.older, found.newer, found.has_moved) == (1.5, 5.5, True)
    assert found.score is not None
    assert found.score > 0
    back = measure_drift(window([5.0, 6.0] * 50, [1.0, 2.0] * 50))["slippage_diff_bps"]
    assert back.score == pytest.approx(-found.score)


def test_what_stays_as_it_is_has_not_moved() -> None:
    same = measure_drift(window([1.0] * 50, [1.0] * 50))["slippage_diff_bps"]
    assert (same.score, same.has_moved) == (0.0, False)
    jump = measure_drift(window([1.0] * 50, [2.0] * 50))["slippage_diff_bps"]
    assert (jump.score, jump.has_moved) == (None, True)


def test_too_few_say_nothing() -> None:
    few = measure_drift(window([1.0] * (LEAST - 1), [9.0] * (LEAST - 1)))["slippage_diff_bps"]
    assert (few.older, few.newer, few.score, few.has_moved) == (1.0, 9.0, None, None)
    assert measure_drift([])["slippage_diff_bps"].older is None


def test_what_was_not_measured_is_left_out() -> None:
    found = measure_drift(window([1.0, None] * 50, [1.0, None] * 50))["slippage_diff_bps"]
    assert found.older == 1.0
    assert measure_drift(window([None] * 50, [None] * 50))["slippage_diff_bps"].has_moved is None


def test_noise_alone_seldom_moves_it() -> None:
    rng = np.random.default_rng(3)
    moved = sum(
        measure_drift(window(list(rng.normal(size=100)), list(rng.normal(size=100))))["slippage_diff_bps"].has_moved
        is True
        for _ in range(200)
    )
    assert moved <= 1
