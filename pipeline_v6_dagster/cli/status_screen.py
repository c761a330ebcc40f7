"""The status on one screen of a terminal: colour, figures, what changed, what to do. Drawn with rich.

Every text is a `Text`, never markup: names in logs are written by others.
"""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline_v6_dagster.cli.surroundings import printable, utc
from pipeline_v6_dagster.domain.summary import Status, Summary
from pipeline_v6_dagster.stages.outputs.status import Report

# One screen: of a long list the rest is a number.
MOST_UPSIZES = 3
MOST_CHANGES = 4

_COLOURS = {
    Status.GREEN: "green",
    Status.AMBER: "yellow",
    Status.RED: "red",
    Status.WARMUP: "cyan",
    Status.NO_DATA: "magenta",
}


def screen(report: Report, now: float) -> RenderableType:
    """The whole screen."""
    colour = "magenta" if report.stale else _COLOURS[report.status]
    title = Text(f" {report.status.upper()}  {report.verdict} ", style=f"bold reverse {colour}")
    parts: list[RenderableType] = [_list(report.reasons, "")]
    parts += [Text(printable(f"STALE: {stale}"), style="bold magenta") for stale in report.stale]
    if report.summary is not None:
        parts += [Text(), _figures(report.summary)]
    if report.changes:
        parts += [Text(f"\nChanged since {utc(report.previous_ts)}", style="bold"), _some(report.changes, MOST_CHANGES)]
    if report.summary is not None and report.summary.upsizes:
        parts += [Text("\nOrders larger than asked for, newest first", style="bold"), _upsizes(report.summary)]
    parts += [Text("\nWhat to do", style="bold"), _list(report.to_do, "bold")]
    written = report.summary.generated_ts if report.summary is not None else None
    subtitle = f"written {utc(written)}, looked at {utc(now)[11:]}"
    return Panel(Group(*parts), title=title, subtitle=Text(subtitle, style="dim"), border_style=colour)


def _list(texts: tuple[str, ...], style: str) -> Text:
    return Text("\n".join(printable(f"• {text}") for text in texts), style=style)


def _some(texts: tuple[str, ...], most: int) -> Text:
    rest = len(texts) - most
    return _list(texts if rest <= 0 else (*texts[:most], f"and {rest} more"), "")


def _figures(summary: Summary) -> Table:
    coverage, sizing, window = summary.coverage, summary.sizing_diff_stats, summary.window
    table = Table.grid(padding=(0, 2))
    cells = (
        ("compared", f"{summary.sample_size} of newest {window.limit}"),
        ("needed", str(summary.min_sample_size)),
        ("with a live side", str(coverage.matched)),
        ("live outcome unknown", str(coverage.unresolved)),
        ("veto mismatch", _shown(summary.veto_mismatch_pct, " %")),
        ("live without decision", str(coverage.live_only)),
        ("upsizes", str(sizing.upsize_count)),
        ("sizing p95", f"{_shown(sizing.p95, '')} ({sizing.sample_size} orders)"),
        ("slippage p95", _shown(summary.slippage_diff_bps.p95, " bps")),
        ("newest decision", utc(window.last_ts)[5:16]),
    )
    for left, right in zip(cells[::2], cells[1::2], strict=True):
        table.add_row(
            Text(left[0], style="dim"), Text(printable(left[1])), Text(right[0], style="dim"), Text(printable(right[1]))
        )
    return table


def _upsizes(summary: Summary) -> Table:
    upsizes = summary.upsizes
    table = Table.grid(padding=(0, 2))
    for upsize in upsizes[:MOST_UPSIZES]:
        cells = (
            utc(upsize.ts)[5:16],
            upsize.symbol or "-",
            upsize.side or "-",
            _shown(upsize.ratio, " x"),
            _shown(upsize.excess_usd, " USD"),
            upsize.decision_id or upsize.intent_id or "-",
        )
        table.add_row(*(Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in cells))
    rest = summary.sizing_diff_stats.upsize_count - MOST_UPSIZES
    if rest > 0:
        table.add_row(Text(f"and {rest} more", style="dim"))
    return table


def _shown(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.4g}{unit}"
