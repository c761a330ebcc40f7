"""`pipeline-v6 metrics`."""

from pathlib import Path

import click

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment
from pipeline_v6_dagster.stages.outputs.metrics import build_samples, encode_metrics
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.storage.files import replace_file


@click.command("metrics")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Replace this file at once instead.")
@json_option
def command(as_json: bool, output: Path | None) -> None:
    """The summary in the Prometheus text format, for a textfile collector.

    With --output the file is replaced in one step, so that a collector never reads half of it.
    """
    report = read_status(read_environment(), clock())
    text = encode_metrics(report)
    if output is not None:
        # Others read it: the collector runs as a user of its own.
        replace_file(output.absolute(), text)
        output.chmod(0o644)
        answer(as_json, {"path": output.absolute(), "samples": len(build_samples(report))}, [f"{output}: written"])
        return
    answer(as_json, {"metrics": build_samples(report)}, text.decode().splitlines())
