"""`pipeline-v6 simulate`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from threading import Event

import click
import msgspec

from pipeline_v6_dagster.cli.number_option import MAX_SECONDS, NumberOption
from pipeline_v6_dagster.cli.progress import progress
from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment
from pipeline_v6_dagster.simulator.fault_table import ROW_FAULTS
from pipeline_v6_dagster.simulator.faults import Fault, parse_fault
from pipeline_v6_dagster.stages.simulate.run import (
    Feed,
    Plan,
    Simulated,
    prepare_home,
    simulate_history,
    simulate_live,
)

_TICK_S = 0.5


def _faults(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    try:
        return dict(parse_fault(value, ROW_FAULTS) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("simulate")
@click.option("--seconds", type=NumberOption(1, MAX_SECONDS), help="How long it trades; without it until Ctrl-C.")
@click.option("--at-once", is_flag=True, help="Write these seconds as history that ends now, instead of living them.")
@click.option("--rate", type=NumberOption(1e-4, 1000), default=0.2, show_default=True, help="Attempts/s.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed trades the same orders.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME:SHARE",
    callback=_faults,
    help=f"A fault to mix in, as upsize:0.02; may be given several times. Names: {', '.join((*Fault, *ROW_FAULTS))}.",
)
@json_option
def command(
    as_json: bool, seconds: float | None, at_once: bool, rate: float, seed: int, faults: dict[str, float]
) -> None:
    """A live executor's logs, made up but faithful, at a given rate, seed and fault mix.

    Writes into PIPELINE_V6_HOME, with the configuration that it trades under if there is none, and the truth of
    every fault into logs/simulated_truth.jsonl. A home that holds the logs of a real executor is refused.
    """
    if at_once and seconds is None:
        raise click.UsageError("--at-once needs --seconds")
    settings = read_environment()
    prepare_home(settings)
    plan = Plan(seed=seed, attempts_per_s=rate, seconds=inf if seconds is None else seconds, shares=faults)
    if at_once:
        with progress("simulating") as seen:
            run = simulate_history(settings, plan, clock(), seen)
    else:
        start_ts = clock()
        with _until_told_to_stop() as stop:
            run = simulate_live(Feed(settings, plan, start_ts), clock, _ticks(stop), start_ts + plan.seconds)
    answer(as_json, msgspec.to_builtins(run, enc_hook=str), _lines(run))


@contextmanager
def _until_told_to_stop() -> Iterator[Event]:
    """Ctrl-C is the way to end it: between two writes, so that the logs and the truth end with the same row."""
    stop = Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _ticks(stop: Event) -> Iterator[None]:
    while not stop.is_set():
        yield
        stop.wait(_TICK_S)


def _lines(run: Simulated) -> list[str]:
    lines = [f"{run.lines} lines logged over {run.traded_s:.0f} s of trading"]
    lines += [f"  {count:>7}  {name}" for name, count in run.faults.items()]
    if run.faults:
        lines.append(f"each fault with its intent: {run.truth}")
    return lines
