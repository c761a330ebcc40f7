"""`pipeline-v6 replay`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pipeline_v6_dagster.cli.progress import progress
from pipeline_v6_dagster.cli.surroundings import answer, clock, json_option, read_environment, utc
from pipeline_v6_dagster.cli.times import TimeOption
from pipeline_v6_dagster.stages.replay.result import as_data
from pipeline_v6_dagster.stages.replay.run import Replay, replay


@click.command("replay")
@click.option(
    "--config-dir",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Holds the other risk_limits.json and pairs_universe.json.",
)
@click.option("--from", "from_ts", type=TimeOption(), help="From this time on: ISO-8601 with a zone, or epoch s.")
@click.option("--to", "to_ts", type=TimeOption(), help="... up to this time; what was logged later is not looked at.")
@click.option("--rows", type=click.IntRange(min=0), default=10, show_default=True, help="Orders to list.")
@json_option
def command(as_json: bool, config_dir: Path, from_ts: float | None, to_ts: float | None, rows: int) -> None:
    """The history again under another configuration: what would change, in decisions and dollars.

    Never touches the live logs: it reads them, and works in a folder that is gone afterwards.
    """
    if from_ts is not None and to_ts is not None and from_ts > to_ts:
        raise click.UsageError("--from is after --to")
    settings = read_environment()
    with progress("replaying") as seen:
        result = replay(settings, config_dir.absolute(), clock, from_ts=from_ts, to_ts=to_ts, seen=seen)
    data = as_data(result)
    answer(as_json, data, _lines(result, data, rows))


def _lines(result: Replay, data: dict[str, Any], most: int) -> Iterator[str]:
    flips, dollars = data["flips"], data["dollars"]
    yield f"{result.decisions} decisions again under {result.config_dir}"
    if result.not_replayed:
        yield f"{result.not_replayed} decisions cannot be decided again: their attempts are in no log any more"
    yield from _verdicts(result)
    yield f"{flips['stopped']} decisions would be stopped, {flips['let_through']} let through"
    for title, key, name in (("rule", "by_rule", "rules"), ("symbol", "by_symbol", "symbol")):
        if flips[key]:
            yield f"{title:<30} {'stopped':>8} {'let thr.':>8} {'executed USD':>14} {'profit USD':>12}"
        for row in flips[key]:
            yield (
                f"{row[name]:<30} {row['stopped']:>8} {row['let_through']:>8}"
                f" {_usd(row['executed_gross_usd']):>14} {_usd(row['profit_usd']):>12}"
            )
    yield f"{'in dollars':<30} {'then':>16} {'now':>16} {'change':>16}"
    for name, label in (
        ("placed_usd", "gross notional placed"),
        ("gross_usd", "gross notional executed"),
        ("fees_usd", "fees"),
        ("slippage_usd", "slippage (positive = cost)"),
        ("profit_usd", "profit before fees"),
    ):
        then, now, change = dollars["then"][name], dollars["now"][name], dollars["change"][name]
        yield f"{label:<30} {_usd(then):>16} {_usd(now):>16} {_usd(change):>16}"
    unfilled = [dollars[which]["without_fill"] for which in ("then", "now")]
    if any(unfilled):
        yield f"of {unfilled[0]} orders then, {unfilled[1]} now, no fill was logged, only what was placed is known"
    unknown = dollars["then"]["without_fees"] + dollars["now"]["without_fees"]
    if unknown:
        then, now = (dollars[which]["without_fees"] for which in ("then", "now"))
        yield f"fees were not logged of {then} orders then, {now} now; they are in no sum"
    yield _not_placed(data["not_placed"])
    listed = sorted(data["orders_not_placed"], key=lambda one: -abs(one["profit_usd"] or 0.0))[:most]
    for one in listed:
        marked = " (marked, still open)" if one["is_profit_marked"] else ""
        yield (
            f"  {utc(one['ts'])}  {one['symbol']:<10} {one['side'] or '-':<4} {one['decision_id']}"
            f"  executed USD {_usd(one['executed_gross_usd'])}, profit {_usd(one['profit_usd'])}{marked}:"
            f" {', '.join(one['rules'])}"
        )


def _verdicts(result: Replay) -> Iterator[str]:
    """Both verdicts, and each of their reasons once, with the verdict that has it."""
    before = () if result.then is None else result.then.reasons
    if result.then is not None:
        yield f"then: status {result.then.status}, verdict {result.then.verdict}"
    yield f"now:  status {result.now.status}, verdict {result.now.verdict}"
    for reason in dict.fromkeys((*before, *result.now.reasons)):
        has_it = "now: " if reason not in before else "both:" if reason in result.now.reasons else "then:"
        yield f"  {has_it} {reason}"


def _not_placed(placed: dict[str, Any]) -> str:
    line = f"{placed['orders']} orders would not have been placed"
    if not placed["orders"]:
        return line
    if placed["earned_usd"] is None:
        return f"{line}; what they earned or lost was not measured"
    line += f"; they earned {_usd(placed['earned_usd'])} and lost {_usd(placed['lost_usd'])} before fees"
    return line + (f"; {placed['without_profit']} opened nothing that is known" if placed["without_profit"] else "")


def _usd(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.2f}"
