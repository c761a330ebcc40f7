"""docs/schemas/ is generated from the fields that the parsers read, and the parsers read exactly those.

Run as a module, this writes the schemas: `python -m pipeline_v6_dagster_tests.docs.test_schemas`.
"""

import ast
import json
from collections.abc import Callable, Iterator
from inspect import getsource
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from pipeline_v6_dagster.domain.quality import Rejection, Unusable
from pipeline_v6_dagster.sources import attempts, metrics, order_evidence, order_rows, orders, positions, vetoes
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.input_fields import ATTEMPTS, METRICS, POSITIONS, VETOES, FieldKind, InputLog
from pipeline_v6_dagster.sources.metrics import parse_order_metrics
from pipeline_v6_dagster.sources.order_fields import ORDERS
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.positions import parse_positions
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster_tests.builders import AS_OF, line
from pipeline_v6_dagster_tests.homes import make_settings, simulated_home

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
LOGS = (ATTEMPTS, ORDERS, METRICS, VETOES, POSITIONS)
PARSERS: dict[str, Callable[[bytes], object]] = {
    "orders_attempted": parse_attempt,
    "orders_executed": parse_order_event,
    "order_metrics": parse_order_metrics,
    "risk_vetoes": parse_veto,
    "position_state": parse_positions,
}

_DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NUMBER = {"type": ["number", "string"], "pattern": _DECIMAL}
# Patterns without flags, which not every implementation knows.
_ANY_CASE = {word: "".join(f"[{c.upper()}{c.lower()}]" for c in word) for word in ("true", "false")}
_KINDS: dict[FieldKind, dict[str, Any]] = {
    FieldKind.NUMBER: {"type": ["number", "string", "null"], "pattern": _DECIMAL},
    FieldKind.TEXT: {"type": ["string", "null"]},
    FieldKind.ID: {"type": ["string", "integer", "null"]},
    FieldKind.TIME: {"type": ["string", "number", "null"]},
    FieldKind.FLAG: {"type": ["boolean", "string", "null"], "pattern": f"^({'|'.join(_ANY_CASE.values())})$"},
    FieldKind.SIDE: {"type": ["string", "null"]},
    FieldKind.POSITION_SIDE: {"type": ["string", "null"]},
    FieldKind.OBJECT: {"type": ["object", "null"]},
    FieldKind.NUMBERS: {"type": ["object", "null"], "additionalProperties": _NUMBER},
    FieldKind.ROWS: {"type": ["array", "null"]},
}
_WORDS = {
    FieldKind.SIDE: ("BUY", "SELL", "LONG", "SHORT", "BOTH"),
    FieldKind.POSITION_SIDE: ("LONG", "SHORT", "BOTH"),
}


def schema_of(log: InputLog) -> dict[str, Any]:
    """The JSON Schema of a line."""
    properties: dict[str, Any] = {}
    for field in log.fields:
        for name in field.names:
            others = [each for each in field.names if each != name]
            told = {
                "description": f"{field.meaning[:1].upper()}{field.meaning[1:]}.",
                **({"x-unit": field.unit} if field.unit else {}),
                **({"x-aliases": others} if others else {}),
                **({"x-without": field.without} if field.without else {}),
            }
            *parents, own = name.split(".")
            place = properties
            for parent in parents:
                place = place.setdefault(parent, {}).setdefault("properties", {})
            place.setdefault(own, {}).update(told | _name_type(field.kind, log))
    required = [[name for name in field.names if "." not in name] for field in log.fields if field.is_required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of {log.name}.jsonl",
        "description": f"{log.title} {log.rows} Fields that are not listed are ignored.",
        "type": "object",
        "properties": properties,
        "allOf": [{"anyOf": [_present(name) for name in names]} for names in required] + _shapes(log),
    }


def _shapes(log: InputLog) -> list[dict[str, Any]]:
    """That a row of positions is one position or a list of them."""
    lists = [name for field in log.fields if field.kind is FieldKind.ROWS for name in field.names]
    one = {"allOf": [_present("symbol"), _present("pos_qty")]}
    return [{"anyOf": [one, *map(_present, lists)]}] if lists else []


