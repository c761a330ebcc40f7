"""The tables of the parity report: the worst cases, each with the decision id that `pipeline-v6 explain` takes."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState

MOST_ROWS = 10
_DELAY_BANDS = ((1.0, "up to 1 s"), (10.0, "up to 10 s"), (60.0, "up to 1 min"), (600.0, "up to 10 min"))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings; `numeric` columns stand to the right. `rest` rows are not shown."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int]
    rest: int = 0


def upsizes(diffs: Iterable[Diff]) -> Table:
    """Orders placed larger than asked for, the largest excess first."""
    found = sorted((diff for diff in diffs if diff.is_upsize), key=lambda diff: -(_excess_usd(diff) or 0.0))
    return _table(
        "Orders larger than asked for",
        ("asked, USD", "placed, USD", "ratio", "excess, USD"),
        found,
        lambda diff: (
            number(diff.shadow.gross_usd if diff.shadow else None, 2),
            number(diff.live.gross_usd if diff.live else None, 2),
            number(None if diff.sizing_diff_pct is None else 1 + diff.sizing_diff_pct, 3),
            number(_excess_usd(diff), 2),
        ),
    )


def mismatches(diffs: Iterable[Diff]) -> Table:
    """Decisions on which shadow and live disagree, the most dollars first."""
    found = sorted((diff for diff in diffs if diff.veto_mismatch), key=lambda diff: -abs(diff.impact_usd or 0.0))
    return _table(
        "Decisions on which v6 and live disagree",
        ("v6", "live", "cause", "impact, USD"),
        found,
        lambda diff: (
            "allows" if diff.shadow is not None and diff.shadow.is_allowed else f"denies: {_reasons(diff)}",
            f"{diff.live_outcome.value}{': ' + diff.live.reason if diff.live and diff.live.reason else ''}",
            diff.root_cause.value if diff.root_cause is not None else "-",
            number(diff.impact_usd, 2),
        ),
        numeric=1,
    )


def slippages(diffs: Iterable[Diff]) -> Table:
    """Orders that cost the most beyond what v6 expects."""
    found = sorted(
        (diff for diff in diffs if diff.slippage_diff_bps is not None), key=lambda diff: -(diff.slippage_diff_bps or 0)
    )
    return _table(
        "Slippage furthest above what v6 expects",
        ("decision price", "average fill", "above expected, bps", "executed, USD"),
        found,
        lambda diff: (
            number(diff.shadow.price if diff.shadow else None, 6),
            number(diff.live.avg_price if diff.live else None, 6),
            number(diff.slippage_diff_bps, 2),
            number(diff.live.executed_gross_usd if diff.live else None, 2),
        ),
    )


def list_criteria(criteria: Iterable[Criterion]) -> Table:
    """Every criterion of the verdict: what was measured, its limit, its state, what to do if it does not hold."""
    return Table(
        "Criteria of the verdict",
        ("criterion", "group", "state", "measured", "limit", "what to do"),
        tuple(
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
        frozenset(),
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
        "Live side against v6 side",
        ("symbol", "delay", "orders", "same side", "opposite side"),
        tuple(
            (symbol, band, f"{counts[symbol, band]:,}", f"{counts[symbol, band] - wrong:,}", f"{wrong:,}")
            for symbol, band in sorted(counts)
            for wrong in (opposite[symbol, band],)
        ),
        frozenset({2, 3, 4}),
    )


def first_divergences(samples: Sequence[Diff]) -> Table:
    """The first decision of each symbol on which the two sides disagreed; `samples` are oldest first."""
    first: dict[str | None, Diff] = {}
    for diff in samples:
        if diff.veto_mismatch:
            first.setdefault(diff.symbol, diff)
    return _table(
        "First divergence of each symbol",
        ("v6", "live", "cause", "impact, USD"),
        list(first.values()),
        lambda diff: (
            "allows" if diff.shadow is not None and diff.shadow.is_allowed else f"denies: {_reasons(diff)}",
            f"{diff.live_outcome.value}{': ' + diff.live.reason if diff.live and diff.live.reason else ''}",
            diff.root_cause.value if diff.root_cause is not None else "-",
            number(diff.impact_usd, 2),
        ),
        numeric=1,
    )


def _delay_band(delay_s: float | None) -> str:
    if delay_s is None:
        return "not measured"
    return next((text for most, text in _DELAY_BANDS if delay_s <= most), "above 10 min")


def symbols(summary: Summary) -> Table:
    """The window by symbol, as the summary has it."""
    slices = summary.by_symbol
    return Table(
        "By symbol",
        ("symbol", "decisions", "veto mismatch, %", "upsizes", "impact, USD"),
        tuple(
            (
                symbol or "-",
                str(one.sample_size),
                number(one.veto_mismatch_pct, 2),
                str(one.upsize_count),
                number(one.impact_usd, 2),
            )
            for symbol, one in slices.items()
        ),
        frozenset({1, 2, 3, 4}),
    )


def inputs(summary: Summary) -> Table:
    """What was read of each input since the beginning, and what of it was not used."""
    return Table(
        "Input quality",
        ("input", "lines", "malformed, %", "not used, by kind", "position"),
        tuple(
            (
                name,
                str(counts.lines),
                number(None if counts.malformed_ratio is None else 100 * counts.malformed_ratio, 3),
                ", ".join(f"{count} {kind}" for kind, count in counts.unusable.items()) or "-",
                "LOST" if counts.is_offset_lost else "kept",
            )
            for name, counts in summary.input_quality.items()
        ),
        frozenset({1, 2}),
    )


def number(value: float | None, places: int) -> str:
    """A figure as people read it; what was not measured says so."""
    if value is None:
        return "not measured"
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places > 2 else text


def utc(ts: float) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _table(
    title: str,
    headings: tuple[str, ...],
    found: Sequence[Diff],
    cells: Callable[[Diff], tuple[str, ...]],
    numeric: int | None = None,
) -> Table:
    common = ("time, UTC", "symbol", "side", "decision id")
    rows = tuple(
        (
            utc(diff.ts),
            diff.symbol or "-",
            diff.side.value if diff.side is not None else "-",
            diff.decision_id or "-",
            *cells(diff),
        )
        for diff in found[:MOST_ROWS]
    )
    right = range(len(common) + len(headings) - (len(headings) if numeric is None else numeric), 8)
    return Table(title, common + headings, rows, frozenset(right), max(0, len(found) - MOST_ROWS))


def _excess_usd(diff: Diff) -> float | None:
    shadow = diff.shadow.gross_usd if diff.shadow is not None else None
    live = diff.live.gross_usd if diff.live is not None else None
    return None if shadow is None or live is None else live - shadow


def _reasons(diff: Diff) -> str:
    return ", ".join(diff.shadow.reasons) if diff.shadow is not None else "-"
