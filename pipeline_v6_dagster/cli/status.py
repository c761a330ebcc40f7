"""`pipeline-v6 status`."""

import os
import sys
import time
from collections.abc import Iterator

import click
import msgspec

from pipeline_v6_dagster.cli.exit_codes import Reported, describe_error
from pipeline_v6_dagster.cli.number_option import MAX_SECONDS, NumberOption
from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import PipelineError
from pipeline_v6_dagster.domain.formatting import format_bps, format_percent, format_ratio, format_time, format_usd
from pipeline_v6_dagster.domain.summary import EvidencePart, Status, Summary, Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.criteria_checks import count_failing
from pipeline_v6_dagster.stages.outputs.next_steps import mismatch_ratio, order_criteria
from pipeline_v6_dagster.stages.outputs.rollout_stand import describe_rollout
from pipeline_v6_dagster.stages.outputs.status import ChainReader, Report, read_status

# Longer lists are a number at their end.
_MOST_IDS = 5
_MOST_DETAILS = 8
_MOST_WIDTH = 60


@click.command("status")
@json_option
@click.option("--watch", is_flag=True, help="Repeat it until Ctrl-C.")
@click.option(
    "--every", type=NumberOption(0.2, MAX_SECONDS), default=5.0, show_default=True, help="Seconds in between."
)
@click.pass_context
def command(context: click.Context, as_json: bool, watch: bool, every: float) -> None:
    """The verdict for a launch gate, what changed since the run before, what to do.

    Exit code 0: green and PASS. 1: red or amber. 2: warmup or inconclusive. 3: no data, or what there is is stale.
    With --json there is always a verdict: NO_DATA if a setting or a file cannot be used; the exit code is the error's.
    """
    try:
        settings = read_environment()
        report = _watch(settings, every, as_json) if watch else read_status(settings, clock())
    except (click.ClickException, PipelineError, OSError) as error:
        if as_json:
            # A launch gate that reads the verdict finds one, whatever else is wrong.
            _show(_report_of_error(error), as_json)
        raise
    if not watch:
        _show(report, as_json)
    context.exit(report.exit_code)


def _report_of_error(error: Reported) -> Report:
    """What there is to say where the status cannot be read."""
    problem, exit_code = describe_error(error)
    return Report(
        exit_code=exit_code,
        status=Status.NO_DATA,
        verdict=Verdict.NO_DATA,
        answer="v6 may not go live: the status cannot be read.",
        reasons=(problem,),
        criteria=(),
        failed_criteria=(),
        passed_symbols=(),
        not_covered=(),
        stale=(),
        summary=None,
    )


