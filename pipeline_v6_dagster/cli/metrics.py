"""`pipeline-v6 metrics`."""

import os
import socket
from functools import partial
from pathlib import Path

import click
from prometheus_client.registry import Collector

from pipeline_v6_dagster.cli.surroundings import (
    answer,
    clock,
    executor_option,
    find_executor,
    fleet_of_environment,
    json_option,
    read_environment,
)
from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.logs.chain_follower import follow_chains
from pipeline_v6_dagster.stages.outputs.fleet_metrics import FleetMetrics
from pipeline_v6_dagster.stages.outputs.fleet_status import read_executor_report, read_fleet_reports
from pipeline_v6_dagster.stages.outputs.metrics import SummaryMetrics, collect_samples, encode_collector
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.storage.files import replace_file


@click.command("metrics")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Replace this file at once instead.")
@json_option
def command(as_json: bool, output: Path | None) -> None:
    """The summary in the Prometheus text format, for a textfile collector.

    With --output the file is replaced in one step, so that a collector never reads half of it. With a fleet every
    metric has the label executor, and all executors are in it where --executor names none.
    """
    metrics = _collect()
    text, samples = encode_collector(metrics), collect_samples(metrics)
    if output is not None:
        if not output.absolute().parent.is_dir():
            # A new folder would be one that no collector reads.
            raise StorageError(f"{output}: cannot be written: {output.absolute().parent} is no folder")
        # Others read it: the collector runs as a user of its own.
        replace_file(output.absolute(), text)
        output.chmod(0o644)
        answer(as_json, {"path": output.absolute(), "samples": len(samples)}, [f"{output}: written"])
        return
    answer(as_json, {"metrics": samples}, text.decode().splitlines())


def _collect() -> Collector:
    """The metrics of the one executor, or of the fleet."""
    base = load_settings(os.environ, Path.cwd())
    verify = partial(follow_chains, clock=clock)  # A collector asks every minute.
    if base.fleet_file is None:
        return SummaryMetrics(read_status(read_environment(), clock(), verify))
    fleet, name = fleet_of_environment(base), executor_option()
    if name is None:
        return FleetMetrics(fleet, list(read_fleet_reports(base, fleet, clock(), socket.gethostname(), verify)))
    return FleetMetrics(fleet, [read_executor_report(find_executor(fleet, name), clock(), verify)])
