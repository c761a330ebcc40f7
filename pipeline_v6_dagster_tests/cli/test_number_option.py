"""Numbers as options: what is none, is infinite or out of bounds is bad usage in one line, whatever the command."""

from importlib import import_module
from pathlib import Path

import click
import pytest

from pipeline_v6_dagster.cli.main import cli
from pipeline_v6_dagster_tests.cli.running import pipeline_v6

OPTIONS = (
    ("simulate", "--at-once", "--seconds", "10", "--rate"),
    ("simulate", "--at-once", "--seconds"),
    ("simulate", "--seconds"),
    ("drill", "--days"),
    ("demo", "--no-ui", "--seconds"),
    ("status", "--watch", "--every"),
    ("status", "--every"),
)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-1", "ten", ""])
@pytest.mark.parametrize("arguments", OPTIONS, ids=" ".join)
def test_what_is_no_number_within_bounds_is_bad_usage(tmp_path: Path, arguments: tuple[str, ...], value: str) -> None:
    outcome = pipeline_v6(tmp_path, *arguments, value)
    assert (outcome.exit_code, outcome.stdout) == (64, ""), outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert f"'{arguments[-1]}': '{value}' is not a number from " in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_message_names_the_bounds(tmp_path: Path) -> None:
    outcome = pipeline_v6(tmp_path, "simulate", "--seconds", "inf")
    assert "'inf' is not a number from 1 to 315,360,000 " in outcome.stderr


def commands() -> list[click.Command]:
    found: list[click.Command] = []
    for name in cli.list_commands(click.Context(cli)):
        command = import_module(f"pipeline_v6_dagster.cli.{name}").command
        found += [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    return found


def test_no_option_of_any_command_is_a_float_without_bounds() -> None:
    unbounded = [
        (command.name, parameter.name)
        for command in commands()
        for parameter in command.params
        if isinstance(parameter.type, type(click.FLOAT))
    ]
    assert unbounded == []


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "12"])
def test_no_time_is_taken_from_such_a_number_either(tmp_path: Path, value: str) -> None:
    for arguments in (("history", "--from"), ("acknowledge", "no_upsizes", "--by", "A", "--why", "b", "--until")):
        outcome = pipeline_v6(tmp_path, *arguments, value)
        assert (outcome.exit_code, outcome.stderr.count("\n")) == (64, 1)
