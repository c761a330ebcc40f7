"""The report stage: the parity report over the compare log, as one HTML page."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_v6_dagster.compare.summary import newest_states
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, MismatchKind
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.summary import Status
from pipeline_v6_dagster.logs.compare_log import open_compare_log, read_diffs_backward, read_summaries_backward
from pipeline_v6_dagster.reports import tables
from pipeline_v6_dagster.reports.series import (
    Bin,
    SizedOrder,
    bins_of,
    causes_of,
    collect_bounds,
    quality_of,
    sized_orders_of,
    slippages_of,
)
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.storage.files import replace_file

if TYPE_CHECKING:
    from pipeline_v6_dagster.reports.page import Plot

# What plots and tables cover at most; the verdict covers the window of the summary.
MOST_DECISIONS = 20_000
MOST_RUNS = 200

THUMBNAIL_COLOURS = {
    Status.GREEN: "#007A5A",
    Status.AMBER: "#B96B00",
    Status.RED: "#C03F00",
    Status.WARMUP: "#0072B2",
    Status.NO_DATA: "#555555",
}


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """What was written. `thumbnail` is a small PNG; `decisions` is how many plots and tables cover."""

    path: Path
    status: Status
    verdict: str
    size_bytes: int
    decisions: int
    upsizes: int
    thumbnail: bytes


def report_path(settings: Settings) -> Path:
    """Where the report stands."""
    return settings.logs_dir / "reports" / "pipeline_v6_parity.html"


def write_report(settings: Settings, now: float) -> WrittenReport:
    """Write the page anew, from the compare log as it is now.

    Raises:
        DataError: there is no summary yet, or a file of ours is not understood.
        StorageError: the log cannot be read or the page not be written.
    """
    # Imported here: drawing takes a second to load, and no other command needs it.
    from pipeline_v6_dagster.reports.page import ReportContent, render
    from pipeline_v6_dagster.reports.plots import thumbnail

    status = read_status(settings, now)
    if status.summary is None:
        raise DataError(f"{settings.compare_summary}: not there yet; run pipeline-v6 compare first")
    diffs = newest_states(read_diffs_backward(open_compare_log(settings)), MOST_DECISIONS)
    samples = sorted((diff for diff in diffs if diff.mismatch_kind is not MismatchKind.LIVE_ONLY), key=_ts)
    bins, orders = bins_of(samples), sized_orders_of(samples)
    content = ReportContent(
        generated_ts=now,
        summary=status.summary,
        verdict=status.verdict,
        reasons=status.reasons,
        acknowledged=tuple(
            f"{each.criterion}: {each.by}, {tables.utc(each.ts)} UTC: {each.why}" for each in status.acknowledged
        ),
        decisions=len(samples),
        span=(samples[0].ts, samples[-1].ts) if samples else None,
        stale=status.stale,
        plots=tuple(_plots(settings, diffs, samples, bins, orders)),
        tables=(
            tables.list_criteria(status.criteria),
            tables.upsizes(diffs),
            tables.compare_sides(samples),
            tables.first_divergences(samples),
            tables.mismatches(diffs),
            tables.slippages(diffs),
            tables.symbols(status.summary),
            tables.inputs(status.summary),
        ),
    )
    page = render(content).encode()
    path = report_path(settings)
    replace_file(path, page)
    return WrittenReport(
        path=path,
        status=status.status,
        verdict=status.verdict.value,
        size_bytes=len(page),
        decisions=len(samples),
        upsizes=sum(order.is_upsize for order in orders),
        thumbnail=thumbnail(status.status.value, THUMBNAIL_COLOURS[status.status], bins, orders),
    )


def _plots(
    settings: Settings, diffs: list[Diff], samples: list[Diff], bins: list[Bin], orders: list[SizedOrder]
) -> "Iterator[Plot]":
    from pipeline_v6_dagster.reports import plots
    from pipeline_v6_dagster.reports.page import Plot
    from pipeline_v6_dagster.reports.verdict_plots import bound_plot

    runs = deque(islice(read_summaries_backward(open_compare_log(settings)), MOST_RUNS))
    slippages, causes, qualities = slippages_of(samples), causes_of(diffs), quality_of(runs)
    yield Plot(
        "Veto mismatch over time",
        "Share of decisions on which v6 and live disagree whether to trade, in groups of equal size, and the share that"
        " the verdict allows.",
        plots.mismatch_plot(bins, 100 * settings.max_mismatch_ratio) if bins else None,
    )
    bounds = collect_bounds(runs)
    yield Plot(
        "Bound of the mismatch rate over time",
        "The upper bound that each run could vouch for, valid at every look. The verdict needs it below the limit.",
        bound_plot(bounds, 100 * settings.max_mismatch_ratio) if len(bounds) > 1 else None,
    )
    yield Plot(
        "Size of each order",
        f"What live ordered over what v6 would have ordered: 1 is agreement. Drawn are the upsizes and the newest"
        f" {min(len(orders), plots.MOST_POINTS)} of {len(orders)} orders.",
        plots.sizing_plot(orders) if orders else None,
    )
    yield Plot(
        "Slippage by symbol",
        "Live fills against the decision price beside what v6 expects; in brackets the number of orders.",
        plots.slippage_plot(slippages) if slippages else None,
    )
    yield Plot(
        "Mismatches by root cause",
        "Decisions that differ, upsizes and live orders without a decision, each once.",
        plots.causes_plot(causes) if causes else None,
    )
    yield Plot(
        "Coverage over time",
        "Decisions that have a live counterpart, and those of which nobody logged what live did.",
        plots.coverage_plot(bins) if bins else None,
    )
    yield Plot(
        "Input quality over time",
        "Share of lines of each input that were malformed, as each run counted them since the beginning. One"
        " run alone is no line: its figures stand in the table below.",
        plots.quality_plot(qualities) if len(qualities) > 1 else None,
    )


def _ts(diff: Diff) -> float:
    return diff.ts