def _show(report: Report, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        answer(as_json, msgspec.to_builtins(report), _lines(report))
        return
    from rich.console import Console

    from pipeline_v6_dagster.cli.status_screen import fit_screen

    console = Console()
    console.print(fit_screen(report, clock(), console))


def _watch(settings: Settings, every_s: float, as_json: bool) -> Report:
    """On a terminal one screen that is redrawn; elsewhere one answer whenever it changes."""
    verify = ChainReader()
    report = read_status(settings, clock(), verify)
    try:
        if sys.stdout.isatty() and not as_json:
            from rich.console import Console
            from rich.live import Live

            from pipeline_v6_dagster.cli.status_screen import fit_screen

            console = Console()
            with Live(fit_screen(report, clock(), console), console=console, screen=True, auto_refresh=False) as live:
                while True:
                    time.sleep(every_s)
                    report = read_status(settings, clock(), verify)
                    live.update(fit_screen(report, clock(), console), refresh=True)
        _show(report, as_json)
        while not _is_nobody_reading():
            time.sleep(every_s)
            news = read_status(settings, clock(), verify)
            if news != report:
                report = news
                _show(report, as_json)
    except KeyboardInterrupt:
        # The way to end it; the exit code is that of what was seen last.
        pass
    return report


def _is_nobody_reading() -> bool:
    """Whether the reader of our output has gone, as `answer` notes it."""
    return getattr(sys.stdout, "name", None) == os.devnull


def _lines(report: Report) -> list[str]:
    lines = [report.answer, f"status {report.status}, verdict {report.verdict}"]
    lines += [describe_rollout(report.rollout)] if report.rollout is not None else []
    lines += [f"STALE: {stale}" for stale in report.stale]
    summary = report.summary
    if summary is None:
        return [*lines, *(f"  {reason}" for reason in report.reasons), *(f"to do: {step}" for step in report.to_do)]
    lines += list(_criteria_lines(report))
    lines += map(_acknowledged, report.acknowledged)
    lines += [*_reach_lines(report), *_figures(summary)]
    if report.changes:
        lines.append(f"changed since {format_time(report.previous_ts)}: {'; '.join(report.changes)}")
    lines += [f"to do: {step}" for step in report.to_do]
    return [*lines, *_upsizes(summary)]


def _acknowledged(record: Acknowledgement) -> str:
    until = "" if record.until is None else f"; silent until {format_time(record.until)}"
    return f"acknowledged: {record.criterion} by {record.by} on {format_time(record.ts)}: {record.why}{until}"


def _criteria_lines(report: Report) -> Iterator[str]:
    """A table: state, criterion, what was measured, its limit; what does not hold stands first."""
    shown = order_criteria(report.criteria)
    width = max((len(each.measured) for each in shown), default=0)
    width = min(width, _MOST_WIDTH)
    yield f"  {'state':<10} {'criterion':<20} {'measured':<{width}}  limit"
    for each in shown:
        yield f"  {each.state.value:<10} {each.name:<20} {each.measured:<{width}}  {each.limit}"
        if each.state is CriterionState.BROKEN and each.failing_ids:
            yield f"  {'':<31} {_failing_ids(each)}"
    holding = sum(each.state is CriterionState.HOLDS for each in shown)
    yield f"  {holding} of {len(shown)} criteria hold"


def _failing_ids(criterion: Criterion) -> str:
    """The newest ids, and of how many more there are, if that is known."""
    listed = ", ".join(criterion.failing_ids[:_MOST_IDS])
    count = count_failing(criterion)
    if count is None:
        return f"{listed}; more are not listed" if len(criterion.failing_ids) > _MOST_IDS else listed
    rest = count - min(_MOST_IDS, len(criterion.failing_ids))
    return f"{listed}; {rest:,} more are not listed" if rest > 0 else listed


def _reach_lines(report: Report) -> Iterator[str]:
    """What a PASS still needs, and from when on one is possible at the present rates."""
    found = report.reach
    if found is None or report.verdict is Verdict.PASS:
        return
    waiting = [step for step in found.steps if not step.is_blocked]
    yield from (f"  a PASS needs     {step.name:<22} {step.missing}" for step in waiting)
    if found.blockers:
        yield f"waiting alone gives no PASS: {', '.join(found.blockers)} must be dealt with first"
    elif found.possible_ts is not None:
        yield f"at the present rates a PASS is possible from {format_time(found.possible_ts)} on"
    else:
        yield "too little was seen so far to say when a PASS becomes possible"


def _figures(summary: Summary) -> list[str]:
    coverage, sizing, epoch = summary.coverage, summary.sizing_diff_stats, summary.epoch
    restarts = f", {epoch.uncounted_restarts} restarts that did not count" if epoch.uncounted_restarts else ""
    return [
        f"epoch {epoch.number} since {format_time(epoch.since_ts)}, tested at an error rate of"
        f" {format_percent(epoch.error_rate)}{restarts}",
        f"  evidence from the shadow: {_part(epoch.shadow)}; from orders that v6 placed: {_part(epoch.live)}",
        f"{summary.sample_size:,} decisions compared (of the newest {summary.window.limit:,}, at least"
        f" {summary.min_sample_size:,} needed), {coverage.matched:,} with a live counterpart,"
        f" {coverage.unresolved:,} without, {coverage.live_only:,} live orders without a decision",
        f"veto mismatch {format_percent(mismatch_ratio(summary))},"
        f" sizing p95 {format_percent(sizing.p95)} over {sizing.sample_size:,} orders,"
        f" slippage p95 {format_bps(summary.slippage_diff_bps.p95)}",
        *_causes(summary),
        f"newest decision made {format_time(summary.newest_decision_ts)},"
        f" summary written {format_time(summary.generated_ts)}",
    ]


def _part(part: EvidencePart) -> str:
    return f"{part.decisions:,} decisions, {part.executed:,} executed, {part.mismatches:,} mismatches"


def _causes(summary: Summary) -> Iterator[str]:
    """Why live and v6 differ; of vetoes, each reason with its count, a symbol that the universe does not list too."""
    if summary.root_causes:
        causes = sorted(summary.root_causes.items(), key=lambda item: -item[1])
        yield f"causes of differences: {', '.join(f'{cause} {count:,}' for cause, count in causes)}"
    if summary.cause_details:
        details = sorted(summary.cause_details.items(), key=lambda item: -item[1])
        rest = f"; {len(details) - _MOST_DETAILS:,} more are not listed" if len(details) > _MOST_DETAILS else ""
        yield f"  in detail: {', '.join(f'{name} {count:,}' for name, count in details[:_MOST_DETAILS])}{rest}"


def _upsizes(summary: Summary) -> list[str]:
    count = summary.sizing_diff_stats.upsize_count
    if not count:
        return []
    rest = f"; {count - len(summary.upsizes):,} more are not listed" if count > len(summary.upsizes) else ""
    return [
        f"{count:,} of the newest orders were placed larger than asked for{rest}:",
        *(
            f"  {format_time(upsize.ts)}  {upsize.symbol or '-':<10} {upsize.side or '-':<4}"
            f"  {upsize.intent_id or upsize.decision_id}"
            f"  {format_ratio(upsize.ratio)}  {format_usd(upsize.excess_usd)} too much"
            for upsize in summary.upsizes
        ),
    ]
