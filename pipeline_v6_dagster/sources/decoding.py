"""What all row parsers share: decoding a line, naming what is wrong with it, reading times and numbers."""

import json
from datetime import datetime
from math import isfinite
from typing import Any, TypeVar

import msgspec

from pipeline_v6_dagster.domain.quality import Rejection

# Times before 2001 and after 2286 are not times in seconds but something else (milliseconds, counters).
_EARLIEST_S = 1e9
_LATEST_S = 1e10


Row = TypeVar("Row", bound=msgspec.Struct)


class BadFieldError(ValueError):
    """A field holds what its name does not allow. Caught where the row is parsed."""


def why_undecodable(line: bytes) -> Rejection:
    """Names what is wrong with a line that the typed decoder refused. Off the hot path."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return Rejection.NOT_UTF8
    constants: list[str] = []
    try:
        content = json.loads(text, parse_constant=constants.append, parse_int=float)
    except (ValueError, RecursionError):
        return Rejection.NOT_JSON
    if constants or _holds_infinity(content):
        return Rejection.NOT_FINITE
    if not isinstance(content, dict):
        return Rejection.NOT_OBJECT
    return Rejection.BAD_FIELD


def _holds_infinity(content: Any) -> bool:
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, float) and not isfinite(value):
            return True
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def decode_row(decoder: msgspec.json.Decoder[Row], line: bytes) -> Row | Rejection:
    """The row, or why there is none. Fields that the struct does not name are ignored."""
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return why_undecodable(line)


def epoch_s(value: float | str | None) -> float | None:
    """A time as epoch seconds: a number as it is, ISO-8601 text with a zone; None where it is neither."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            return None
        value = moment.timestamp()
    return value if _EARLIEST_S <= value <= _LATEST_S else None


def number(value: object) -> float | None:
    """A number field: None where it is absent.

    Raises:
        BadFieldError: it holds anything but a finite number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFieldError
    try:
        value = float(value)
    except OverflowError:  # a whole number beyond the largest float
        raise BadFieldError from None
    if not isfinite(value):
        raise BadFieldError
    return value


def exchange_number(value: object) -> float | None:
    """A number inside the exchange's own answer, where Binance writes decimals as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise BadFieldError from None
    return number(value)


def text(value: object) -> str | None:
    """An id or a name: None where it is absent or empty. Whole numbers occur as ids.

    Raises:
        BadFieldError: it is neither text nor a whole number.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadFieldError
