"""What a figure may be: a finite number, or None where nothing was measured."""

from math import isfinite


def finite(value: float | None) -> float | None:
    """`value`, or None where it is beyond any number: JSON has no infinity, and such a figure measures nothing."""
    return value if value is None or isfinite(value) else None


def magnitude(value: float | None) -> float | None:
    """How large a size is, whatever its sign: some producers sign what they sell."""
    return value if value is None or value >= 0 else -value


def price_or_none(value: float | None) -> float | None:
    """`value`, or None where it is no price: nothing is measured against one of zero or less."""
    return value if value is not None and value > 0 else None
