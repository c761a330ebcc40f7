"""The parity report as one self-contained HTML page: what it says in words, and the template that holds it together.

Autoescape is on: names and reasons in logs are written by others. The plots are our own SVG, whose text matplotlib
escapes. Nothing is loaded from anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline_v6_dagster.domain.summary import Summary, Verdict
from pipeline_v6_dagster.reports.tables import Table, number, utc

_ANSWERS = {
    Verdict.PASS: "The evidence supports flipping v6 on.",
    Verdict.FAIL: "v6 may not go live on this evidence.",
    Verdict.INCONCLUSIVE: "The evidence does not decide yet whether v6 may go live.",
    Verdict.NO_DATA: "There is nothing yet to judge v6 by.",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing and what it shows. `svg` is None where there was nothing to draw."""

    title: str
    caption: str
    svg: str | None


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All that the page shows. `span` are the first and last as-of times of what plots and tables cover."""

    generated_ts: float
    summary: Summary
    verdict: Verdict
    reasons: Sequence[str]
    acknowledged: Sequence[str]
    decisions: int
    span: tuple[float, float] | None
    stale: Sequence[str]
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
        generated=utc(content.generated_ts),
    )


def _sentences(summary: Summary) -> list[str]:
    """The figures in words, for who reads no further."""
    sizing, coverage = summary.sizing_diff_stats, summary.coverage
    upsizes = sizing.upsize_count
    mismatch = summary.veto_mismatch_pct
    placed = f"{upsizes} {'order was' if upsizes == 1 else 'orders were'}"
    return [
        f"Of the newest {summary.sample_size} decisions"
        f" {'none could be compared' if mismatch is None else f'v6 and live disagree on {mismatch:.1f} %'}.",
        f"{placed if upsizes else 'No order was'} placed larger than asked for"
        f"{' (no order size could be compared)' if not sizing.sample_size else ''}.",
        f"Decisions without a known live outcome: {coverage.unresolved}."
        f" Live orders without a decision: {coverage.live_only}.",
    ]


def _facts(content: ReportContent) -> list[tuple[str, str]]:
    summary = content.summary
    sizing, slippage = summary.sizing_diff_stats, summary.slippage_diff_bps
    window = summary.window
    span = f"{_day(content.span[0])} to {_day(content.span[1])}" if content.span else "nothing yet"
    newest = _day(window.last_ts) if window.last_ts is not None else "-"
    return [
        ("Decisions compared", f"{summary.sample_size} (at least {summary.min_sample_size} needed)"),
        ("Veto mismatch", _percent(summary.veto_mismatch_pct)),
        ("Upsizes", f"{sizing.upsize_count} of {sizing.sample_size} orders"),
        ("Sizing difference, p95", _percent(None if sizing.p95 is None else 100 * sizing.p95)),
        ("Slippage above expected, p50 / p95", f"{_bps(slippage.p50)} / {_bps(slippage.p95)}"),
        ("Newest decision", newest),
        ("Plots and tables cover", f"{content.decisions} decisions, {span}"),
        ("Configuration", str(summary.config_hash)),
    ]


def _day(epoch_s: float) -> str:
    """A time to the minute; its date is not parted at the end of a line."""
    return utc(epoch_s)[:16].replace("-", "\N{NON-BREAKING HYPHEN}")


def _unbroken(text: str) -> str:
    """A number and its percent sign stay in one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{number(value, 2)} %"


def _bps(value: float | None) -> str:
    return "not measured" if value is None else f"{number(value, 2)} bps"
