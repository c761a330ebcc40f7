"""`pipeline-v6 acknowledge`."""

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment, utc
from pipeline_v6_dagster.cli.times import TimeOption
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.acknowledge import acknowledge, list_acknowledgements


@click.command("acknowledge")
@click.argument("criterion", required=False)
@click.option("--by", help="Your name.")
@click.option("--why", help="What was found and done.")
@click.option("--fixed-at", type=TimeOption(), help="When the cause was gone: a new epoch begins there.")
@click.option("--until", type=TimeOption(), help="Until when its alert is not repeated.")
@click.option("--list", "shows_list", is_flag=True, help="Show what stands.")
@json_option
def command(
    as_json: bool,
    criterion: str | None,
    by: str | None,
    why: str | None,
    fixed_at: float | None,
    until: float | None,
    shows_list: bool,
) -> None:
    """Record that a person has taken care of an incident of CRITERION.

    The record is a chained line of the alert log. It silences repeats of the alert until --until. With --fixed-at the
    evidence counts from there on; that a verdict becomes PASS takes the evidence of the new epoch.
    """
    settings, now = read_environment(), clock()
    if shows_list or criterion is None:
        if criterion is not None or not shows_list:
            raise click.UsageError("name a criterion with --by and --why, or give --list alone")
        standing = list_acknowledgements(settings, now)
        lines = list(map(_line, standing)) or ["no acknowledgement stands"]
        answer(as_json, {"acknowledgements": msgspec.to_builtins(standing)}, lines)
        return
    if by is None or why is None:
        raise click.UsageError("--by and --why are needed")
    record = Acknowledgement(ts=now, criterion=criterion, by=by, why=why, fixed_at=fixed_at, until=until)
    acknowledge(settings, record)
    answer(as_json, msgspec.to_builtins(record), [_line(record), "the next compare applies it"])


def _line(record: Acknowledgement) -> str:
    parts = [f"{utc(record.ts)}  {record.criterion}  by {record.by}: {record.why}"]
    if record.fixed_at is not None:
        parts.append(f"evidence counts from {utc(record.fixed_at)}")
    if record.until is not None:
        parts.append(f"silent until {utc(record.until)}")
    return "; ".join(parts)