def _present(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _name_type(kind: FieldKind, log: InputLog) -> dict[str, Any]:
    if kind in _WORDS:
        words = "|".join("".join(f"[{c}{c.lower()}]" for c in word) for word in _WORDS[kind])
        return _KINDS[kind] | {"pattern": f"^({words})?$"}
    if kind is not FieldKind.ROWS:
        return _KINDS[kind]
    fields = {
        name: _KINDS[field.kind] for field in log.fields for name in field.names if field.kind is not FieldKind.ROWS
    }
    present = [_present("symbol"), _present("pos_qty")]
    return _KINDS[kind] | {"items": {"type": "object", "properties": fields, "allOf": present}}


def encoded(log: InputLog) -> str:
    return json.dumps(schema_of(log), indent=2) + "\n"


def struct_names(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """The names that a row's decoder reads, those in objects with their path. Entries of a list are rows again."""
    for field in msgspec.structs.fields(struct):
        yield prefix + field.encode_name
        for kind in get_args(field.type):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                yield from struct_names(kind, f"{prefix}{field.encode_name}.")


def names_got(module: ModuleType, variable: str) -> set[str]:
    """The names that a module reads of an object with `variable.get("name")`."""
    calls = [node for node in ast.walk(ast.parse(getsource(module))) if isinstance(node, ast.Call)]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "get"
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == variable
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def filters_got() -> set[str]:
    """What `order_rows` reads of the filters of the exchange."""
    calls = [node for node in ast.walk(ast.parse(getsource(order_rows))) if isinstance(node, ast.Call)]
    found = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "_filter"]
    pairs = [[str(part.value) for part in call.args[1:] if isinstance(part, ast.Constant)] for call in found]
    return {f"exchange_filters_used.{name}" for name, _ in pairs} | {
        f"exchange_filters_used.{name}.{field}" for name, field in pairs
    }


def read_by_the_parsers() -> dict[str, set[str]]:
    detail = {f"veto_detail.{name}" for name in names_got(vetoes, "detail")}
    intent = {f"veto_detail.intent.{name}" for name in names_got(vetoes, "intent")}
    raw = {f"raw.{name}" for name in names_got(order_rows, "raw")}
    evidence = {*order_evidence._EXECUTED, *order_evidence._REQUESTED, *order_evidence._EXCHANGE_IDS}
    return {
        "orders_attempted": set(struct_names(attempts._AttemptRow)),
        "orders_executed": {
            *struct_names(order_rows._OrderRow),
            *struct_names(orders._UsualRow),
            *(raw | filters_got() | evidence),
            *("strategy", "strategy_id"),
        },
        "order_metrics": set(struct_names(metrics._MetricsRow)),
        "risk_vetoes": set(struct_names(vetoes._VetoRow)) | detail | intent,
        "position_state": set(struct_names(positions._PositionRow)),
    }


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_the_schema_is_the_table(log: InputLog) -> None:
    how = "docs/schemas is not what the parsers read; run: python -m pipeline_v6_dagster_tests.docs.test_schemas"
    assert (FOLDER / f"{log.name}.schema.json").read_text(encoding="utf-8") == encoded(log), how
    Draft202012Validator.check_schema(schema_of(log))


def test_there_is_a_schema_for_each_log_and_no_other() -> None:
    settings = make_settings(Path("/home"))
    assert {path.name for path in FOLDER.iterdir()} == {f"{log.name}.schema.json" for log in LOGS}
    assert {log.name for log in LOGS} == {getattr(settings, log.setting).stem for log in LOGS}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_the_table_names_every_field_that_the_parser_reads_and_no_other(log: InputLog) -> None:
    named = [name for field in log.fields for name in field.names]
    assert len(named) == len(set(named))
    assert set(named) == read_by_the_parsers()[log.name]


VALUES = (1, -2.5, "0.1", "abc", "BUY", "LONG", True, "true", None, "", [], [1], {}, {"BTCUSDT": 1}, {"BTCUSDT": "x"})
ROWS: dict[str, tuple[dict[str, Any], ...]] = {
    "orders_attempted": ({"ts": AS_OF},),
    "orders_executed": tuple(
        {"event_type": event, "ts": AS_OF, "symbol": "BTCUSDT", "orderId": 1}
        for event in ("order_ack", "order_fill", "order_close", "order_error", "other")
    ),
    "order_metrics": ({"ts": AS_OF},),
    "risk_vetoes": ({"ts": AS_OF, "symbol": "BTCUSDT"},),
    "position_state": ({"ts": AS_OF, "symbol": "BTCUSDT", "pos_qty": 1},),
}


def with_field(row: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    parent, _, rest = name.partition(".")
    return row | {parent: with_field(row.get(parent, {}), rest, value) if rest else value}


def is_unused(log: InputLog, row: dict[str, Any]) -> bool:
    return isinstance(PARSERS[log.name](line(row)), Unusable)


def is_malformed(log: InputLog, row: dict[str, Any]) -> bool:
    found = PARSERS[log.name](line(row))
    return isinstance(found, Unusable) and isinstance(found.kind, Rejection)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_what_the_schema_allows_is_not_malformed_and_what_it_forbids_is_not_used(log: InputLog) -> None:
    """Of the order log a field is read in rows of some types alone, so that it is forbidden in one of them."""
    validator = Draft202012Validator(schema_of(log))
    for field in log.fields:
        if field.kind in (FieldKind.TIME, FieldKind.ROWS):
            continue
        for name in field.names:
            for value in VALUES:
                rows = [with_field(row, name, value) for row in ROWS[log.name]]
                if all(map(validator.is_valid, rows)):
                    assert not any(is_malformed(log, row) for row in rows), (name, value)
                elif log.name != "orders_executed" and not name.startswith("veto_detail"):
                    assert all(is_unused(log, row) for row in rows), (name, value)


def test_a_row_needs_one_of_its_times() -> None:
    for log in LOGS:
        validator = Draft202012Validator(schema_of(log))
        for row in ROWS[log.name]:
            assert validator.is_valid(row)
            for gone in ({}, {"ts": None}):
                timeless = {name: value for name, value in row.items() if name != "ts"} | gone
                assert is_malformed(log, timeless) or log.name == "orders_executed"
                assert not validator.is_valid(timeless) or log is POSITIONS


def test_lists_of_positions_follow_the_schema() -> None:
    validator = Draft202012Validator(schema_of(POSITIONS))
    whole = {"symbol": "BTCUSDT", "pos_qty": "-0.5"}
    for entries in ([], [whole], [whole, {"symbol": "ETHUSDT"}], [{"pos_qty": 1}], [whole | {"entry_px": "x"}]):
        row = {"ts": AS_OF, "positions": entries}
        assert validator.is_valid(row) is not is_malformed(POSITIONS, row), entries


def test_what_an_executor_logs_follows_the_schemas(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=1800, upsize_share=0.05)
    for log in LOGS:
        validator = Draft202012Validator(schema_of(log))
        rows = [json.loads(text) for text in getattr(settings, log.setting).read_text().splitlines()]
        assert rows
        assert [error.message for row in rows for error in validator.iter_errors(row)] == []


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in LOGS:
        (FOLDER / f"{each.name}.schema.json").write_text(encoded(each), encoding="utf-8")
