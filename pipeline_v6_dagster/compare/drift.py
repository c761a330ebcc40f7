"""Whether the newest half of a window is as the older half was.

Each figure is compared by the difference of its means over the standard error of that difference; a share is a mean of
zeros and ones. Beyond `LIMIT` standard errors it has moved: of as many looks as a day has, none should by chance.
"""

from collections.abc import Callable, Sequence
from math import sqrt

from pipeline_v6_dagster.compare.statistics import mean, variance
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.domain.summary import Drift

LIMIT = 4.0
# Fewer say nothing of a mean.
LEAST = 20

_FIGURES: dict[str, Callable[[Diff], float | None]] = {
    "veto_mismatch_pct": lambda diff: None if diff.veto_mismatch is None else 100.0 * diff.veto_mismatch,
    "unresolved_pct": lambda diff: 100.0 * (diff.live_outcome is LiveOutcome.UNRESOLVED),
    "size_diff_pct": lambda diff: diff.size_pct_diff,
    "sizing_diff_pct": lambda diff: diff.sizing_diff_pct,
    "slippage_diff_bps": lambda diff: diff.slippage_diff_bps,
}


def measure_drift(samples: Sequence[Diff]) -> dict[str, Drift]:
    """Each figure of the two halves of `samples` (newest first); None where a half has too few."""
    half = len(samples) // 2
    return {name: _drift(samples[half:], samples[:half], figure) for name, figure in _FIGURES.items()}


def _drift(older: Sequence[Diff], newer: Sequence[Diff], figure: Callable[[Diff], float | None]) -> Drift:
    before = [value for diff in older if (value := figure(diff)) is not None]
    after = [value for diff in newer if (value := figure(diff)) is not None]
    old, new = mean(before), mean(after)
    if old is None or new is None or min(len(before), len(after)) < LEAST:
        return Drift(old, new, None, None)
    spread_before, spread_after = variance(before, old), variance(after, new)
    if spread_before is None or spread_after is None:
        return Drift(old, new, None, None)
    error = sqrt(spread_before / len(before) + spread_after / len(after))
    if error == 0.0:
        return Drift(old, new, None if old != new else 0.0, old != new)
    score = finite((new - old) / error)
    return Drift(old, new, score, score is None or abs(score) > LIMIT)
