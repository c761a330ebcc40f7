"""`pipeline-v6 shadow`."""

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
from pipeline_v6_dagster.stages.shadow.run import ShadowRun, run_shadow


@click.command("shadow")
@json_option
def command(as_json: bool) -> None:
    """Decide every new attempt, append to the shadow log."""
    settings = read_environment()
    with working("deciding"):
        run = run_shadow(settings, read_configuration(settings).limits, clock)
    answer(as_json, msgspec.to_builtins(run), _lines(settings, run))


def _lines(settings: Settings, run: ShadowRun) -> list[str]:
    lines = [f"{run.decided} attempts decided: {run.allowed} allowed, {run.denied} denied"]
    lines += [f"  {count:>7}  {reason}" for reason, count in run.deny_reasons.most_common()]
    if run.rejected:
        kinds = ", ".join(f"{count} {kind}" for kind, count in run.rejected.most_common())
        lines.append(f"lines not used: {kinds}")
    if run.is_log_missing:
        lines.append(f"{settings.order_attempts}: not there yet, nothing to decide")
    if run.is_offset_lost:
        lines.append(
            f"{settings.order_attempts}: the line read last is in none of its files: {run.lost_bytes} bytes are gone;"
            " what was logged after them may be lost"
        )
    lines += [
        f"{name}: the row read last is in none of its files; what was logged since is known from its newer rows only"
        for name in run.lost_inputs
    ]
    if run.cut_bytes:
        lines.append(f"{settings.shadow_log}: {run.cut_bytes} bytes of an unfinished write were cut")
    return lines
