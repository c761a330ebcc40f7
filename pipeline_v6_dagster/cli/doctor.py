"""`pipeline-v6 doctor`."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, settings_of_executor
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.domain.formatting import (
    format_bps,
    format_duration,
    format_number,
    format_percent,
    format_time,
    format_usd,
)
from pipeline_v6_dagster.stages.doctor.rows import row_lines
from pipeline_v6_dagster.stages.doctor.run import (
    Action,
    Findings,
    examine,
    shown_settings,
    understood_limits,
    unknown_defaults,
)

_MOST_KEYS_SHOWN = 3


@click.command("doctor")
@json_option
@click.option("--verbose", is_flag=True, help="List every key that no rule reads, one line each.")
@click.pass_context
def command(context: click.Context, as_json: bool, verbose: bool) -> None:
    """What is configured, found and understood; what is wrong and how to fix it.

    Exit code 0: nothing stops a run. 65: something does.
    """
    findings = examine(os.environ, Path.cwd(), clock(), settings_of_executor)
    answer(as_json, _content(findings), _lines(findings, verbose))
    context.exit(ConfigError.exit_code if findings.problems else 0)


def _content(findings: Findings) -> dict[str, Any]:
    configuration = findings.configuration
    return {
        "settings": shown_settings(findings.settings) if findings.settings is not None else None,
        "files": msgspec.to_builtins(findings.files, enc_hook=str),
        "rows": [{**msgspec.to_builtins(share), "ratio": share.ratio} for share in findings.rows],
        "limits": _builtin(understood_limits(configuration)) if configuration is not None else None,
        "where_no_log_tells": unknown_defaults(configuration) if configuration is not None else {},
        "unknown_keys": msgspec.to_builtins(configuration.unknown_keys) if configuration is not None else [],
        "versions": dict(findings.versions),
        "problems": findings.problems,
        "warnings": findings.warnings,
        "warning_groups": {action.name.lower(): group for action, group in findings.warning_groups.items()},
        "assumptions": findings.assumptions,
        "notes": findings.notes,
    }


def _builtin(limits: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(limits)
    return content


def _lines(findings: Findings, verbose: bool) -> Iterator[str]:
    if findings.settings is not None:
        yield "Settings"
        yield from _table((name, _shown("", value)) for name, value in shown_settings(findings.settings).items())
        yield "Files"
        yield from _table(
            (
                file.role,
                "-" if file.size_bytes is None else f"{file.size_bytes:,} bytes",
                f"{file.path}{f' and {file.rotations} rotated' if file.rotations else ''}",
            )
            for file in findings.files
        )
        yield "Newest rows"
        yield from _table(row_lines(findings.rows))
    if findings.configuration is not None:
        yield from _limits(findings)
    if findings.assumptions:
        yield "Assumptions that rules work on"
        yield from (f"  {assumption}" for assumption in findings.assumptions)
    yield "Versions"
    yield "  " + ", ".join(f"{name} {number}" for name, number in findings.versions.items())
    yield from (f"note: {note}" for note in findings.notes)
    yield from _warnings(findings.warning_groups, verbose)
    yield from (f"PROBLEM: {problem}" for problem in findings.problems)
    yield _conclusion(findings)


def _limits(findings: Findings) -> Iterator[str]:
    configuration = findings.configuration
    assert configuration is not None  # noqa: S101 -- the caller has looked
    content = _builtin(understood_limits(configuration))
    symbols: dict[str, dict[str, Any]] = content.pop("symbols")
    yield f"Limits as understood, hash {content.pop('config_hash')}"
    yield from _table(
        [
            *((name, _shown(name, value)) for name, value in content.items()),
            *((symbol, _rules(rules)) for symbol, rules in symbols.items()),
        ]
    )
    yield "Where no log tells what a rule needs"
    yield from _table(unknown_defaults(configuration).items())


def _rules(rules: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {_shown(name, value)}" for name, value in rules.items() if name != "symbol" and value not in (None, [])
    )


def _warnings(groups: Mapping[Action, Sequence[str]], verbose: bool) -> Iterator[str]:
    for action, warnings in groups.items():
        yield f"{action.value}:"
        if action is Action.KEYS and not verbose and len(warnings) > _MOST_KEYS_SHOWN:
            names = ", ".join(warning.split(": ")[1] for warning in warnings[:_MOST_KEYS_SHOWN])
            more = len(warnings) - _MOST_KEYS_SHOWN
            yield f"  WARNING: no rule reads {len(warnings)} keys: {names} and {more} more; --verbose lists each"
        else:
            yield from (f"  WARNING: {warning}" for warning in warnings)


def _conclusion(findings: Findings) -> str:
    problems, warnings = len(findings.problems), len(findings.warnings)
    if problems:
        return f"{problems} problem{'s' if problems > 1 else ''} to fix"
    if warnings:
        return f"nothing stops a run; {warnings} warning{'s' if warnings > 1 else ''}"
    return "nothing stops a run"


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, each as wide as its longest cell; the last one is not padded."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    for *first, last in cells:
        padded = (f"{cell:<{width}}" for cell, width in zip(first, widths, strict=True))
        yield "  " + "  ".join([*padded, last])


def _shown(name: str, value: Any) -> str:
    """A value in the unit that its name ends in."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(name, value)
    if isinstance(value, list | tuple):
        return ", ".join(_shown(name, item) for item in value) or "none"
    if isinstance(value, dict):
        unit = name.removesuffix("s") if name.endswith("_ratios") else name
        return ", ".join(f"{key} {_shown(unit, item)}" for key, item in value.items()) or "none"
    return str(value)


def _number(name: str, value: float) -> str:
    if name == "peak_since":
        return format_time(value)
    for suffix, formatted in (
        ("_ratio", format_percent),
        ("_usd", format_usd),
        ("_bps", format_bps),
        ("_s", format_duration),
    ):
        if name.endswith(suffix):
            return formatted(value)
    return format_number(value)
