"""The report stage: the parity report over the compare log, as one HTML page."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline_v6_dagster.compare.summary import newest_states
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, MismatchKind
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.formatting import format_time
from pipeline_v6_dagster.domain.summary import Status
from pipeline_v6_dagster.logs.compare_log import ends_backward, open_compare_log, read_diffs_backward
from pipeline_v6_dagster.reports import tables
from pipeline_v6_dagster.reports.series import collect_bounds, collect_sized_orders, group_bins
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


def report_path(settings: Settings) -> Path:
    """Where the report stands."""
    return settings.logs_dir / "reports" / "pipeline_v6_parity.html"


def write_report(settings: Settings, now: float) -> WrittenReport:
    """Replace the page by one made from the compare log at `now` (epoch s).

    Raises:
        DataError: there is no summary yet, or a file of ours is not understood.
        StorageError: the log cannot be read or the page not be written.
    """
    # Imported here: drawing takes a second to load, and no other command needs it.
    from pipeline_v6_dagster.reports.drawings import draw_plots
    from pipeline_v6_dagster.reports.page import ReportContent, ReportSource, render
    from pipeline_v6_dagster.reports.plots import thumbnail

    status = read_status(settings, now)
    if status.summary is None:
        raise DataError(f"{settings.compare_summary}: not there yet; run pipeline-v6 compare first")
    diffs = newest_states(read_diffs_backward(open_compare_log(settings)), MOST_DECISIONS)
    samples = sorted((diff for diff in diffs if diff.mismatch_kind is not MismatchKind.LIVE_ONLY), key=_ts)
    bins, orders = group_bins(samples), collect_sized_orders(samples)
    ends = list(islice(ends_backward(open_compare_log(settings)), MOST_RUNS))
    bounds = collect_bounds((end.ts, end.cursor.evidence, end.summary.epoch.error_rate) for end in ends)
    content = ReportContent(
        generated_ts=now,
        source=ReportSource(str(settings.compare_diffs), len(diffs), status.summary.epoch.since_ts),
        summary=status.summary,
        verdict=status.verdict,
        reasons=status.reasons,
        acknowledged=tuple(
            f"{each.criterion}: {each.by}, {format_time(each.ts)}: {each.why}" for each in status.acknowledged
        ),
        decisions=len(samples),
        span=(samples[0].ts, samples[-1].ts) if samples else None,
        stale=status.stale,
        criteria=tables.list_criteria(status.criteria),
        plots=draw_plots(
            diffs, samples, bins, orders, [end.summary for end in ends], bounds, settings.max_mismatch_ratio
        ),
        tables=(
            tables.upsizes(diffs),
            tables.compare_sides(samples),
            tables.first_divergences(samples),
            tables.mismatches(diffs),
            tables.slippages(diffs),
            tables.symbols(status.summary),
            tables.inputs(status.summary),
        ),
    )
    # A name in a log may hold half of a surrogate pair, which no encoding can write.
    page = render(content).encode(errors="replace")
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


def _ts(diff: Diff) -> float:
    return diff.ts
