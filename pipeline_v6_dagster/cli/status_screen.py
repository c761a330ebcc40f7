"""The status on one screen of a terminal: the answer, the criteria, figures, what changed. Drawn with rich.

Every text is a `Text`, never markup: names in logs are written by others.
"""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline_v6_dagster.cli.surroundings import printable
from pipeline_v6_dagster.domain.formatting import format_bps, format_percent, format_ratio, format_time, format_usd
from pipeline_v6_dagster.domain.summary import Status, Summary
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.next_steps import mismatch_ratio, order_criteria
from pipeline_v6_dagster.stages.outputs.rollout_stand import describe_rollout
from pipeline_v6_dagster.stages.outputs.status import Report

# One screen: of a long list the rest is a number. As (criteria, rows of each other list), for ever lower terminals.
_DETAILS = ((12, 3), (12, 2), (10, 2), (8, 1), (6, 1), (4, 1), (2, 0), (0, 0))
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


def fit_screen(report: Report, now: float, console: Console) -> RenderableType:
    """The screen in as much detail as the terminal has rows for."""
    for criteria, others in _DETAILS:
        drawn = screen(report, now, criteria, others)
        if len(console.render_lines(drawn, console.options.update(height=None))) <= console.height:
            break
    return drawn


def screen(report: Report, now: float, most_criteria: int = 12, most_others: int = 3) -> RenderableType:
    """The whole screen, with so many criteria and so many rows of each other list."""
    colour = "magenta" if report.stale else _COLOURS[report.status]
    title = Text(f" {report.status.upper()}  {report.verdict} ", style=f"bold reverse {colour}")
    parts: list[RenderableType] = [_line(report.answer, "bold")]
    parts += [_line(describe_rollout(report.rollout), "")] if report.rollout is not None else []
    parts += [_line(f"STALE: {stale}", "bold magenta") for stale in report.stale[:MOST_STALE]]
    if report.summary is None:
        parts += [_line(reason, "") for reason in report.reasons]
    else:
        parts += [Text(), _criteria(report.criteria, most_criteria), Text(), _figures(report.summary)]
    if report.acknowledged and most_others:
        parts += [Text("Acknowledged, newest first", style="bold")]
        parts += _shorten([_acknowledgement(record) for record in report.acknowledged], most_others)
    if report.changes and most_others:
        parts += [Text(f"Changed since {format_time(report.previous_ts)}", style="bold")]
        parts += _shorten([_line(text, "") for text in report.changes], most_others)
    if report.summary is not None and report.summary.upsizes and most_others:
        parts += [Text("Orders larger than asked for, newest first", style="bold")]
        parts += [_upsizes(report.summary, most_others)]
    written = report.summary.generated_ts if report.summary is not None else None
    subtitle = f"written {format_time(written)}, as of {format_time(now)}"
    return Panel(Group(*parts), title=title, subtitle=Text(subtitle, style="dim"), border_style=colour)


def _line(text: str, style: str) -> Text:
    return Text(printable(text), style=style)


def _shorten(lines: Sequence[Text], most: int) -> Sequence[Text]:
    rest = len(lines) - most
    return lines if rest <= 0 else (*lines[:most], Text(f"and {rest:,} more", style="dim"))


def _acknowledgement(record: Acknowledgement) -> Text:
    until = "" if record.until is None else f", silent until {format_time(record.until)}"
    return _cell(f"{record.criterion} by {record.by} on {format_time(record.ts)}{until}: {record.why}")


def _cell(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _criteria(criteria: Sequence[Criterion], most: int) -> Table:
    """What was measured, its limit and its state; what does not hold first, the rest counted by state."""
    table = Table(box=None, padding=(0, 1), expand=True, header_style="dim", pad_edge=False)
    table.add_column("criterion", no_wrap=True, width=20)
    table.add_column("measured", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("limit", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("state", no_wrap=True, width=10)
    ordered = order_criteria(criteria)
    for each in ordered[:most]:
        state = _cell(each.state.value, _STATE_COLOURS[each.state])
        table.add_row(_cell(each.name), _cell(each.measured), _cell(each.limit), state)
    rest = ordered[most:]
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


def _upsizes(summary: Summary, most: int) -> Table:
    table = Table.grid(padding=(0, 1))
    for upsize in summary.upsizes[:most]:
        cells = (
            format_time(upsize.ts),
            upsize.symbol or "-",
            format_ratio(upsize.ratio),
            format_usd(upsize.excess_usd),
            upsize.decision_id or upsize.intent_id or "-",
        )
        table.add_row(*map(_cell, cells))
    rest = summary.sizing_diff_stats.upsize_count - min(most, len(summary.upsizes))
    if rest > 0:
        table.add_row(Text(f"and {rest:,} more", style="dim"))
    return table
