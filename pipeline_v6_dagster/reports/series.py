"""What the plots of the parity report show: numbers by time, symbol and cause, made from diffs.

Drawing them is `reports.plots`. What was not measured is left out, never 0.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log2

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind
from pipeline_v6_dagster.domain.summary import Summary

MOST_BINS = 24
LEAST_PER_BIN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """So many decisions in a row. Shares are percents."""

    ts: float
    count: int
    mismatch_pct: float
    matched_pct: float
    unresolved_pct: float


@dataclass(frozen=True, slots=True)
class SizedOrder:
    """One order beside what v6 would have ordered: live over shadow gross.

    `is_downsize` tells that v6 would have ordered more, beyond what rounding explains.
    """

    ts: float
    ratio: float
    is_upsize: bool
    is_downsize: bool = False

    @property
    def log2_ratio(self) -> float | None:
        """How many times live doubled v6's size; None where live ordered nothing or the ratio is no number."""
        return log2(self.ratio) if self.ratio > 0 and isfinite(self.ratio) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """Slippage of one symbol's orders against the decision price, bps, positive = cost.

    `expected_bps` is None where v6 would have placed none of them.
    """

    symbol: str
    count: int
    p5_bps: float
    p50_bps: float
    p95_bps: float
    expected_bps: float | None


@dataclass(frozen=True, slots=True)
class Quality:
    """One run's share of lines that were malformed, percent, by input."""

    ts: float
    malformed_pct: dict[str, float]


def group_bins(samples: Sequence[Diff]) -> list[Bin]:
    """Decisions (oldest first) in groups of equal size, each with its share of mismatches."""
    if not samples:
        return []
    number = max(1, min(MOST_BINS, len(samples) // LEAST_PER_BIN))
    edges = [len(samples) * index // number for index in range(number + 1)]
    return [_bin(samples[start:end]) for start, end in pairwise(edges)]


def _bin(samples: Sequence[Diff]) -> Bin:
    count = len(samples)
    mismatches = sum(diff.veto_mismatch is True for diff in samples)
    return Bin(
        ts=samples[count // 2].ts,
        count=count,
        mismatch_pct=100 * mismatches / count,
        matched_pct=100 * sum(diff.match_method is not None for diff in samples) / count,
        unresolved_pct=100 * sum(diff.live_outcome is LiveOutcome.UNRESOLVED for diff in samples) / count,
    )


def collect_sized_orders(samples: Iterable[Diff]) -> list[SizedOrder]:
    """Every order whose size could be compared."""
    return [
        SizedOrder(diff.ts, 1 + diff.sizing_diff_pct, diff.is_upsize is True, diff.is_downsize is True)
        for diff in samples
        if diff.sizing_diff_pct is not None
    ]


def summarize_slippages(samples: Iterable[Diff]) -> list[Slippage]:
    """By symbol, the most orders first: live slippage beside what v6 expects of those that it would have placed."""
    # Imported here: it takes a second, and only the report needs it.
    import pandas as pd

    rows = [
        (diff.symbol or "", live_bps, diff.shadow.expected_slippage_bps if diff.shadow is not None else None)
        for diff in samples
        if (live_bps := _live_slippage_bps(diff)) is not None
    ]
    orders = pd.DataFrame(rows, columns=["symbol", "live_bps", "expected_bps"]).astype({"expected_bps": float})
    by_symbol = orders.groupby("symbol", sort=False)
    spread = by_symbol["live_bps"].describe(percentiles=[0.05, 0.5, 0.95]).join(by_symbol["expected_bps"].mean())
    found = [
        Slippage(
            symbol=str(symbol),
            count=int(row["count"]),
            p5_bps=float(row["5%"]),
            p50_bps=float(row["50%"]),
            p95_bps=float(row["95%"]),
            expected_bps=None if pd.isna(row["expected_bps"]) else float(row["expected_bps"]),
        )
        for symbol, row in spread.to_dict("index").items()
    ]
    return sorted(found, key=lambda one: -one.count)


def _live_slippage_bps(diff: Diff) -> float | None:
    """Also of orders that v6 would have refused, of which it expects nothing."""
    decision, live = diff.shadow, diff.live
    if decision is None or live is None or live.avg_price is None or not decision.price or decision.side is None:
        return None
    sign = 1.0 if decision.side is Side.BUY else -1.0
    return sign * (live.avg_price - decision.price) / decision.price * 1e4


def count_causes(diffs: Iterable[Diff]) -> list[tuple[str, int]]:
    """Mismatches, upsizes and orders without a decision by cause, the most frequent first."""
    causes = Counter(
        diff.root_cause.value if diff.root_cause is not None else "none"
        for diff in diffs
        if diff.veto_mismatch or diff.is_upsize or diff.mismatch_kind is MismatchKind.LIVE_ONLY
    )
    return causes.most_common()


def collect_quality(summaries: Iterable[Summary]) -> list[Quality]:
    """The malformed share of each input, in percent, as each run counted it; oldest first."""
    found = []
    for summary in summaries:
        shares = {
            name: 100 * counts.malformed_ratio
            for name, counts in summary.input_quality.items()
            if counts.malformed_ratio is not None
        }
        found.append(Quality(summary.generated_ts, shares))
    return sorted(found, key=lambda one: one.ts)
