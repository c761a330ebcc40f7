"""`pipeline-v6 doctor`."""

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.stages.doctor.run import Findings, examine, shown_settings, understood_limits, unknown_defaults


@click.command("doctor")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """What is configured, found and understood; what is wrong and how to mend it.

    Exit code 0: nothing stops a run. 65: something does.
    """
    findings = examine(os.environ, Path.cwd(), clock())
    answer(as_json, _content(findings), _lines(findings))
    context.exit(ConfigError.exit_code if findings.problems else 0)


def _content(findings: Findings) -> dict[str, Any]:
    configuration = findings.configuration
    return {
        "settings": shown_settings(findings.settings) if findings.settings is not None else None,
        "files": msgspec.to_builtins(findings.files, enc_hook=str),
        "limits": _builtin(understood_limits(configuration)) if configuration is not None else None,
        "where_no_log_tells": unknown_defaults(configuration) if configuration is not None else {},
        "unknown_keys": msgspec.to_builtins(configuration.unknown_keys) if configuration is not None else [],
        "versions": dict(findings.versions),
        "problems": findings.problems,
        "warnings": findings.warnings,
        "notes": findings.notes,
    }


def _builtin(limits: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(limits)
    return content


def _lines(findings: Findings) -> list[str]:
    lines: list[str] = []
    if findings.settings is not None:
        lines.append("Settings")
        for variable, value in shown_settings(findings.settings).items():
            lines.append(f"  {variable:<34} {_shown(value)}")
        lines.append("Files")
        for file in findings.files:
            size = "-" if file.size_bytes is None else f"{file.size_bytes:,} bytes"
            rotated = f" and {file.rotations} rotated" if file.rotations else ""
            lines.append(f"  {file.role:<16} {size:>18}  {file.path}{rotated}")
    if findings.configuration is not None:
        limits = findings.configuration.limits
        lines.append(f"Limits as understood (ratios of NAV, USD, seconds), hash {limits.config_hash}")
        content = _builtin(understood_limits(findings.configuration))
        symbols = content.pop("symbols")
        lines += [f"  {name:<34} {_shown(value)}" for name, value in content.items()]
        for symbol, rules in symbols.items():
            known = ", ".join(
                f"{name} {_shown(value)}"
                for name, value in rules.items()
                if name != "symbol" and value not in (None, [])
            )
            lines.append(f"  {symbol:<34} {known}")
        lines.append("Where no log tells what a rule needs")
        lines += [f"  {rule:<34} {holds}" for rule, holds in unknown_defaults(findings.configuration).items()]
    lines.append("Versions")
    lines.append("  " + ", ".join(f"{name} {number}" for name, number in findings.versions.items()))
    lines += [f"note: {note}" for note in findings.notes]
    lines += [f"WARNING: {warning}" for warning in findings.warnings]
    lines += [f"PROBLEM: {problem}" for problem in findings.problems]
    count = len(findings.problems)
    lines.append(f"{count} problem{'s' if count > 1 else ''} to mend" if count else "nothing stops a run")
    return lines


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    return str(value)
