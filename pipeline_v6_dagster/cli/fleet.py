"""`pipeline-v6 fleet`."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, fleet_of_environment, json_option
from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.domain.formatting import format_time
from pipeline_v6_dagster.stages.outputs.fleet_status import ExecutorStatus, FleetStatus, read_fleet_status


@click.group("fleet")
def command() -> None:
    """All executors that PIPELINE_V6_FLEET lists.

    `fleet status` shows them in one table and exits with the worst code of `status`: 1, then 3, then 2, then 0.
    """


@command.command("status")
@json_option
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """The status and the verdict of every executor in one table.

    The exit code is the worst of what `pipeline-v6 status` says of each: 1, then 3, then 2, then 0. An executor on
    another host is shown as its newest run reported it.
    """
    base = load_settings(os.environ, Path.cwd())
    found = read_fleet_status(base, fleet_of_environment(base), clock(), socket.gethostname())
    answer(as_json, {**msgspec.to_builtins(found), "exit_code": found.exit_code}, _lines(found))
    context.exit(found.exit_code)


def _lines(found: FleetStatus) -> Iterator[str]:
    width = max(len("executor"), *(len(each.name) for each in found.executors))
    host_width = max(len("host"), *(len(each.host or "-") for each in found.executors))
    yield f"{'executor':<{width}}  {'host':<{host_width}}  {'status':<8}  {'verdict':<12}  {'code':<4}  as of"
    for each in found.executors:
        yield (
            f"{each.name:<{width}}  {each.host or '-':<{host_width}}  {each.status.value:<8}  {each.verdict.value:<12}"
            f"  {each.exit_code:<4}  {format_time(each.as_of_ts)}"
        )
        if each.problem is not None:
            yield f"{'':<{width}}  {each.problem}"
    yield _summary_line(found.executors)


def _summary_line(executors: tuple[ExecutorStatus, ...]) -> str:
    counts = (
        ("may go live", sum(each.exit_code == 0 for each in executors)),
        ("red, amber or FAIL", sum(each.exit_code == 1 for each in executors)),
        ("warmup or inconclusive", sum(each.exit_code == 2 for each in executors)),
        ("without data or stale", sum(each.exit_code == 3 for each in executors)),
    )
    return f"{len(executors)} executors: {', '.join(f'{count} {what}' for what, count in counts if count)}"
