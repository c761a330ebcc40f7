"""What the newest diffs add up to. Statistics of nothing are None, never 0."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappush, heapreplace
from operator import attrgetter

from pipeline_v6_dagster.compare.difference import Sizes
from pipeline_v6_dagster.compare.drift import measure_drift
from pipeline_v6_dagster.compare.statistics import mean, quantile
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind, RootCause
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.domain.summary import (
    Coverage,
    Quantiles,
    ShortfallStats,
    SizingStats,
    SymbolSlice,
    Upsize,
    Window,
    WindowStats,
)

MAX_UPSIZES = 20
_UNKNOWN = "unknown"
_HOUR_S = 3600
# Decisions that waited for their deadline stand among newer ones. So many in a row do not.
_STRAY_DIFFS = 100
_ts = attrgetter("ts")

# The parts of a window besides its symbols, by name.
PARTS: Mapping[str, Callable[[Diff], str]] = {
    "tier": lambda diff: (diff.shadow.tier if diff.shadow is not None else None) or _UNKNOWN,
    "side": lambda diff: diff.side or _UNKNOWN,
    "route": lambda diff: (diff.live.route if diff.live is not None else None) or _UNKNOWN,
    "hour": lambda diff: f"{int(diff.ts) // _HOUR_S % 24:02d}",
}


def newest_states(newest_first: Iterable[Diff], limit: int) -> list[Diff]:
    """The newest states of the newest `limit` decisions by as-of time, and the `live_only` diffs of their span.

    `newest_first` are the lines of the log. Decisions stand there in the order in which they were settled, which is
    nearly that of their times; revisions stand anywhere. Newest first.
    """
    if limit <= 0:
        return []
    states: dict[str, Diff] = {}
    settled_ts: list[float] = []  # of the newest decisions, a heap
    unmatched: list[Diff] = []
    older = 0
    for diff in newest_first:
        if diff.decision_id is None:
            unmatched.append(diff)
            continue
        states.setdefault(diff.decision_id, diff)
        if diff.revision_of is not None:
            continue
        if len(settled_ts) < limit:
            heappush(settled_ts, diff.ts)
        elif diff.ts > settled_ts[0]:
            heapreplace(settled_ts, diff.ts)
            older = 0
        else:
            older += 1
            if older >= _STRAY_DIFFS:
                break
    newest = sorted(states.values(), key=_ts, reverse=True)[:limit]
    if len(newest) == limit:
        oldest_ts = newest[-1].ts
        unmatched = [diff for diff in unmatched if diff.ts >= oldest_ts]
    return sorted([*newest, *unmatched], key=_ts, reverse=True)


def summarise(window: Sequence[Diff], limit: int, min_sample: int) -> WindowStats:
    """The summary of a window (newest first). `live_only` diffs count for coverage alone, ignored ones are counted."""
    ignored = Counter(diff.ignored_by for diff in window if diff.ignored_by is not None)
    window = [diff for diff in window if diff.ignored_by is None]
    samples = [diff for diff in window if diff.mismatch_kind is not MismatchKind.LIVE_ONLY]
    upsizes = sorted((diff for diff in samples if diff.is_upsize), key=attrgetter("ts"), reverse=True)
    is_warmup = len(samples) < min_sample
    slippages = [diff.slippage_diff_bps for diff in samples if diff.slippage_diff_bps is not None]
    times = [diff.ts for diff in samples]
    return WindowStats(
        sample_size=len(samples),
        veto_mismatch_pct=mismatch_pct(samples),
        size_diff_stats=size_diff_stats(samples),
        slippage_diff_bps=_quantiles(slippages),
        sizing_diff_stats=sizing_diff_stats(samples),
        is_warmup=is_warmup,
        warmup_reason="sample_size_below_min" if is_warmup else None,
        min_sample_size=min_sample,
        mismatch_kinds={kind.value: sum(diff.mismatch_kind is kind for diff in window) for kind in MismatchKind},
        root_causes=dict(Counter(diff.root_cause.value for diff in window if diff.root_cause is not None)),
        cause_details=dict(
            Counter(f"{diff.root_cause}:{diff.cause_detail}" for diff in window if diff.cause_detail is not None)
        ),
        upsize_causes=dict(Counter(diff.upsize_cause.value for diff in samples if diff.upsize_cause is not None)),
        unexplained=sum(RootCause.UNEXPLAINED in (diff.root_cause, diff.upsize_cause) for diff in window),
        coverage=_coverage(window),
        by_symbol=slices_by(samples, lambda diff: diff.symbol or ""),
        slices={name: slices_by(samples, part) for name, part in PARTS.items()},
        drift=measure_drift(samples),
        shortfall=_shortfall(samples),
        mismatch_usd=_sum(diff.mismatch_usd for diff in samples),
        route_mismatch_pct=_pct([diff.route_mismatch for diff in samples if diff.route_mismatch is not None]),
        ignored={name: count for name, count in sorted(ignored.items()) if name is not None},
        upsizes=tuple(_upsize(diff) for diff in upsizes[:MAX_UPSIZES]),
        window=Window(limit, min(times, default=None), max(times, default=None)),
    )


def size_diff_stats(samples: Sequence[Diff] | Sequence[Sizes]) -> Quantiles:
    """How far executed quantities are from decided ones, in percent."""
    return _quantiles([abs(diff.size_pct_diff) for diff in samples if diff.size_pct_diff is not None])


def sizing_diff_stats(samples: Sequence[Diff] | Sequence[Sizes]) -> SizingStats:
    """How far executed sizes are from decided ones, as ratios, and how many of them are upsizes."""
    sizings = [abs(diff.sizing_diff_pct) for diff in samples if diff.sizing_diff_pct is not None]
    return SizingStats(
        p50=quantile(sizings, 0.5),
        p95=quantile(sizings, 0.95),
        upsize_count=sum(diff.is_upsize is True for diff in samples),
        sample_size=len(sizings),
    )


def mismatch_pct(samples: Sequence[Diff]) -> float | None:
    """In how many percent of the decisions whose live outcome is known the two sides disagree; None of none."""
    return _pct([diff.veto_mismatch for diff in samples if diff.veto_mismatch is not None])


def _quantiles(values: Sequence[float]) -> Quantiles:
    return Quantiles(mean(values), quantile(values, 0.5), quantile(values, 0.95))


def _coverage(window: Sequence[Diff]) -> Coverage:
    methods = Counter(diff.match_method.value for diff in window if diff.match_method is not None)
    return Coverage(
        matched=sum(methods.values()),
        live_only=sum(diff.mismatch_kind is MismatchKind.LIVE_ONLY for diff in window),
        unresolved=sum(diff.live_outcome is LiveOutcome.UNRESOLVED for diff in window),
        by_method=dict(sorted(methods.items())),
        executed=sum(diff.is_executed_decision for diff in window),
        unsized=sum(diff.is_unsized for diff in window),
    )


def slices_by(samples: Sequence[Diff], part: Callable[[Diff], str]) -> dict[str, SymbolSlice]:
    """The samples of each part by its name."""
    slices: dict[str, list[Diff]] = {}
    for diff in samples:
        slices.setdefault(part(diff), []).append(diff)
    return {name: _slice(diffs) for name, diffs in sorted(slices.items())}


def _slice(diffs: Sequence[Diff]) -> SymbolSlice:
    return SymbolSlice(
        sample_size=len(diffs),
        veto_mismatch_pct=mismatch_pct(diffs),
        upsize_count=sum(diff.is_upsize is True for diff in diffs),
        impact_usd=_sum(diff.impact_usd for diff in diffs),
        mismatch_usd=_sum(diff.mismatch_usd for diff in diffs),
        unresolved=sum(diff.live_outcome is LiveOutcome.UNRESOLVED for diff in diffs),
        slippage_p50_bps=quantile(
            [diff.slippage_diff_bps for diff in diffs if diff.slippage_diff_bps is not None], 0.5
        ),
    )


def _shortfall(samples: Sequence[Diff]) -> ShortfallStats:
    parts = [diff.shortfall for diff in samples if diff.shortfall is not None]
    return ShortfallStats(
        delay_usd=_sum(part.delay_usd for part in parts),
        execution_usd=_sum(part.execution_usd for part in parts),
        fees_usd=_sum(part.fees_usd for part in parts),
        opportunity_usd=_sum(part.opportunity_usd for part in parts),
        total_usd=_sum(part.total_usd for part in parts),
        total_bps=_quantiles([part.total_bps for part in parts if part.total_bps is not None]),
        measured=sum(part.total_usd is not None and part.delay_usd is not None for part in parts),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return finite(sum(known)) if known else None


def _pct(flags: Sequence[bool]) -> float | None:
    return 100 * sum(flags) / len(flags) if flags else None


def _upsize(diff: Diff) -> Upsize:
    live_usd = diff.live.gross_usd if diff.live is not None else None
    shadow_usd = diff.shadow.gross_usd if diff.shadow is not None else None
    return Upsize(
        decision_id=diff.decision_id,
        intent_id=diff.intent_id,
        symbol=diff.symbol,
        side=diff.side,
        ts=diff.ts,
        ratio=None if diff.sizing_diff_pct is None else 1 + diff.sizing_diff_pct,
        excess_usd=None if live_usd is None or shadow_usd is None else finite(live_usd - shadow_usd),
        cause=diff.upsize_cause,
    )
