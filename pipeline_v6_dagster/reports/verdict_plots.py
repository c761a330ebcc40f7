"""The plots of the parity report that show the verdict over time and each order."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from pipeline_v6_dagster.domain.formatting import format_number
from pipeline_v6_dagster.reports.fills import PricePoint, SymbolFills
from pipeline_v6_dagster.reports.plots import (
    BLUE,
    GREEN,
    MOST_POINTS,
    MUTED,
    ORANGE,
    RED,
    draw_both,
    draw_time_axis,
    label_groups,
    place_legend,
    shorten_name,
    to_days,
)
from pipeline_v6_dagster.reports.series import SizedOrder


def bound_plot(bounds: Sequence[tuple[float, float]], limit_pct: float) -> str:
    """The upper bound of the mismatch rate, (epoch s, percent) by run, and the limit that it has to be below."""

    def draw(axes: Axes) -> None:
        axes.plot(range(len(bounds)), [bound for _, bound in bounds], "o-", color=BLUE, label="upper bound")
        axes.axhline(limit_pct, color=RED, linestyle="--", label=f"limit: {format_number(limit_pct)} %")
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        axes.set_ylim(bottom=0)
        label_groups(axes, [ts for ts, _ in bounds])
        place_legend(axes)

    return draw_both("Bound of the mismatch rate over time", draw)


def sizing_plot(orders: Sequence[SizedOrder]) -> str:
    """log2 of live over v6 size per order; upsizes and downsizes stand out by colour and by shape."""
    sized = [(order, ratio) for order in orders if (ratio := order.log2_ratio) is not None]
    upsizes = [(order.ts, ratio) for order, ratio in sized if order.is_upsize]
    downsizes = [(order.ts, ratio) for order, ratio in sized if order.is_downsize and not order.is_upsize]
    alike = [(order.ts, ratio) for order, ratio in sized if not order.is_upsize and not order.is_downsize]

    def draw(axes: Axes) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=1)
        _scatter(axes, alike[-MOST_POINTS:], "o", BLUE, "same size")
        _scatter(axes, upsizes, "^", RED, f"live larger ({format_number(len(upsizes))})")
        _scatter(axes, downsizes[-MOST_POINTS:], "v", ORANGE, f"v6 larger ({format_number(len(downsizes))})")
        ratios = [ratio for _, ratio in sized]
        # At least from half to double, so that differences of rounding do not fill the drawing.
        axes.set_ylim(1.15 * min(-1.0, *ratios, 0.0), 1.15 * max(1.0, *ratios, 0.0))
        axes.set_ylabel("log2(live / v6 size)")
        draw_time_axis(axes)
        place_legend(axes)

    return draw_both("Size of each order, live over v6", draw)


def fills_plot(fills: SymbolFills, rank: int) -> str:
    """One symbol's price over time: decisions of v6, fills of live, upsizes. `rank` tells drawings apart."""

    def draw(axes: Axes) -> None:
        _scatter(axes, fills.allowed[-MOST_POINTS:], "o", BLUE, "v6 allows", hollow=True)
        _scatter(axes, fills.denied[-MOST_POINTS:], "s", ORANGE, "v6 denies", hollow=True)
        _scatter(axes, fills.fills[-MOST_POINTS:], ".", GREEN, "live fill")
        _scatter(axes, fills.upsizes, "^", RED, f"upsize ({format_number(len(fills.upsizes))})")
        axes.set_ylabel("price")
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
        draw_time_axis(axes)
        place_legend(axes)

    return draw_both(f"Fills {rank}: {shorten_name(fills.symbol)}", draw)


def _scatter(
    axes: Axes, points: Sequence[PricePoint], marker: str, colour: str, label: str, *, hollow: bool = False
) -> None:
    """Points (epoch s, value), if there are any; a hollow one lets what lies on it show."""
    if not points:
        return
    axes.plot(
        to_days(ts for ts, _ in points),
        [value for _, value in points],
        linestyle="none",
        marker=marker,
        markersize=6,
        markerfacecolor="none" if hollow else colour,
        color=colour,
        label=label,
    )
