"""What all row parsers share: decoding a line, naming what is wrong with it, reading times, numbers, flags and ids.

Rows are decoded by a typed decoder. One that it refuses is read a second time: with a byte-order mark removed, and with
decimal numbers and flags that are written as text ("0.1", "true") in their fields.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from math import isfinite
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES, PositionSide, Side
from pipeline_v6_dagster.domain.quality import Rejection

# Times before 2001 and after 2286 are not times in seconds but something else (milliseconds, counters).
_EARLIEST_S = 1e9
_LATEST_S = 1e10
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FLAGS = {"true": True, "false": False}
_POSITION_SIDES = {side.value: side for side in PositionSide}
# What a time may be written as.
_TIME_TYPES = (str, int, float)

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
        return _decode_again(decoder, line.removeprefix(BYTE_ORDER_MARK))


def _decode_again(decoder: msgspec.json.Decoder[Row], line: bytes) -> Row | Rejection:
    """A row that the typed decoder refused. Off the hot path."""
    try:
        content = msgspec.json.decode(line)
        if isinstance(content, dict):
            row: Row = msgspec.convert(_readable(content, decoder.type), decoder.type)
            return row
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return why_undecodable(line)


def _readable(content: dict[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The same object with the numbers and flags that are written as text read."""
    readers = _readers(struct)
    return {name: readers[name](value) if name in readers else value for name, value in content.items()}


@cache
def _readers(struct: type[msgspec.Struct]) -> Mapping[str, Callable[[Any], Any]]:
    """How each field of a struct is read that may hold a number or a flag as text, alone or inside."""
    readers = {field.encode_name: _reader(field.type) for field in msgspec.structs.fields(struct)}
    return {name: reader for name, reader in readers.items() if reader is not None}


def _reader(field_type: Any) -> Callable[[Any], Any] | None:
    kinds = [kind for kind in get_args(field_type) if kind is not NoneType] or [field_type]
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind is float:
        return _number_from_text
    if kind is bool:
        return lambda value: _FLAGS.get(value.lower(), value) if isinstance(value, str) else value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return lambda value: _readable(value, kind) if isinstance(value, dict) else value
    inner = get_args(kind)
    read = _reader(inner[-1]) if inner and get_origin(kind) in (list, dict) else None
    if read is None:
        return None
    if get_origin(kind) is list:
        return lambda value: list(map(read, value)) if isinstance(value, list) else value
    return lambda value: {name: read(one) for name, one in value.items()} if isinstance(value, dict) else value


def _number_from_text(value: Any) -> Any:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        read = float(value)
        return read if isfinite(read) else value
    return value


def epoch_s(value: float | str | None) -> float | None:
    """A time as epoch seconds: ISO-8601 text with a zone, or a number (also as text); None where it is neither."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            if not _DECIMAL.fullmatch(value):
                return None
            value = float(value)
        else:
            if moment.tzinfo is None:
                return None
            value = moment.timestamp()
    return value if _EARLIEST_S <= value <= _LATEST_S else None


def row_time(*values: Any) -> float | None:
    """The first of a row's times that can be read, in the order in which they count (epoch s)."""
    for value in values:
        if isinstance(value, _TIME_TYPES) and value is not True and value is not False:
            moment = epoch_s(value)
            if moment is not None:
                return moment
    return None


def number(value: object) -> float | None:
    """A number field, also where the number is written as text; None where it is absent.

    Raises:
        BadFieldError: it holds anything but a finite number.
    """
    if value is None:
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadFieldError
    try:
        value = float(value)
    except OverflowError:  # a whole number beyond the largest float
        raise BadFieldError from None
    if not isfinite(value):
        raise BadFieldError
    return value


def positive(value: float | None) -> float | None:
    """A size or price; zero means that the exchange has not filled it in."""
    return value if value is not None and value > 0 else None


def magnitude(value: float | None) -> float | None:
    """The size of a quantity, which some executors write with the sign of its side; zero means not filled in."""
    return positive(None if value is None else abs(value))


def is_set(value: object) -> bool:
    """A flag that is true, or written as the text "true"."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


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


def parse_side(value: str | None) -> Side | None:
    """The side that a word names; None where it is absent or BOTH.

    Raises:
        BadFieldError: it names none. An order on an unknown side must not pass for one on the side that was decided.
    """
    if value is None or value.upper() == "BOTH":
        return None
    side = SIDES.get(value) or SIDES.get(value.upper())
    if side is None:
        raise BadFieldError
    return side


def named_position_side(*values: object) -> PositionSide | None:
    """As `position_side`, of rows in which another word is a mistake.

    Raises:
        BadFieldError: one of the values is neither absent nor BOTH, and names no side.
    """
    for value in values:
        if value is not None and value != "" and not _is_position_word(value):
            raise BadFieldError
    return position_side(*values)


def _is_position_word(value: object) -> bool:
    return isinstance(value, str) and (value.upper() == "BOTH" or value.upper() in _POSITION_SIDES)


def position_side(*values: object) -> PositionSide | None:
    """The first that names a side of a hedged position; None in one-way mode, where it is absent or BOTH."""
    for value in values:
        if isinstance(value, str):
            side = _POSITION_SIDES.get(value) or _POSITION_SIDES.get(value.upper())
            if side is not None:
                return side
    return None
