"""`pipeline-v6 rollout`."""

import getpass
import os
import socket
from collections.abc import Callable, Iterator

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment
from pipeline_v6_dagster.cli.terminal import escape_controls
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import PipelineError
from pipeline_v6_dagster.domain.formatting import format_duration, format_percent, format_time
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutRecord
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk
from pipeline_v6_dagster.stages.rollout.act import STOPS, act
from pipeline_v6_dagster.stages.rollout.announce import announce_moves, describe_record
from pipeline_v6_dagster.stages.rollout.status import NextStep, RolloutReport, read_rollout_status
from pipeline_v6_dagster.stages.rollout.unrecorded_stop import UnrecordedStop

_HELP = {
    RolloutEvent.BEGIN: "Tell the executor that v6 is in the shadow. An approval needs no such step before it.",
    RolloutEvent.APPROVE: "Approve the next stage. Takes a PASS, the hours of the present stage, and a green status.",
    RolloutEvent.PAUSE: "Let v6 place no orders, and keep the stage.",
    RolloutEvent.RESUME: "Lift a halt or a reduction; where there is none, return from a pause to the stage.",
    RolloutEvent.ROLLBACK: "Let v6 place no orders, and give up the stage.",
    RolloutEvent.HALT: "Let no order through, whoever asks for it.",
    RolloutEvent.REDUCE: "Let only orders through that reduce a position.",
}


@click.group("rollout")
def command() -> None:
    """What v6 may do: its stage, and the steps up and down.

    Up takes evidence and a person; down takes nobody: compare rolls back and pauses by itself.
    A halt, reduce, pause or rollback that exits with 0 is in effect, also if the history is damaged.
    """


@command.command("status")
@json_option
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Where the rollout stands, since when, by whom, and what the next step needs.

    Exit code 0: the evidence supports what v6 may do. 1: it does not, or the executor's file says something else. 65:
    config/rollout.json cannot be used, so that the next step is not known.
    """
    report = read_rollout_status(read_environment(), clock())
    answer(as_json, msgspec.to_builtins(report), _lines(report))
    context.exit(report.exit_code)


def _make_command(event: RolloutEvent) -> click.Command:
    # Nothing that stops v6 fails for want of a name.
    is_stop = event in STOPS

    @click.command(event.value, help=_HELP[event])
    @click.option("--by", required=not is_stop, help="Your name.")
    @click.option("--why", required=not is_stop, help="The reason, for the history.")
    @json_option
    def step(as_json: bool, by: str | None, why: str | None) -> None:
        settings = read_environment()
        if is_stop:
            by, why = _or(by, _user_name), _or(why, lambda: "by hand")
        done = act(settings, event, by or "", why or "", clock)
        if isinstance(done, UnrecordedStop):
            _warn(_describe_unrecorded(settings, done))
            answer(as_json, msgspec.to_builtins(done.file), _unrecorded_lines(done))
            return
        try:
            _announce(settings)
        except PipelineError as error:
            if not is_stop:
                raise
            # It is in effect: an exit code other than 0 would say that it is not.
            _warn(f"{event} is in effect and not announced: {error}")
        answer(as_json, msgspec.to_builtins(done), _record_lines(done))

    return step


for _event in _HELP:
    command.add_command(_make_command(_event))


def _or(given: str | None, default: Callable[[], str]) -> str:
    """What was given; the default also for a blank, as an unset variable of a script leaves."""
    return default() if given is None or not given.strip() else given


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A user of a container may have no name.
        return f"user {os.getuid()}"


def _announce(settings: Settings) -> None:
    host = socket.gethostname()
    announce_moves(settings, clock(), host=host)
    if settings.alert_urls:
        AlertDesk(settings, clock, host=host).deliver()


def _warn(text: str) -> None:
    click.echo(f"pipeline-v6: warning: {escape_controls(' '.join(text.split()))}", err=True)


def _describe_unrecorded(settings: Settings, stop: UnrecordedStop) -> str:
    trading = "" if stop.file.trading_state is TradingState.ACTIVE else f" and trading is {stop.file.trading_state}"
    return (
        f"the stop is in effect, but only {settings.rollout_state} says so: v6 is off{trading}; the history is damaged"
        f" ({stop.problem}); run pipeline-v6 verify, move the history away and run pipeline-v6 heartbeat: only then can"
        " pipeline-v6 rollout resume lift the stop"
    )


def _unrecorded_lines(stop: UnrecordedStop) -> Iterator[str]:
    file = stop.file
    yield f"{file.reason} (by {file.by}); v6 is {file.state}, trading is {file.trading_state}"


def _record_lines(record: RolloutRecord) -> Iterator[str]:
    yield describe_record(record)
    if record.event is RolloutEvent.APPROVE and record.stage != record.target:
        yield f"it takes {record.approvals_needed} approvals by different people; see pipeline-v6 rollout status"


def _lines(report: RolloutReport) -> Iterator[str]:
    where = "" if report.stage is None else f", stage {report.stage}"
    yield f"v6 is {report.state}{where}, trading is {report.trading_state}"
    if report.symbols:
        yield f"places {format_percent(report.notional_share)} of the notional in {', '.join(report.symbols)}"
        yield f"in this stage for {format_duration(report.served_s)}"
    if report.since_ts is not None:
        yield f"since {format_time(report.since_ts)} by {report.by}: {report.reason}"
    identity = "none yet" if report.epoch is None else report.epoch.identity
    yield f"verdict {report.verdict}, epoch {identity}"
    if report.valid_until is not None:
        yield f"the executor's file is valid until {format_time(report.valid_until)}, sequence {report.sequence:,}"
    yield from (f"PROBLEM: {each}" for each in report.problems)
    yield from (f"note: {each}" for each in report.notes)
    yield from (f"PLAN: {each}" for each in report.plan_problems)
    if report.next_step is not None:
        yield from _next_lines(report.next_step)


def _next_lines(step: NextStep) -> Iterator[str]:
    to = ""
    if step.stage is not None:
        symbols = ", ".join(step.stage.symbols) or "the symbols that pass"
        to = f" to {step.stage.name} ({format_percent(step.stage.notional_share)} of {symbols})"
    yield f"next: pipeline-v6 rollout {step.step} --by NAME --why TEXT{to}"
    yield from (f"  needs: {each}" for each in step.needs)
    if step.approvals_needed > 1:
        given = ", ".join(step.approved_by) or "nobody yet"
        yield f"  needs {step.approvals_needed} approvals by different people; given by {given}"
