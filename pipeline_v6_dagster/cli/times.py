"""Times as options of a command."""

from typing import Any

import click

from pipeline_v6_dagster.sources.decoding import epoch_s


class TimeOption(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs alone
    """Epoch seconds, or ISO-8601 with a zone; comes out as epoch seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time in epoch seconds; fails with a message for the user."""
        if isinstance(value, float):
            return value
        try:
            ts = epoch_s(float(value))
        except ValueError:
            ts = epoch_s(value)
        if ts is None:
            self.fail(f"{value!r} is neither epoch seconds nor ISO-8601 with a zone (2026-01-31T12:00:00Z)", param, ctx)
        return ts
