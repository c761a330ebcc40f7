"""`pipeline-v6 report`."""

import click

from pipeline_v6_dagster.cli.progress import working
from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment
from pipeline_v6_dagster.stages.outputs.report import write_report


@click.command("report")
@json_option
def command(as_json: bool) -> None:
    """Write the parity report: one HTML page with the verdict, plots and the worst cases."""
    with working("drawing"):
        report = write_report(read_environment(), clock())
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
