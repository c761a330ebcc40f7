"""Lot steps and ticks: what an exchange takes of a quantity or a price."""

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
    # Steps are decimal numbers: 3 * 0.1 must read 0.3.
    return min(qty, round(floor(steps) * step, 12))


def round_to_tick(price: float, tick: float | None, *, is_up: bool) -> float:
    """The tick at or above (`is_up`), at or below `price`; at least one tick. `price` where no tick is known."""
    if not tick or price / tick == inf:
        return price
    ticks = ceil(price / tick - _EPSILON) if is_up else floor(price / tick + _EPSILON)
    return round(max(ticks, 1) * tick, 12)
