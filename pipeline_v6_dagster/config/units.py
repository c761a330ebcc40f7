"""Numbers as configuration files write them."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline_v6_dagster.domain.limits import MAX_COUNTED

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def to_ratio(value: float) -> float:
    """A `*_pct` limit as a ratio: in (0, 1] it is a fraction already, above 1 it is a percent."""
    return value if value <= 1 else value / 100


def from_text(value: object) -> object:
    """A decimal number as text, as the exchange writes its filters, is that number; anything else stays as it is."""
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None:
        return value
    return float(value) if "." in value else int(value)


# Strict: other text or a boolean in the place of a number is a mistake in the file, not something to guess at.
_Text = BeforeValidator(from_text)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True), _Text]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True), _Text]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True), _Text]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True), AfterValidator(to_ratio), _Text]
Count = Annotated[int, Field(ge=0, le=1_000_000, strict=True), _Text]
Counted = Annotated[int, Field(ge=1, le=MAX_COUNTED, strict=True), _Text]
Switch = Annotated[bool, Field(strict=True)]
