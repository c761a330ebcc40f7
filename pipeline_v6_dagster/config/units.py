"""Numbers as configuration files write them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline_v6_dagster.domain.limits import MAX_COUNTED


def to_ratio(value: float) -> float:
    """A `*_pct` limit as a ratio: in (0, 1] it is a fraction already, above 1 it is a percent."""
    return value if value <= 1 else value / 100


# Strict: text or a boolean in the place of a number is a mistake in the file, not something to guess at.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True), AfterValidator(to_ratio)]
Count = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Counted = Annotated[int, Field(ge=1, le=MAX_COUNTED, strict=True)]
Switch = Annotated[bool, Field(strict=True)]
