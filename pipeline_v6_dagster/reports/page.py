"""The parity report as one self-contained HTML page: what it says in words, and the template that holds it together.

Autoescape is on: names and reasons in logs are written by others. The plots are our own SVG, whose text matplotlib
escapes. Nothing is loaded from anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline_v6_dagster.domain.formatting import NOT_MEASURED, format_bps, format_number, format_percent, format_time
from pipeline_v6_dagster.domain.summary import Summary, Verdict
from pipeline_v6_dagster.reports.tables import Table

_ANSWERS = {
    Verdict.PASS: "The evidence supports flipping v6 on.",
    Verdict.FAIL: "v6 may not go live on this evidence.",
    Verdict.INCONCLUSIVE: "The evidence does not decide yet whether v6 may go live.",
    Verdict.NO_DATA: "There is nothing yet to judge v6 by.",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing and what it shows. `svg` is None if there was nothing to draw; `anchor` is what links name."""

    title: str
    caption: str
    svg: str | None
    anchor: str | None = None


@dataclass(frozen=True, slots=True)
class ReportSource:
    """What the page is made from: a compare log, how many of its newest diffs, since when its epoch lasts (epoch s)."""

    compare_log: str
    diffs: int
    epoch_since_ts: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """All that the page shows. `span` are the first and last as-of times of what plots and tables cover."""

    generated_ts: float
    source: ReportSource
    summary: Summary
    verdict: Verdict
    reasons: Sequence[str]
    acknowledged: Sequence[str]
    decisions: int
    span: tuple[float, float] | None
    stale: Sequence[str]
    criteria: Table
    plots: Sequence[Plot]
    tables: Sequence[Table]


def render(content: ReportContent) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("pipeline_v6_dagster.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    summary = content.summary
    verdict, status = content.verdict, summary.status
    return environment.get_template("parity.html").render(
        answer=_ANSWERS[verdict],
        verdict=verdict.value,
        status=status.value,
        reasons=[_unbroken(reason) for reason in content.reasons],
        sentences=[_unbroken(sentence) for sentence in _sentences(summary)],
        facts=_facts(content),
        stale=content.stale,
        acknowledged=content.acknowledged,
        plots=[(plot, Markup(plot.svg) if plot.svg is not None else None) for plot in content.plots],  # noqa: S704 -- our own drawing
        tables=content.tables,
        criteria=content.criteria,
        generated=format_time(content.generated_ts),
        source=content.source,
        diffs=format_number(content.source.diffs),
        epoch_since=format_time(content.source.epoch_since_ts),
    )


def _sentences(summary: Summary) -> list[str]:
    """The figures in words, for who reads no further."""
    sizing, coverage = summary.sizing_diff_stats, summary.coverage
    upsizes = sizing.upsize_count
    mismatch = summary.veto_mismatch_pct
    disagree = format_percent(None if mismatch is None else mismatch / 100)
    placed = f"{format_number(upsizes)} {'order was' if upsizes == 1 else 'orders were'}"
    return [
        f"Of the newest {format_number(summary.sample_size)} decisions"
        f" {'none could be compared' if mismatch is None else f'v6 and live disagree on {disagree}'}.",
        f"{placed if upsizes else 'No order was'} placed larger than asked for"
        f"{' (no order size could be compared)' if not sizing.sample_size else ''}.",
        f"Decisions without a known live outcome: {format_number(coverage.unresolved)}."
        f" Live orders without a decision: {format_number(coverage.live_only)}.",
    ]


def _facts(content: ReportContent) -> list[tuple[str, str]]:
    summary = content.summary
    sizing, slippage = summary.sizing_diff_stats, summary.slippage_diff_bps
    mismatch = summary.veto_mismatch_pct
    span = f"{_minute(content.span[0])} to {_minute(content.span[1])}" if content.span else "nothing yet"
    facts = [
        (
            "Decisions compared",
            f"{format_number(summary.sample_size)} (at least {format_number(summary.min_sample_size)} needed)",
        ),
        ("Veto mismatch", format_percent(None if mismatch is None else mismatch / 100)),
        ("Upsizes", f"{format_number(sizing.upsize_count)} of {format_number(sizing.sample_size)} orders"),
        ("Sizing difference, p95", format_percent(sizing.p95)),
        ("Slippage above expected, p50 / p95", f"{format_bps(slippage.p50)} / {format_bps(slippage.p95)}"),
        ("Newest decision", _minute(summary.window.last_ts)),
        ("Plots and tables cover", f"{format_number(content.decisions)} decisions, {span}"),
        ("Configuration", str(summary.config_hash)),
    ]
    return [(name, _unbroken(value)) for name, value in facts]


def _minute(epoch_s: float | None) -> str:
    """A time in UTC to the minute, without a line break within its date; `not measured` if there is none."""
    text = format_time(epoch_s)
    return text if text == NOT_MEASURED else text.removesuffix(" UTC")[:-3].replace("-", "\N{NON-BREAKING HYPHEN}")


def _unbroken(text: str) -> str:
    """A number and its unit stay in one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" bps", "\N{NO-BREAK SPACE}bps")
