"""What a figure may be: a finite number, or None where nothing was measured."""

from math import isfinite


def finite(value: float | None) -> float | None:
    """`value`, or None where it is beyond any number: JSON has no infinity, and such a figure measures nothing."""
    return value if value is None or isfinite(value) else None
