"""The plots of the parity report that show the verdict over time."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from pipeline_v6_dagster.reports.plots import BLUE, RED, draw_both, label_groups, place_legend


def bound_plot(bounds: Sequence[tuple[float, float]], limit_pct: float) -> str:
    """The upper bound of the mismatch rate, (epoch s, percent) by run, and the limit that it has to be below."""

    def draw(axes: Axes) -> None:
        axes.plot(range(len(bounds)), [bound for _, bound in bounds], "o-", color=BLUE, label="upper bound")
        axes.axhline(limit_pct, color=RED, linestyle="--", label=f"limit: {limit_pct:g} %")
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        axes.set_ylim(bottom=0)
        label_groups(axes, [ts for ts, _ in bounds])
        place_legend(axes)

    return draw_both("Bound of the mismatch rate over time", draw)
