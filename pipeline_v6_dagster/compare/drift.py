"""Whether the newest half of a window is as the older half was.

Each figure is compared by the difference of its means over the standard error of that difference; a share is a mean of
zeros and ones. Beyond `LIMIT` standard errors it has moved: of as many looks as a day has, none should by chance.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import fmean, pvariance

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
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


def drift_in(samples: Sequence[Diff]) -> dict[str, Drift]:
    """Each figure of the two halves of `samples` (newest first); None where a half has too few."""
    half = len(samples) // 2
    return {name: _drift(samples[half:], samples[:half], figure) for name, figure in _FIGURES.items()}


def _drift(older: Sequence[Diff], newer: Sequence[Diff], figure: Callable[[Diff], float | None]) -> Drift:
    before = [value for diff in older if (value := figure(diff)) is not None]
    after = [value for diff in newer if (value := figure(diff)) is not None]
    if len(before) < LEAST or len(after) < LEAST:
        return Drift(fmean(before) if before else None, fmean(after) if after else None, None, None)
    old, new = fmean(before), fmean(after)
    error = sqrt(pvariance(before, old) / len(before) + pvariance(after, new) / len(after))
    if error == 0.0:
        return Drift(old, new, None if old != new else 0.0, old != new)
    score = (new - old) / error
    return Drift(old, new, score, abs(score) > LIMIT)
