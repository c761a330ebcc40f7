"""`pipeline-v6 compare`."""

import socket
from functools import partial

import click
import msgspec

from pipeline_v6_dagster.cli.progress import working
from pipeline_v6_dagster.cli.surroundings import (
    answer,
    clock,
    json_option,
    read_configuration,
    read_environment,
)
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.chain_follower import follow_chains, forget_verified
from pipeline_v6_dagster.stages.compare.run import CompareRun, run_compare
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk, record_alerts
from pipeline_v6_dagster.stages.outputs.comparison_checks import evaluate_comparison
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext
from pipeline_v6_dagster.stages.rollout.act import COMPARE
from pipeline_v6_dagster.stages.rollout.downward import follow_evidence, roll_back_if_critical
from pipeline_v6_dagster.stages.rollout.evidence import gate_evidence
from pipeline_v6_dagster.stages.rollout.state import is_known


@click.command("compare")
@click.option("--rebuild", is_flag=True, help="Everything again from the logs, in the place of the compare log.")
@json_option
def command(as_json: bool, rebuild: bool) -> None:
    """Settle, pair, append diffs, refresh the summary, move the rollout down if the evidence demands it, alert."""
    settings = read_environment()
    with working("comparing"):
        if rebuild:
            forget_verified(settings, "compare_diffs")  # It begins a new chain.
        run = run_compare(settings, read_configuration(settings).limits, clock, rebuild=rebuild)
        roll_back_if_critical(settings, clock(), COMPARE)
        host = socket.gethostname()
        context = CheckContext(settings, clock(), partial(follow_chains, clock=clock))
        if is_known(settings):
            follow_evidence(settings, gate_evidence(settings, context.gate, clock()), clock(), COMPARE, host=host)
        record_alerts(settings, evaluate_comparison(context), clock(), host=host)
        if settings.alert_urls:
            AlertDesk(settings, clock, host=host).deliver()
    answer(as_json, msgspec.to_builtins(run, enc_hook=str), _lines(settings, run))


def _lines(settings: Settings, run: CompareRun) -> list[str]:
    summary = run.summary
    lines = [f"{run.diff_count} new diffs, {run.open_decisions} decisions still open"]
    lines += [f"  {count:>7}  {kind}" for kind, count in run.mismatch_kinds.most_common()]
    lines.append(f"status {summary.status}, verdict {summary.verdict}: {'; '.join(summary.verdict_reasons)}")
    lines += [f"{path}: not there yet" for path in run.missing]
    if run.waits_for_shadow:
        lines.append("some attempts have no decision yet; run pipeline-v6 shadow first")
    if run.cut_bytes:
        lines.append(f"{settings.compare_diffs}: {run.cut_bytes} bytes of an unfinished write were cut")
    return lines
