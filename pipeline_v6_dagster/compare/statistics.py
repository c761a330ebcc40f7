"""Statistics of what was measured. Of nothing, or beyond any number, they are None: never 0, never an error."""

from collections.abc import Sequence
from math import floor, fsum

from pipeline_v6_dagster.domain.figures import finite


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean."""
    return _sum_over(values, len(values))


def variance(values: Sequence[float], around: float) -> float | None:
    """The mean squared deviation from `around`."""
    return _sum_over([(value - around) * (value - around) for value in values], len(values))


def quantile(values: Sequence[float], share: float) -> float | None:
    """The linear quantile (Hyndman and Fan type 7, numpy's default) of unsorted values."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return finite(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def _sum_over(values: Sequence[float], count: int) -> float | None:
    try:
        return finite(fsum(values) / count) if count else None
    except OverflowError:
        return None
