"""The traffic light: warmup wins, upsizes are red, and what was not measured is never green."""

from dataclasses import replace

import pytest

from pipeline_v6_dagster.compare.summary import summarise
from pipeline_v6_dagster.domain.summary import SizingStats, Status, WindowStats
from pipeline_v6_dagster.verdict.status import choose_status

EMPTY = summarise([], 500, 200)


def stats(*, samples: int = 300, is_warmup: bool = False, upsizes: int = 0, p95: float | None = 0.0) -> WindowStats:
    sizing = SizingStats(p50=p95, p95=p95, upsize_count=upsizes, sample_size=samples)
    return replace(EMPTY, sample_size=samples, is_warmup=is_warmup, sizing_diff_stats=sizing)


def test_nothing_compared_is_no_data() -> None:
    assert choose_status(EMPTY) is Status.NO_DATA


def test_warmup_wins_over_red() -> None:
    assert choose_status(stats(samples=199, is_warmup=True, upsizes=5, p95=2.0)) is Status.WARMUP


@pytest.mark.parametrize(
    ("p95", "status"),
    [
        (0.0, Status.GREEN),
        (0.05, Status.GREEN),
        (0.0501, Status.AMBER),
        (0.10, Status.AMBER),
        (0.1001, Status.RED),
        (None, Status.AMBER),
    ],
)
def test_the_sizing_quantile_chooses_the_colour(p95: float | None, status: Status) -> None:
    assert choose_status(stats(p95=p95)) is status


def test_one_upsize_is_red() -> None:
    assert choose_status(stats(upsizes=1)) is Status.RED
