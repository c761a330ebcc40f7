"""The report stage: the parity report over the newest of the compare log, or over a range, as one HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, MismatchKind
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.formatting import format_time
from pipeline_v6_dagster.domain.summary import Status, Summary, Verdict
from pipeline_v6_dagster.domain.verdict import Criterion
from pipeline_v6_dagster.reports import tables
from pipeline_v6_dagster.reports.series import collect_sized_orders, group_bins
from pipeline_v6_dagster.stages.history.ranges import LogRange, read_log_range, read_range
from pipeline_v6_dagster.stages.outputs.divergence_rows import read_divergence_rows
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.storage.files import replace_file

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


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """What was written. `thumbnail` is a small PNG; `decisions` is how many plots and tables cover."""

    path: Path
    status: Status
    verdict: str
    size_bytes: int
    decisions: int
    upsizes: int
    thumbnail: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """What a page is made from: diffs and runs, and the verdict that is shown with them."""

    source: str
    found: LogRange
    summary: Summary
    verdict: Verdict
    reasons: Sequence[str]
    criteria: Sequence[Criterion]
    stale: Sequence[str] = ()
    acknowledged: Sequence[str] = ()


def report_path(settings: Settings, from_ts: float | None = None, to_ts: float | None = None) -> Path:
    """Where the report stands; that of a range (epoch s) is named after its days."""
    name = "pipeline_v6_parity"
    if (from_ts, to_ts) != (None, None):
        days = ("start" if from_ts is None else _day(from_ts), "end" if to_ts is None else _day(to_ts))
        name = "_".join((name, *days))
    return settings.logs_dir / "reports" / f"{name}.html"


def write_report(
    settings: Settings, now: float, *, from_ts: float | None = None, to_ts: float | None = None
) -> WrittenReport:
    """Replace the page by one made at `now` (epoch s).

    Without a range it shows what stands now. Over a range (epoch s, both ends included) it shows the decisions of that
    time, and the verdict of the last compare in it; it is read from the history, or from the compare log alone if
    there is no history.

    Raises:
        DataError: there is no summary yet, or none in the range, or a file of ours is not understood.
        StorageError: the log or the history cannot be read or the page not be written.
    """
    is_range = (from_ts, to_ts) != (None, None)
    evidence = _read_between(settings, from_ts, to_ts) if is_range else _read_as_of(settings, now)
    return _write(settings, now, evidence, report_path(settings, from_ts, to_ts))


def _read_as_of(settings: Settings, now: float) -> _Evidence:
    status = read_status(settings, now)
    if status.summary is None:
        raise DataError(f"{settings.compare_summary}: not there yet; run pipeline-v6 compare first")
    return _Evidence(
        source=str(settings.compare_diffs),
        found=read_log_range(settings, None, None, MOST_DECISIONS, MOST_RUNS),
        summary=status.summary,
        verdict=status.verdict,
        reasons=status.reasons,
        criteria=status.criteria,
        stale=status.stale,
        acknowledged=tuple(
            f"{each.criterion}: {each.by}, {format_time(each.ts)}: {each.why}" for each in status.acknowledged
        ),
    )


def _read_between(settings: Settings, from_ts: float | None, to_ts: float | None) -> _Evidence:
    source, found = read_range(settings, from_ts, to_ts, MOST_DECISIONS, MOST_RUNS)
    if not found.summaries:
        span = f"from {format_time(from_ts)} to {format_time(to_ts)}"
        raise DataError(f"{source}: holds no run of compare {span}; choose another range")
    summary = found.summaries[0]
    return _Evidence(
        source=source,
        found=found,
        summary=summary,
        verdict=summary.verdict,
        reasons=summary.verdict_reasons,
        criteria=summary.criteria,
    )


def _write(settings: Settings, now: float, evidence: _Evidence, path: Path) -> WrittenReport:
    # Imported here: drawing takes a second to load, and no other command needs it.
    from pipeline_v6_dagster.reports.drawings import draw_plots
    from pipeline_v6_dagster.reports.page import ReportContent, ReportSource, render
    from pipeline_v6_dagster.reports.plots import thumbnail

    summary, found = evidence.summary, evidence.found
    diffs = found.diffs
    samples = sorted((diff for diff in diffs if diff.mismatch_kind is not MismatchKind.LIVE_ONLY), key=_ts)
    bins, orders = group_bins(samples), collect_sized_orders(samples)
    plots = draw_plots(diffs, samples, bins, orders, found.summaries, found.bounds, settings.max_mismatch_ratio)
    divergences = tables.find_first_divergences(samples)[: tables.MOST_ROWS]
    content = ReportContent(
        generated_ts=now,
        source=ReportSource(evidence.source, len(diffs), summary.epoch.since_ts),
        summary=summary,
        verdict=evidence.verdict,
        reasons=evidence.reasons,
        acknowledged=evidence.acknowledged,
        decisions=len(samples),
        span=(samples[0].ts, samples[-1].ts) if samples else None,
        stale=evidence.stale,
        criteria=tables.list_criteria(evidence.criteria),
        plots=plots,
        tables=(
            tables.upsizes(diffs),
            tables.compare_sides(samples),
            tables.first_divergences(divergences),
            tables.divergence_rows(read_divergence_rows(settings, divergences)),
            tables.mismatches(diffs),
            tables.slippages(diffs),
            tables.symbols(summary, {plot.anchor for plot in plots}),
            tables.inputs(summary),
        ),
    )
    # A name in a log may hold half of a surrogate pair, which no encoding can write.
    page = render(content).encode(errors="replace")
    replace_file(path, page)
    return WrittenReport(
        path=path,
        status=summary.status,
        verdict=evidence.verdict.value,
        size_bytes=len(page),
        decisions=len(samples),
        upsizes=sum(order.is_upsize for order in orders),
        thumbnail=thumbnail(summary.status.value, THUMBNAIL_COLOURS[summary.status], bins, orders),
    )


def _day(epoch_s: float) -> str:
    return format_time(epoch_s).partition(" ")[0]


def _ts(diff: Diff) -> float:
    return diff.ts
