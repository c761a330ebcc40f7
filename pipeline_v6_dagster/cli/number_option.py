"""Finite numbers within bounds as options of a command."""

from math import nan
from typing import Any

import click

# Longer than anybody simulates or waits, and short enough for every clock and timer.
MAX_DAYS = 3650.0
MAX_SECONDS = MAX_DAYS * 86_400


class NumberOption(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs alone
    """A number from `lowest` to `highest`; comes out as a float. `click.FloatRange` lets nan through."""

    name = "NUMBER"

    def __init__(self, lowest: float, highest: float) -> None:
        self._lowest = lowest
        self._highest = highest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails with a message for the user."""
        try:
            number = float(value)
        except ValueError:
            number = nan
        # False for nan, which compares with nothing.
        if self._lowest <= number <= self._highest:
            return number
        self.fail(f"{value!r} is not a number from {self._lowest:,.10g} to {self._highest:,.10g}", param, ctx)
