"""What the outside gives a command: environment, folder, clock; and the form of its answer."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from pipeline_v6_dagster.cli.terminal import escape_controls
from pipeline_v6_dagster.config.limits import Configuration, load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings

clock: Callable[[], float] = time.time

json_option = click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")


def settings_of_environment() -> Settings:
    """The settings that this process was started with."""
    return load_settings(os.environ, Path.cwd())


def configuration_of(settings: Settings) -> Configuration:
    """The limits that these settings name."""
    return load_configuration(settings.risk_limits, settings.pairs_universe)


def answer(as_json: bool, content: dict[str, Any], lines: Iterable[str]) -> None:
    """Print `content` as JSON, or `lines`."""
    try:
        encoded = msgspec.json.encode(content, enc_hook=str).decode()
        click.echo(escape_controls(encoded) if as_json else "\n".join(map(printable, lines)))
    except BrokenPipeError:
        # Whoever read our output has read enough. The exit code is still the answer, so nothing may fail at the end.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")


def printable(text: str) -> str:
    """`text` without what would steer a terminal: names in logs are written by others."""
    return "".join(char if char.isprintable() else "?" for char in text)


def utc(epoch_s: float | None) -> str:
    """A time as people read it."""
    return "-" if epoch_s is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch_s))
