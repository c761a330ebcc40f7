from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.sources.decoding import (
    BadFieldError,
    decode_row,
    epoch_s,
    number,
    text,
    why_undecodable,
)
from pipeline_v6_dagster_tests.builders import unhurried


class Row(msgspec.Struct):
    name: str | None = None
    qty: float | None = None
    anything: Any = None


DECODER = msgspec.json.Decoder(Row)

HUGE = pytest.param(10**400, id="10**400")
NEGATIVE_HUGE = pytest.param(-(10**400), id="-10**400")

MALFORMED = [
    (b"", Rejection.NOT_JSON),
    (b"\x00", Rejection.NOT_JSON),
    (b"garbage", Rejection.NOT_JSON),
    (b'{"qty": 1', Rejection.NOT_JSON),
    (b'{"qty": 1}}', Rejection.NOT_JSON),
    (b'{"qty": 1}{"qty": 2}', Rejection.NOT_JSON),
    (b"{'qty': 1}", Rejection.NOT_JSON),
    (b'{"qty": 01}', Rejection.NOT_JSON),
    (b'{"qty": .5}', Rejection.NOT_JSON),
    (b"[" * 100_000, Rejection.NOT_JSON),
    (b'{"anything": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", Rejection.NOT_JSON),
    (b'{"other": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", Rejection.NOT_JSON),
    (b'{"name": "\xff"}', Rejection.NOT_UTF8),
    (b"\xff\xfe{\x00}\x00", Rejection.NOT_UTF8),
    (b'{"qty": NaN}', Rejection.NOT_FINITE),
    (b'{"qty": Infinity}', Rejection.NOT_FINITE),
    (b'{"other": [-Infinity]}', Rejection.NOT_FINITE),
    (b'{"qty": 1e999}', Rejection.NOT_FINITE),
    (b'{"qty": ' + b"9" * 10_000 + b"}", Rejection.NOT_FINITE),
    (b'{"anything": {"deep": [-1e999]}}', Rejection.NOT_FINITE),
    (b"[]", Rejection.NOT_OBJECT),
    (b'[{"qty": 1}]', Rejection.NOT_OBJECT),
    (b"null", Rejection.NOT_OBJECT),
    (b'"text"', Rejection.NOT_OBJECT),
    (b"17", Rejection.NOT_OBJECT),
    (b'{"qty": "a lot"}', Rejection.BAD_FIELD),
    (b'{"qty": "nan"}', Rejection.BAD_FIELD),
    (b'{"qty": "1e999"}', Rejection.BAD_FIELD),
    (b'{"qty": true}', Rejection.BAD_FIELD),
    (b'{"qty": [1]}', Rejection.BAD_FIELD),
    (b'{"name": 1}', Rejection.BAD_FIELD),
    (b'{"name": "\\ud800"}', Rejection.BAD_FIELD),
]


@pytest.mark.parametrize(("line", "kind"), MALFORMED, ids=[str(line[:24]) for line, _ in MALFORMED])
def test_a_malformed_line_is_rejected_under_one_name(line: bytes, kind: Rejection) -> None:
    assert decode_row(DECODER, line) is kind


def test_numbers_and_flags_as_text_and_a_byte_order_mark_are_read() -> None:
    class Inner(msgspec.Struct):
        qty: float | None = None

    class Outer(msgspec.Struct):
        qty: float | None = None
        flag: bool | None = None
        inner: Inner | None = None
        several: list[Inner] | None = None
        named: dict[str, float] | None = None
        ts: float | str | None = None

    decoder = msgspec.json.Decoder(Outer)
    written = b'{"qty": "1.5", "flag": "True", "inner": {"qty": "2"}, "several": [{"qty": "3"}], "named": {"a": "4"}}'
    read = Outer(1.5, True, Inner(2.0), [Inner(3.0)], {"a": 4.0})
    assert decode_row(decoder, written) == read
    assert decode_row(decoder, b"\xef\xbb\xbf" + written) == read
    assert decode_row(decoder, b'\xef\xbb\xbf{"ts": "5"}') == Outer(ts="5")
    assert decode_row(decoder, b'{"named": {"a": "four"}}') is Rejection.BAD_FIELD


def test_of_a_key_that_stands_twice_the_last_holds_as_in_every_json_reader() -> None:
    row = decode_row(DECODER, b'{"qty": 1, "name": "a", "qty": 2}')
    assert row == Row(name="a", qty=2.0)


def test_what_no_field_names_is_ignored_whatever_it_holds() -> None:
    huge = b"9" * 10_000
    assert decode_row(DECODER, b' {"other": {"qty": "x"}, "qty": 1, "more": ' + huge + b"} ") == Row(qty=1.0)


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes_have_a_name_for_what_is_wrong_with_them(line: bytes) -> None:
    assert isinstance(why_undecodable(line), Rejection)
    assert isinstance(decode_row(DECODER, line), Row | Rejection)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1762000000.25, 1762000000.25),
        (1762000000, 1762000000),
        ("2025-11-01T12:26:40.250000+00:00", 1762000000.25),
        ("2025-11-01T12:26:40Z", 1762000000.0),
        ("2025-11-01 12:26:40+00:00", 1762000000.0),
        ("2025-11-01T14:26:40+02:00", 1762000000.0),
        ("2025-11-01T12:26:40", None),
        ("2025-11-01", None),
        ("1762000000.25", 1762000000.25),
        ("", None),
        ("now", None),
        ("2025-13-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        (None, None),
        (0, None),
        (-1762000000.0, None),
        (1762000000250, None),
        (10**400, None),
        (nan, None),
        (inf, None),
    ],
)
def test_a_time_is_epoch_seconds_or_iso_with_a_zone_and_else_nothing(value: Any, seconds: float | None) -> None:
    assert epoch_s(value) == seconds


@unhurried
@given(st.text(max_size=40) | st.datetimes(timezones=st.timezones()).map(str))
def test_any_text_is_a_time_or_nothing(value: str) -> None:
    moment = epoch_s(value)
    assert moment is None or 1e9 <= moment <= 1e10


@pytest.mark.parametrize(
    "value",
    ["", "abc", "1_000", "nan", "inf", "-Infinity", "1e999", True, [], {}, nan, inf, -inf, HUGE, NEGATIVE_HUGE],
)
def test_a_number_field_with_anything_else_in_it_is_bad(value: object) -> None:
    with pytest.raises(BadFieldError):
        number(value)


def test_numbers_are_read_and_what_is_absent_is_none() -> None:
    assert [number(value) for value in (0, -2, 1.5, None)] == [0.0, -2.0, 1.5, None]
    assert [number(value) for value in ("0.006", "-1", "1e-3", ".5", "2.")] == [0.006, -1.0, 0.001, 0.5, 2.0]
    assert isinstance(number(3), float)


@pytest.mark.parametrize("value", [True, 1.5, [], {}, ["a"]])
def test_an_id_that_is_neither_text_nor_a_whole_number_is_bad(value: object) -> None:
    with pytest.raises(BadFieldError):
        text(value)


def test_ids_are_text_and_empty_ones_are_none() -> None:
    assert [text(value) for value in ("ord_1", 8389765988001940435, 0, "", None)] == [
        "ord_1",
        "8389765988001940435",
        "0",
        None,
        None,
    ]
