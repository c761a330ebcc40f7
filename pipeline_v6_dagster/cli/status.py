"""`pipeline-v6 status`."""

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, settings_of_environment, utc
from pipeline_v6_dagster.stages.status import Report, read_status


@click.command("status")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """The verdict for a launch gate.

    Exit code 0: green. 1: red or amber. 2: warmup or inconclusive. 3: no data, or what there is is stale.
    """
    report = read_status(settings_of_environment(), clock())
    answer(as_json, msgspec.to_builtins(report), _lines(report))
    context.exit(report.exit_code)


def _lines(report: Report) -> list[str]:
    lines = [f"status {report.status}, verdict {report.verdict}"]
    lines += [f"  {reason}" for reason in report.reasons]
    lines += [f"STALE: {stale}" for stale in report.stale]
    summary = report.summary
    if summary is None:
        return lines
    coverage, sizing = summary["coverage"], summary["sizing_diff_stats"]
    lines += [
        f"{summary['sample_size']} decisions compared (of the newest {summary['window']['limit']}, at least"
        f" {summary['min_sample_size']} needed), {coverage['matched']} with a live counterpart,"
        f" {coverage['unresolved']} without, {coverage['live_only']} live orders without a decision",
        f"veto mismatch {_shown(summary['veto_mismatch_pct'], ' %')},"
        f" sizing p95 {_shown(sizing['p95'], '')} over {sizing['sample_size']} orders,"
        f" slippage p95 {_shown(summary['slippage_diff_bps']['p95'], ' bps')}",
        f"written {utc(summary['generated_ts'])}",
    ]
    if sizing["upsize_count"]:
        lines.append(f"{sizing['upsize_count']} orders were placed larger than asked for; the newest:")
        lines += [
            f"  {utc(upsize['ts'])}  {upsize['symbol'] or '-':<10} {upsize['side'] or '-':<4}"
            f"  {upsize['intent_id'] or upsize['decision_id']}"
            f"  {_shown(upsize['ratio'], ' x')}  {_shown(upsize['excess_usd'], ' USD too much')}"
            for upsize in summary["upsizes"]
        ]
    return lines


def _shown(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.4g}{unit}"
