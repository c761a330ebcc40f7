"""The exact interval of a rate (Clopper and Pearson 1934), which is never narrower than it claims to be."""

from math import exp, lgamma, log, log1p

_TINY = 1e-300
_STEPS = 200
# The bisection ends where a double has nothing more to halve.
_HALVINGS = 60


def exact_interval(hits: int, trials: int, confidence: float) -> tuple[float, float] | None:
    """(low, high) of the rate of `hits` in `trials` independent trials; None of no trial.

    The bounds are quantiles of beta distributions: of (k, n - k + 1) below and (k + 1, n - k) above.
    """
    if trials == 0:
        return None
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _beta_quantile(hits, trials - hits + 1, tail)
    high = 1.0 if hits == trials else _beta_quantile(hits + 1, trials - hits, 1 - tail)
    return low, high


def _beta_quantile(a: float, b: float, share: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _beta_share(a, b, middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22)."""
    if not 0 < x < 1:
        return float(x >= 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's method: the numerators of the even and the odd steps in turn, until nothing changes."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + numerator * d)
            c = _nonzero(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
