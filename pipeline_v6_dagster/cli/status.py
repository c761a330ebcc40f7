"""`pipeline-v6 status`."""

import os
import sys
import time
from collections.abc import Iterator

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, settings_of_environment, utc
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.summary import Summary, Verdict
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.stages.outputs.status import Report, read_status


@click.command("status")
@json_option
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option("--every", type=click.FloatRange(min=0.2), default=5.0, show_default=True, help="Seconds between looks.")
@click.pass_context
def command(context: click.Context, as_json: bool, watch: bool, every: float) -> None:
    """The verdict for a launch gate, what changed since the run before, what to do.

    Exit code 0: green and PASS. 1: red or amber. 2: warmup or inconclusive. 3: no data, or what there is is stale.
    """
    settings = settings_of_environment()
    report = _watch(settings, every, as_json) if watch else read_status(settings, clock())
    if not watch:
        _show(report, as_json)
    context.exit(report.exit_code)


def _show(report: Report, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        answer(as_json, msgspec.to_builtins(report), _lines(report))
        return
    from rich.console import Console

    from pipeline_v6_dagster.cli.status_screen import screen

    Console().print(screen(report, clock()))


def _watch(settings: Settings, every_s: float, as_json: bool) -> Report:
    """On a terminal one screen that is drawn anew; elsewhere one answer whenever there is another."""
    report = read_status(settings, clock())
    try:
        if sys.stdout.isatty() and not as_json:
            from rich.live import Live

            from pipeline_v6_dagster.cli.status_screen import screen

            with Live(screen(report, clock()), screen=True, auto_refresh=False) as live:
                while True:
                    time.sleep(every_s)
                    report = read_status(settings, clock())
                    live.update(screen(report, clock()), refresh=True)
        _show(report, as_json)
        while not _is_nobody_reading():
            time.sleep(every_s)
            news = read_status(settings, clock())
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
    lines += [f"STALE: {stale}" for stale in report.stale]
    summary = report.summary
    if summary is None:
        return [*lines, *(f"  {reason}" for reason in report.reasons), *(f"to do: {step}" for step in report.to_do)]
    lines += list(_criteria_lines(report))
    lines += [
        f"acknowledged: {each.criterion} by {each.by} on {utc(each.ts)}: {each.why}" for each in report.acknowledged
    ]
    lines += [*_reach_lines(report), *_figures(summary)]
    if report.changes:
        lines.append(f"changed since {utc(report.previous_ts)}: {'; '.join(report.changes)}")
    lines += [f"to do: {step}" for step in report.to_do]
    return [*lines, *_upsizes(summary)]


def _criteria_lines(report: Report) -> Iterator[str]:
    """What does not hold, with what was measured and its limit; the others as a count."""
    open_ones = [each for each in report.criteria if each.state is not CriterionState.HOLDS]
    for each in open_ones:
        yield f"  {each.state.value:<10} {each.name:<22} {each.measured} (limit: {each.limit})"
    yield f"  {len(report.criteria) - len(open_ones)} of {len(report.criteria)} criteria hold"


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
        yield f"at the present rates a PASS is possible from {utc(found.possible_ts)} on"
    else:
        yield "too little was seen so far to say when a PASS becomes possible"


def _figures(summary: Summary) -> list[str]:
    coverage, sizing, epoch = summary.coverage, summary.sizing_diff_stats, summary.epoch
    restarts = f", {epoch.uncounted_restarts} restarts that did not count" if epoch.uncounted_restarts else ""
    return [
        f"epoch {epoch.number} since {utc(epoch.since_ts)}, tested at an error rate of"
        f" {100 * epoch.error_rate:.2f} %{restarts}",
        f"{summary.sample_size:,} decisions compared (of the newest {summary.window.limit:,}, at least"
        f" {summary.min_sample_size:,} needed), {coverage.matched:,} with a live counterpart,"
        f" {coverage.unresolved:,} without, {coverage.live_only:,} live orders without a decision",
        f"veto mismatch {_shown(summary.veto_mismatch_pct, ' %')},"
        f" sizing p95 {_shown(sizing.p95, '')} over {sizing.sample_size:,} orders,"
        f" slippage p95 {_shown(summary.slippage_diff_bps.p95, ' bps')}",
        f"newest decision made {utc(summary.newest_decision_ts)}, summary written {utc(summary.generated_ts)}",
    ]


def _upsizes(summary: Summary) -> list[str]:
    count = summary.sizing_diff_stats.upsize_count
    if not count:
        return []
    rest = f"; {count - len(summary.upsizes):,} more are not listed" if count > len(summary.upsizes) else ""
    return [
        f"{count:,} of the newest orders were placed larger than asked for{rest}:",
        *(
            f"  {utc(upsize.ts)}  {upsize.symbol or '-':<10} {upsize.side or '-':<4}"
            f"  {upsize.intent_id or upsize.decision_id}"
            f"  {_shown(upsize.ratio, ' x')}  {_usd(upsize.excess_usd)}"
            for upsize in summary.upsizes
        ),
    ]


def _usd(value: float | None) -> str:
    return "excess not measured" if value is None else f"{value:,.2f} USD too much"


def _shown(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:,.3f}{unit}"
