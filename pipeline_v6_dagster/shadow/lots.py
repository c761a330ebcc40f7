"""Lot steps and ticks: what an exchange takes of a quantity or a price."""

from functools import lru_cache
from math import ceil, floor, inf, isfinite

# Room for binary rounding: a whole number of steps stays that number.
_EPSILON = 1e-9


def round_down(qty: float, step: float | None) -> float:
    """The largest whole number of steps that is not above `qty`; `qty` itself where no step is known."""
    if not step:
        return qty
    steps = qty / step + _EPSILON
    if not isfinite(steps):
        return qty  # No number, or so many steps that one is below what binary numbers of that size can tell.
    return min(qty, _add_steps(floor(steps), step))


def round_to_tick(price: float, tick: float | None, *, is_up: bool) -> float:
    """The tick at or above (`is_up`), at or below `price`; at least one tick. `price` where no tick is known."""
    if not tick or price / tick == inf:
        return price
    ticks = ceil(price / tick - _EPSILON) if is_up else floor(price / tick + _EPSILON)
    return _add_steps(max(ticks, 1), tick)


# Rounding to decimals is as slow as printing them, and the rules and then the sizer round the same quantity.
@lru_cache(maxsize=64)
def _add_steps(count: int, step: float) -> float:
    """So many steps, as the decimal number that they are: 3 * 0.1 must read 0.3."""
    return round(count * step, 12)
