"""The status on one screen of a terminal: the answer, the criteria, figures, what changed. Drawn with rich.

Every text is a `Text`, never markup: names in logs are written by others.
"""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline_v6_dagster.cli.surroundings import printable
from pipeline_v6_dagster.domain.formatting import format_bps, format_percent, format_ratio, format_time, format_usd
from pipeline_v6_dagster.domain.summary import Status, Summary
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState
from pipeline_v6_dagster.stages.outputs.next_steps import mismatch_ratio, order_criteria
from pipeline_v6_dagster.stages.outputs.rollout_stand import describe_rollout
from pipeline_v6_dagster.stages.outputs.status import Report

# One screen: of a long list the rest is a number.
MOST_CRITERIA = 12
MOST_UPSIZES = 3
MOST_CHANGES = 3
MOST_STALE = 2

_COLOURS = {
    Status.GREEN: "green",
    Status.AMBER: "yellow",
    Status.RED: "red",
    Status.WARMUP: "cyan",
    Status.NO_DATA: "magenta",
}
_STATE_COLOURS = {
    CriterionState.BROKEN: "bold red",
    CriterionState.NOT_YET: "cyan",
    CriterionState.UNMEASURED: "magenta",
    CriterionState.HOLDS: "green",
}


def screen(report: Report, now: float) -> RenderableType:
    """The whole screen."""
    colour = "magenta" if report.stale else _COLOURS[report.status]
    title = Text(f" {report.status.upper()}  {report.verdict} ", style=f"bold reverse {colour}")
    parts: list[RenderableType] = [_line(report.answer, "bold")]
    parts += [_line(describe_rollout(report.rollout), "")] if report.rollout is not None else []
    parts += [_line(f"STALE: {stale}", "bold magenta") for stale in report.stale[:MOST_STALE]]
    if report.summary is None:
        parts += [_line(reason, "") for reason in report.reasons]
    else:
        parts += [Text(), _criteria(report.criteria), Text(), _figures(report.summary)]
    if report.changes:
        parts += [Text(f"Changed since {format_time(report.previous_ts)}", style="bold")]
        parts += [_line(text, "") for text in _shorten(report.changes, MOST_CHANGES)]
    if report.summary is not None and report.summary.upsizes:
        parts += [Text("Orders larger than asked for, newest first", style="bold"), _upsizes(report.summary)]
    written = report.summary.generated_ts if report.summary is not None else None
    subtitle = f"written {format_time(written)}, as of {format_time(now)}"
    return Panel(Group(*parts), title=title, subtitle=Text(subtitle, style="dim"), border_style=colour)


def _line(text: str, style: str) -> Text:
    return Text(printable(text), style=style)


def _shorten(texts: Sequence[str], most: int) -> Sequence[str]:
    rest = len(texts) - most
    return texts if rest <= 0 else (*texts[:most], f"and {rest:,} more")


def _cell(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _criteria(criteria: Sequence[Criterion]) -> Table:
    """What was measured, its limit and its state; what does not hold first, the rest counted by state."""
    table = Table(box=None, padding=(0, 1), expand=True, header_style="dim", pad_edge=False)
    table.add_column("criterion", no_wrap=True, width=20)
    table.add_column("measured", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("limit", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("state", no_wrap=True, width=10)
    ordered = order_criteria(criteria)
    for each in ordered[:MOST_CRITERIA]:
        state = _cell(each.state.value, _STATE_COLOURS[each.state])
        table.add_row(_cell(each.name), _cell(each.measured), _cell(each.limit), state)
    rest = ordered[MOST_CRITERIA:]
    if rest:
        counts = {state: sum(each.state is state for each in rest) for state in CriterionState}
        text = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
        table.add_row(_cell(f"and {len(rest)} more", "dim"), _cell(text, "dim"))
    return table


def _figures(summary: Summary) -> Table:
    coverage, sizing, window = summary.coverage, summary.sizing_diff_stats, summary.window
    table = Table.grid(padding=(0, 2))
    cells = (
        ("compared", f"{summary.sample_size:,} of newest {window.limit:,}"),
        ("needed", f"{summary.min_sample_size:,}"),
        ("with a live side", f"{coverage.matched:,}"),
        ("outcome unknown", f"{coverage.unresolved:,}"),
        ("veto mismatch", format_percent(mismatch_ratio(summary))),
        ("upsizes", f"{sizing.upsize_count:,}"),
        ("sizing p95", f"{format_percent(sizing.p95)} ({sizing.sample_size:,} orders)"),
        ("slippage p95", format_bps(summary.slippage_diff_bps.p95)),
    )
    for left, right in zip(cells[::2], cells[1::2], strict=True):
        table.add_row(_cell(left[0], "dim"), _cell(left[1]), _cell(right[0], "dim"), _cell(right[1]))
    return table


def _upsizes(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 1))
    for upsize in summary.upsizes[:MOST_UPSIZES]:
        cells = (
            format_time(upsize.ts),
            upsize.symbol or "-",
            format_ratio(upsize.ratio),
            format_usd(upsize.excess_usd),
            upsize.decision_id or upsize.intent_id or "-",
        )
        table.add_row(*map(_cell, cells))
    rest = summary.sizing_diff_stats.upsize_count - MOST_UPSIZES
    if rest > 0:
        table.add_row(Text(f"and {rest:,} more", style="dim"))
    return table
