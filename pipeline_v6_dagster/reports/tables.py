"""The tables of the parity report: the worst cases, each with the decision id that `pipeline-v6 explain` takes."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.formatting import (
    format_bps,
    format_number,
    format_percent,
    format_ratio,
    format_time,
    format_usd,
)
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState
from pipeline_v6_dagster.reports.fills import symbol_anchor

MOST_ROWS = 10
_DELAY_BANDS = ((1.0, "up to 1 s"), (10.0, "up to 10 s"), (60.0, "up to 1 min"), (600.0, "up to 10 min"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under headings; `numeric` columns stand to the right, `long` ones hold sentences.

    `rest` rows are not shown. `anchors` are what links name, a row each; None for a row that nothing links to.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int]
    rest: int = 0
    long: frozenset[int] = frozenset()
    anchors: tuple[str | None, ...] = ()


def upsizes(diffs: Iterable[Diff]) -> Table:
    """Orders placed larger than asked for, the largest excess first."""
    found = sorted((diff for diff in diffs if diff.is_upsize), key=lambda diff: -(_excess_usd(diff) or 0.0))
    return _table(
        "Orders larger than asked for",
        ("asked", "placed", "ratio", "excess"),
        found,
        lambda diff: (
            format_usd(diff.shadow.gross_usd if diff.shadow else None),
            format_usd(diff.live.gross_usd if diff.live else None),
            format_ratio(None if diff.sizing_diff_pct is None else 1 + diff.sizing_diff_pct),
            format_usd(_excess_usd(diff)),
        ),
    )


def mismatches(diffs: Iterable[Diff]) -> Table:
    """Decisions on which shadow and live disagree, the most dollars first."""
    found = sorted((diff for diff in diffs if diff.veto_mismatch), key=lambda diff: -abs(diff.impact_usd or 0.0))
    return _table(
        "Decisions on which v6 and live disagree",
        ("v6", "live", "cause", "impact"),
        found,
        _both_sides,
        numeric=1,
    )


def slippages(diffs: Iterable[Diff]) -> Table:
    """Orders that cost the most beyond what v6 expects."""
    found = sorted(
        (diff for diff in diffs if diff.slippage_diff_bps is not None), key=lambda diff: -(diff.slippage_diff_bps or 0)
    )
    return _table(
        "Slippage furthest above what v6 expects",
        ("decision price", "average fill", "above expected", "executed"),
        found,
        lambda diff: (
            _price(diff.shadow.price if diff.shadow else None),
            _price(diff.live.avg_price if diff.live else None),
            format_bps(diff.slippage_diff_bps),
            format_usd(diff.live.executed_gross_usd if diff.live else None),
        ),
    )


def list_criteria(criteria: Iterable[Criterion]) -> Table:
    """Every criterion of the verdict: what was measured, its limit, its state, what to do if it does not hold."""
    return Table(
        title="Criteria of the verdict",
        headings=("criterion", "group", "state", "measured", "limit", "what to do"),
        rows=tuple(
            (
                each.name,
                each.group.value,
                each.state.value,
                each.measured,
                each.limit,
                "-" if each.state is CriterionState.HOLDS else f"{each.description}. {each.to_do}",
            )
            for each in criteria
        ),
        numeric=frozenset(),
        long=frozenset({5}),
    )


def compare_sides(samples: Sequence[Diff]) -> Table:
    """The side of live against the side of v6, by symbol and by the delay from attempt to order."""
    counts: Counter[tuple[str, str]] = Counter()
    opposite: Counter[tuple[str, str]] = Counter()
    for diff in samples:
        if diff.shadow is None or diff.live is None or diff.live.side is None or diff.shadow.side is None:
            continue
        key = (diff.symbol or "-", _delay_band(diff.match_dt_s))
        counts[key] += 1
        opposite[key] += diff.live.side is not diff.shadow.side
    return Table(
        title="Live side against v6 side",
        headings=("symbol", "delay", "orders", "same side", "opposite side"),
        rows=tuple(
            (
                symbol,
                band,
                format_number(counts[symbol, band]),
                format_number(counts[symbol, band] - wrong),
                format_number(wrong),
            )
            for symbol, band in sorted(counts)
            for wrong in (opposite[symbol, band],)
        ),
        numeric=frozenset({2, 3, 4}),
    )


def find_first_divergences(samples: Sequence[Diff]) -> list[Diff]:
    """The first decision of each symbol on which the two sides disagreed; `samples` are oldest first."""
    first: dict[str | None, Diff] = {}
    for diff in samples:
        if diff.veto_mismatch:
            first.setdefault(diff.symbol, diff)
    return list(first.values())


def first_divergences(diffs: Sequence[Diff]) -> Table:
    """What each side did with the first decision of each symbol on which they disagreed."""
    return _table("First divergence of each symbol", ("v6", "live", "cause", "impact"), diffs, _both_sides, numeric=1)


def divergence_rows(rows: Iterable[tuple[str | None, str, str, str]]) -> Table:
    """The rows of these decisions as (symbol, decision id, name of the log, line)."""
    return Table(
        title="Rows of the first divergences",
        headings=("symbol", "decision id", "log", "row"),
        rows=tuple((symbol or "-", decision_id, log, text) for symbol, decision_id, log, text in rows),
        numeric=frozenset(),
        long=frozenset({3}),
    )


def _delay_band(delay_s: float | None) -> str:
    if delay_s is None:
        return "not measured"
    return next((text for most, text in _DELAY_BANDS if delay_s <= most), "above 10 min")


def symbols(summary: Summary, elsewhere: Collection[str | None] = ()) -> Table:
    """The window by symbol, as the summary has it. A row is where links to a symbol lead unless `elsewhere` is."""
    slices = summary.by_symbol
    return Table(
        title="By symbol",
        headings=("symbol", "decisions", "veto mismatch", "upsizes", "impact"),
        rows=tuple(
            (
                symbol or "-",
                format_number(one.sample_size),
                format_percent(None if one.veto_mismatch_pct is None else one.veto_mismatch_pct / 100),
                format_number(one.upsize_count),
                format_usd(one.impact_usd),
            )
            for symbol, one in slices.items()
        ),
        numeric=frozenset({1, 2, 3, 4}),
        anchors=tuple(anchor if anchor not in elsewhere else None for anchor in map(symbol_anchor, slices)),
    )


def inputs(summary: Summary) -> Table:
    """What was read of each input since the beginning, and what of it was not used."""
    return Table(
        title="Input quality",
        headings=("input", "lines", "malformed", "not used, by kind", "position"),
        rows=tuple(
            (
                name,
                format_number(counts.lines),
                format_percent(counts.malformed_ratio),
                ", ".join(f"{count} {kind}" for kind, count in counts.unusable.items()) or "-",
                "LOST" if counts.is_offset_lost else "kept",
            )
            for name, counts in summary.input_quality.items()
        ),
        numeric=frozenset({1, 2}),
    )


def _table(
    title: str,
    headings: tuple[str, ...],
    found: Sequence[Diff],
    cells: Callable[[Diff], tuple[str, ...]],
    numeric: int | None = None,
) -> Table:
    common = ("time", "symbol", "side", "decision id")
    rows = tuple(
        (
            format_time(diff.ts),
            diff.symbol or "-",
            diff.side.value if diff.side is not None else "-",
            diff.decision_id or "-",
            *cells(diff),
        )
        for diff in found[:MOST_ROWS]
    )
    right = range(len(common) + len(headings) - (len(headings) if numeric is None else numeric), 8)
    return Table(
        title=title,
        headings=common + headings,
        rows=rows,
        numeric=frozenset(right),
        rest=max(0, len(found) - MOST_ROWS),
    )


def _excess_usd(diff: Diff) -> float | None:
    shadow = diff.shadow.gross_usd if diff.shadow is not None else None
    live = diff.live.gross_usd if diff.live is not None else None
    return None if shadow is None or live is None else live - shadow


def _both_sides(diff: Diff) -> tuple[str, ...]:
    """What each side did with one decision, why they differ, and what it comes to."""
    return (
        "allows" if diff.shadow is not None and diff.shadow.is_allowed else f"denies: {_reasons(diff)}",
        f"{diff.live_outcome.value}{': ' + diff.live.reason if diff.live and diff.live.reason else ''}",
        diff.root_cause.value if diff.root_cause is not None else "-",
        format_usd(diff.impact_usd),
    )


def _price(price: float | None) -> str:
    """A price to eight significant digits: an average of fills has more than any exchange quotes."""
    return format_number(None if price is None else float(f"{price:.8g}"))


def _reasons(diff: Diff) -> str:
    return ", ".join(diff.shadow.reasons) if diff.shadow is not None else "-"
