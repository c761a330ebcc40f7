"""Quantiles of a long stream in bounded space, of which values can be taken back: a histogram of logarithmic buckets.

The scheme is DDSketch's (Masson, Rim and Lee 2019): bucket i holds the values in (g^(i-1), g^i] with
g = (1 + e) / (1 - e), and 2 g^i / (g + 1) is off by at most the share e from each of them.
"""

from dataclasses import dataclass, field
from math import ceil, floor, isfinite, log

RELATIVE_ERROR = 0.01
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = log(_GROWTH)
# Of basis points and of seconds alike: less is 0, more is as good as this. It bounds the buckets to about 1,150.
SMALLEST, LARGEST = 1e-3, 1e7


@dataclass(slots=True)
class LogHistogram:
    """Magnitudes (0 or more) by bucket; `zeros` are below 0.001. Figures beyond 10,000,000 count as that."""

    buckets: dict[int, int] = field(default_factory=dict)
    zeros: int = 0

    def change(self, value: float, by: int) -> None:
        """Add a value (`by` 1) or take one back (`by` -1). What is no finite number is left out both times."""
        if not isfinite(value):
            return
        value = abs(value)
        if value < SMALLEST:
            self.zeros = max(0, self.zeros + by)
            return
        index = ceil(log(min(value, LARGEST)) / _LOG_GROWTH)
        count = self.buckets.get(index, 0) + by
        if count > 0:
            self.buckets[index] = count
        else:
            self.buckets.pop(index, None)

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.zeros + sum(self.buckets.values())

    def quantile(self, share: float) -> float | None:
        """The value below which `share` of all lie, to within 1 %; None of no value."""
        count = self.count
        if not count:
            return None
        rank = floor(share * (count - 1))
        below = self.zeros
        if rank < below:
            return 0.0
        for index in sorted(self.buckets):
            below += self.buckets[index]
            if rank < below:
                return float(2 * _GROWTH**index / (_GROWTH + 1))
        return None
