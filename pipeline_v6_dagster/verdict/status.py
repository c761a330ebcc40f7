"""The traffic light of a summary, over the newest decisions. What was not measured is never green."""

from pipeline_v6_dagster.domain.summary import Status, WindowStats

RED_SIZING_P95_RATIO = 0.10
AMBER_SIZING_P95_RATIO = 0.05


def choose_status(stats: WindowStats) -> Status:
    """Warmup wins over the colours. Green needs order sizes to have been measured at all."""
    sizing = stats.sizing_diff_stats
    if stats.sample_size == 0:
        return Status.NO_DATA
    if stats.is_warmup:
        return Status.WARMUP
    if sizing.upsize_count > 0 or (sizing.p95 is not None and sizing.p95 > RED_SIZING_P95_RATIO):
        return Status.RED
    if sizing.p95 is None or sizing.p95 > AMBER_SIZING_P95_RATIO:
        return Status.AMBER
    return Status.GREEN
