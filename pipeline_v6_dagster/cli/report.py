"""`pipeline-v6 report`."""

import click

from pipeline_v6_dagster.cli.progress import working
from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment
from pipeline_v6_dagster.cli.times import TimeOption
from pipeline_v6_dagster.stages.outputs.report import write_report
from pipeline_v6_dagster.stages.rollout.sign_off import sign_off_path, write_sign_off


@click.command("report")
@click.option("--from", "from_ts", type=TimeOption(), help="From this time on: ISO-8601 with a zone, or epoch s.")
@click.option("--to", "to_ts", type=TimeOption(), help="... up to this time.")
@click.option("--sign-off", is_flag=True, help="Write the page that is signed before v6 moves up, instead.")
@json_option
def command(as_json: bool, from_ts: float | None, to_ts: float | None, sign_off: bool) -> None:
    """Write the parity report: one HTML page with the verdict, plots and the worst cases.

    With --from or --to it covers the decisions of that time, read from the history, and the last verdict in it. With
    --sign-off it is the page for a signature: epoch, criteria, what is not covered, who approved what, and the chain
    links that make it verifiable.
    """
    if sign_off:
        if from_ts is not None or to_ts is not None:
            raise click.UsageError("--sign-off is about the present epoch; give it without --from and --to")
        _sign_off(as_json)
        return
    if from_ts is not None and to_ts is not None and from_ts > to_ts:
        raise click.UsageError("--from is after --to")
    with working("drawing"):
        report = write_report(read_environment(), clock(), from_ts=from_ts, to_ts=to_ts)
    content = {
        "path": report.path,
        "status": report.status,
        "verdict": report.verdict,
        "size_bytes": report.size_bytes,
        "decisions": report.decisions,
        "upsizes": report.upsizes,
    }
    line = f"{report.path}: status {report.status}, verdict {report.verdict}, {report.decisions} decisions"
    answer(as_json, content, [line])


def _sign_off(as_json: bool) -> None:
    settings = read_environment()
    status = write_sign_off(settings, clock())
    path = sign_off_path(settings)
    answer(as_json, {"path": path, "verdict": status.verdict}, [f"{path}: verdict {status.verdict}"])
