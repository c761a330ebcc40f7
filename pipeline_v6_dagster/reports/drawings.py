"""Every plot of the parity report with its title and caption, in the order of the page."""

from collections.abc import Iterator, Sequence

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.formatting import format_number
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.reports import plots, verdict_plots
from pipeline_v6_dagster.reports.fills import collect_fills, symbol_anchor
from pipeline_v6_dagster.reports.page import Plot
from pipeline_v6_dagster.reports.series import (
    Bin,
    SizedOrder,
    collect_quality,
    count_causes,
    summarize_slippages,
)


def draw_plots(
    diffs: Sequence[Diff],
    samples: Sequence[Diff],
    bins: Sequence[Bin],
    orders: Sequence[SizedOrder],
    runs: Sequence[Summary],
    bounds: Sequence[tuple[float, float]],
    max_mismatch_ratio: float,
) -> tuple[Plot, ...]:
    """All plots. `samples` are the diffs with a decision, oldest first; `bins` and `orders` are made from them.

    `runs` are summaries in any order, `bounds` are (time of a run in epoch s, upper bound of the mismatch rate in
    percent), oldest first. `max_mismatch_ratio` is the share of 1 that the verdict allows.
    """
    limit_pct = 100 * max_mismatch_ratio
    return (
        *_verdict_plots(bins, bounds, limit_pct),
        *_order_plots(diffs, samples, orders),
        *_evidence_plots(diffs, bins, runs),
    )


def _verdict_plots(bins: Sequence[Bin], bounds: Sequence[tuple[float, float]], limit_pct: float) -> Iterator[Plot]:
    yield Plot(
        "Veto mismatch over time",
        "Share of decisions on which v6 and live disagree whether to trade, in groups of equal size, and the share that"
        " the verdict allows.",
        plots.mismatch_plot(bins, limit_pct) if bins else None,
    )
    yield Plot(
        "Bound of the mismatch rate over time",
        "The upper bound that each run could vouch for, valid at every look. The verdict needs it below the limit."
        " One run alone is no line.",
        verdict_plots.bound_plot(bounds, limit_pct) if len(bounds) > 1 else None,
    )


def _order_plots(diffs: Sequence[Diff], samples: Sequence[Diff], orders: Sequence[SizedOrder]) -> Iterator[Plot]:
    sized = sum(order.log2_ratio is not None for order in orders)
    yield Plot(
        "Size of each order",
        "The logarithm to base 2 of what live ordered over what v6 would have ordered: 0 is agreement, 1 is twice as"
        f" much, -1 half. Drawn are all upsizes and the newest others, of {format_number(sized)} orders.",
        verdict_plots.sizing_plot(orders) if sized else None,
    )
    fills = collect_fills(diffs)
    for rank, one in enumerate(fills, 1):
        yield Plot(
            f"Fills of {plots.shorten_name(one.symbol)}",
            f"Price over time: decisions of v6, live fills, upsizes. {format_number(one.orders)} live orders.",
            verdict_plots.fills_plot(one, rank),
            symbol_anchor(one.symbol),
        )
    if not fills:
        yield Plot("Fills", "Price over time of the symbols with the most orders.", None)
    slippages = summarize_slippages(samples)
    yield Plot(
        "Slippage by symbol",
        "Live fills against the decision price beside what v6 expects; in brackets the number of orders.",
        plots.slippage_plot(slippages) if slippages else None,
    )


def _evidence_plots(diffs: Sequence[Diff], bins: Sequence[Bin], runs: Sequence[Summary]) -> Iterator[Plot]:
    causes, qualities = count_causes(diffs), collect_quality(runs)
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
