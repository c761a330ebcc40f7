"""`pipeline-v6 drill`."""

from collections.abc import Iterator
from itertools import groupby

import click
import msgspec

from pipeline_v6_dagster.cli.number_option import MAX_DAYS, NumberOption
from pipeline_v6_dagster.cli.progress import progress
from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment, utc
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE
from pipeline_v6_dagster.stages.drill.check import NOTHING_TO_DRILL
from pipeline_v6_dagster.stages.drill.result import DrillReport, FaultResult, Outcome
from pipeline_v6_dagster.stages.drill.run import DEFAULT_DAYS, run_drill

EXIT_MISSED = 1
EXIT_NONE_TESTED = 2


@click.command("drill")
@click.option(
    "--days",
    type=NumberOption(0.01, MAX_DAYS),
    default=DEFAULT_DAYS,
    show_default=True,
    help="How much of the newest history to copy.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME",
    type=click.Choice(tuple(FAULT_TABLE)),
    help="Inject this fault only; may be given several times. docs/reference.md lists them.",
)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool, days: float, faults: tuple[str, ...]) -> None:
    """Whether the verdict sees known faults in a copy of this desk's own logs.

    Injects one fault after the other, runs the stages on the copy and demands that the criterion named for the fault
    no longer holds. Never touches the home. A fault whose criterion does not hold without it cannot be tested.
    Exit code 0: every fault that could be tested was caught. 1: one was missed. 2: none could be tested.
    """
    settings = read_environment()
    with progress("drilling") as seen:
        report = run_drill(settings, clock(), days, faults or None, seen=seen)
    answer(as_json, msgspec.to_builtins(report) | {"has_missed": report.has_missed}, _lines(report))
    if report.has_missed:
        context.exit(EXIT_MISSED)
    context.exit(0 if report.named(Outcome.CAUGHT) else EXIT_NONE_TESTED)


def _lines(report: DrillReport) -> Iterator[str]:
    if not report.attempts:
        yield NOTHING_TO_DRILL
        return
    yield (
        f"{report.attempts:,} attempts from {utc(report.first_ts)} to {utc(report.last_ts)},"
        f" {len(report.results)} faults"
    )
    for group, results in groupby(report.results, key=lambda result: result.group):
        yield f"{group}:"
        yield from map(_line, results)
    counts = {outcome: len(report.named(outcome)) for outcome in Outcome}
    yield (
        f"{counts[Outcome.CAUGHT]} caught, {counts[Outcome.MISSED]} missed,"
        f" {counts[Outcome.NOT_TESTED]} could not be tested"
    )


def _line(result: FaultResult) -> str:
    outcome = {Outcome.CAUGHT: "caught", Outcome.MISSED: "MISSED", Outcome.NOT_TESTED: "not tested"}[result.outcome]
    explanation = result.detail or f"{result.criterion} {result.before} -> {result.after}"
    also = f" (also {', '.join(result.also)})" if result.also else ""
    return f"  {outcome:<10}  {result.name:<22} {result.criterion:<20} {explanation}{also}"
