"""`pipeline-v6 heartbeat`."""

import socket

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment, utc
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk
from pipeline_v6_dagster.stages.rollout.announce import describe_record
from pipeline_v6_dagster.stages.rollout.downward import refresh_rollout
from pipeline_v6_dagster.stages.shadow.head import refresh_head


@click.command("heartbeat")
@json_option
def command(as_json: bool) -> None:
    """Refresh the head of the shadow log, and the executor's file of the rollout, which pauses if no compare comes."""
    settings = read_environment()
    head = refresh_head(settings, clock())
    host = socket.gethostname()
    paused = refresh_rollout(settings, clock(), host=host)
    if paused is not None and settings.alert_urls:
        AlertDesk(settings, clock, host=host).deliver()
    lines = [
        f"{head.total} newest decisions: {head.allowed} allowed, {head.vetoed} denied",
        f"from {utc(head.window.first_ts)} to {utc(head.window.last_ts)}",
    ]
    if not head.total:
        lines = [f"{settings.shadow_log}: no decisions yet; run pipeline-v6 shadow"]
    if paused is not None:
        lines.append(describe_record(paused))
    answer(as_json, msgspec.to_builtins(head), lines)
