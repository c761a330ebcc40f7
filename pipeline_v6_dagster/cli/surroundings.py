"""What the outside gives a command: environment, folder, clock; and the form of its answer."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pipeline_v6_dagster.cli.terminal import escape_controls
from pipeline_v6_dagster.config.fleet import Executor, Fleet, load_fleet
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.errors import ConfigError

if TYPE_CHECKING:
    from pipeline_v6_dagster.config.limits import Configuration

clock: Callable[[], float] = time.time

json_option = click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")


def read_environment() -> Settings:
    """The settings of the one executor that a command is about: the one that `--executor` names, if there is a fleet.

    Raises:
        ConfigError: a setting or the fleet file cannot be used.
        StorageError: the fleet file cannot be read.
        UsageError: there is a fleet and no `--executor`, or the other way round, or no executor of that name.
    """
    return settings_of_executor(os.environ, Path.cwd())


def settings_of_executor(environ: Mapping[str, str], cwd: Path) -> Settings:
    """The same from `environ`; `cwd` is the home where none is named."""
    base, name = load_settings(environ, cwd), executor_option()
    if name is None:
        if base.fleet_file is not None:
            # A file that cannot be used is the first thing to fix, whatever the command is about.
            load_fleet(base)
            raise click.UsageError(
                f"{base.fleet_file} lists several executors (PIPELINE_V6_FLEET); name one: pipeline-v6 --executor NAME"
            )
        return base
    return find_executor(fleet_of_environment(base), name).settings


def settings_of_fleet() -> Settings:
    """The settings that this process was started with, of a command that is about all executors.

    Raises:
        ConfigError: a setting cannot be used.
    """
    return load_settings(os.environ, Path.cwd())


def settings_of_alerts() -> Settings:
    """The settings whose alert log a command is about: that of the fleet, unless `--executor` names an executor.

    Raises:
        ConfigError: a setting or the fleet file cannot be used.
    """
    base = load_settings(os.environ, Path.cwd())
    return base if executor_option() is None else read_environment()


def fleet_of_environment(base: Settings) -> Fleet:
    """The fleet that the environment names.

    Raises:
        ConfigError: the fleet file cannot be used.
        UsageError: there is no fleet.
    """
    if base.fleet_file is None:
        raise click.UsageError("there is no fleet; set PIPELINE_V6_FLEET to the file that lists the executors")
    return load_fleet(base)


def find_executor(fleet: Fleet, name: str) -> Executor:
    """The executor that `--executor` names.

    Raises:
        UsageError: the fleet has none of that name.
    """
    try:
        return fleet.executor(name)
    except ConfigError as error:
        # What was typed is wrong, not the file.
        raise click.UsageError(str(error)) from None


def executor_option() -> str | None:
    """What `pipeline-v6 --executor` names; None without it."""
    context = click.get_current_context(silent=True)
    name = None if context is None else context.find_root().params.get("executor")
    return name if isinstance(name, str) else None


def read_configuration(settings: Settings) -> "Configuration":
    """The limits that these settings name."""
    # Half of the commands need no limits, and they take as long to import as all else here.
    from pipeline_v6_dagster.config.limits import load_configuration

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
