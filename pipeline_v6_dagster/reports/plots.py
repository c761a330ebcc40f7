"""The plots of the parity report as inline SVG, and its thumbnail as PNG. Drawn with matplotlib.

Each is drawn twice: wide for a desk and paper, narrow for a phone. Colours in the SVG are variables of the page, so
that one drawing serves light and dark. Text is never parsed as mathematics: names in logs are written by others.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from io import BytesIO, StringIO
from itertools import cycle

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline_v6_dagster.domain.formatting import format_number
from pipeline_v6_dagster.reports.series import Bin, Quality, SizedOrder, Slippage

# Stand-ins in the drawing for the page's own colours.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--rule)",
    "#040404": "var(--blue)",
    "#050505": "var(--orange)",
    "#060606": "var(--green)",
    "#070707": "var(--red)",
}
INK, MUTED, RULE, BLUE, ORANGE, GREEN, RED = _VARIABLES
_MARKERS = ("o", "s", "^", "D", "v", "P")
_WIDE, _NARROW = (8.6, 3.1), (4.1, 3.3)
# So many symbols and points can be distinguished by eye; the tables have the rest.
MOST_SYMBOLS = 12
MOST_POINTS = 1500
_LONGEST_NAME = 24
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": RULE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "figure.constrained_layout.use": True,
}


def mismatch_plot(bins: Sequence[Bin], limit_pct: float) -> str:
    """Share of decisions on which shadow and live disagree, and the share that is allowed."""

    def draw(axes: Axes) -> None:
        axes.plot(range(len(bins)), [bin.mismatch_pct for bin in bins], "o-", color=BLUE, label="mismatches")
        axes.axhline(limit_pct, color=RED, linestyle="--", label=f"limit: {format_number(limit_pct)} %")
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        axes.set_ylim(bottom=0)
        label_groups(axes, [bin.ts for bin in bins])
        place_legend(axes)

    return draw_both("Veto mismatch over time", draw)


def slippage_plot(slippages: Sequence[Slippage]) -> str:
    """5th to 95th percentile and median by symbol, and what v6 expects."""
    shown = list(reversed(slippages[:MOST_SYMBOLS]))

    def draw(axes: Axes) -> None:
        places = range(len(shown))
        axes.hlines(places, [one.p5_bps for one in shown], [one.p95_bps for one in shown], color=BLUE, linewidth=5)
        axes.plot([one.p50_bps for one in shown], places, "o", color=INK, markersize=7, label="live: median, 5 to 95 %")
        known = [
            (one.expected_bps, row) for row, one in zip(places, shown, strict=True) if one.expected_bps is not None
        ]
        if known:
            expected, rows = zip(*known, strict=True)
            axes.plot(expected, rows, "|", color=ORANGE, markersize=18, mew=3, label="v6 expects")
        axes.set_yticks(list(places), [f"{shorten_name(one.symbol)} ({one.count})" for one in shown])
        axes.set_xlabel("slippage, bps (positive = cost)")
        axes.margins(y=0.15)
        place_legend(axes)

    return draw_both("Slippage by symbol, live beside expected", draw, len(shown) + 1)


def causes_plot(causes: Sequence[tuple[str, int]]) -> str:
    """Mismatches by root cause, the most frequent on top."""
    shown = list(reversed(causes[:MOST_SYMBOLS]))

    def draw(axes: Axes) -> None:
        bars = axes.barh(
            [shorten_name(cause) for cause, _ in shown], [count for _, count in shown], color=BLUE, height=0.6
        )
        axes.bar_label(bars, padding=4, color=INK)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)

    return draw_both("Mismatches by root cause", draw, len(shown))


def coverage_plot(bins: Sequence[Bin]) -> str:
    """Decisions with a live counterpart, and those whose live outcome nobody logged."""

    def draw(axes: Axes) -> None:
        places = range(len(bins))
        axes.plot(places, [bin.matched_pct for bin in bins], "o-", color=GREEN, label="with a live counterpart")
        axes.plot(places, [bin.unresolved_pct for bin in bins], "X--", color=ORANGE, label="live outcome unknown")
        axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        axes.set_ylim(-3, 103)
        label_groups(axes, [bin.ts for bin in bins])
        place_legend(axes)

    return draw_both("Coverage over time", draw)


def quality_plot(qualities: Sequence[Quality]) -> str:
    """Share of malformed lines by input, as each run counted it since the beginning."""
    names = sorted({name for quality in qualities for name in quality.malformed_pct})

    def draw(axes: Axes) -> None:
        looks = zip(names, cycle(_MARKERS), cycle((BLUE, ORANGE, GREEN, RED)), strict=False)
        for name, marker, colour in looks:
            known = [
                (place, quality.malformed_pct[name])
                for place, quality in enumerate(qualities)
                if name in quality.malformed_pct
            ]
            axes.plot(
                [place for place, _ in known], [share for _, share in known], marker=marker, color=colour, label=name
            )
        axes.yaxis.set_major_formatter(PercentFormatter())
        axes.set_ylim(bottom=0, top=max(1.0, 1.1 * axes.get_ylim()[1]))
        label_groups(axes, [quality.ts for quality in qualities])
        place_legend(axes)

    return draw_both("Malformed lines by input", draw)


def thumbnail(status: str, colour: str, bins: Sequence[Bin], orders: Sequence[SizedOrder]) -> bytes:
    """A small PNG: the status, the mismatch over time, the size ratios. `colour` is an RGB hex."""
    with mpl.rc_context({"font.size": 8, "text.parse_math": False, "figure.constrained_layout.use": True}):
        figure = Figure(figsize=(3.6, 1.3), dpi=100, facecolor="white")
        left, right = figure.subplots(1, 2)
        left.set_title(status, color=colour, fontweight="bold", loc="left")
        left.plot([bin.mismatch_pct for bin in bins], color="#0072B2")
        left.set_ylabel("mismatch %")
        right.plot([order.ratio for order in orders], ".", color="#0072B2", markersize=2)
        right.plot(
            [index for index, order in enumerate(orders) if order.is_upsize],
            [order.ratio for order in orders if order.is_upsize],
            "x",
            color="#D55E00",
        )
        right.set_ylabel("live / v6 size")
        for axes in (left, right):
            axes.set_xticks([])
            axes.spines[["top", "right"]].set_visible(False)
        out = BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()


def draw_both(label: str, draw: Callable[[Axes], None], rows: int | None = None) -> str:
    """The drawing for a desk and for a phone. With `rows` horizontal bars it is as high as they need."""
    height = None if rows is None else 1.0 + 0.42 * rows
    wide, narrow = (_svg(label, (size[0], height or size[1]), draw) for size in (_WIDE, _NARROW))
    return f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'


def _svg(label: str, size: tuple[float, float], draw: Callable[[Axes], None]) -> str:
    # Ids are made from the salt: two drawings in one page must not share any.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"{label} {size}"}):  # type: ignore[dict-item]
        figure = Figure(figsize=size)
        draw(figure.subplots())
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*"([^>]*?)width="[^"]*"', r"\1\2", svg, count=1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return re.sub("|".join(_VARIABLES), lambda match: _VARIABLES[match[0]], svg)


def to_days(epochs: Iterable[float]) -> list[float]:
    """Times as matplotlib holds dates: days since the epoch."""
    return [ts / 86_400 for ts in epochs]


def draw_time_axis(axes: Axes) -> None:
    """Label the horizontal axis with times in UTC."""
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.margins(x=0.03)


def label_groups(axes: Axes, epochs: Sequence[float]) -> None:
    """Groups stand side by side, so that busy hours do not hide each other; some say when they were."""
    step = max(1, -(-len(epochs) // (7 if _is_wide(axes) else 4)))
    places = range(0, len(epochs), step)
    times = [datetime.fromtimestamp(epochs[place], UTC) for place in places]
    axes.set_xticks(list(places), [f"{time:%d %b}\n{time:%H:%M}" for time in times])
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.03)


def _is_wide(axes: Axes) -> bool:
    figure = axes.figure
    return isinstance(figure, Figure) and figure.get_figwidth() > _NARROW[0]


def place_legend(axes: Axes) -> None:
    """Put the legend above the drawing."""
    columns = 3 if _is_wide(axes) else 1
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.6)


def shorten_name(name: str) -> str:
    """A name from a log as a drawing can hold it: printable, at most 24 characters."""
    shown = "".join(char if char.isprintable() else "?" for char in name) or "-"
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"
