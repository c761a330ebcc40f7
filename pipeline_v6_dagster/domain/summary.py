"""What the comparison adds up to: the head of the shadow log, the compare summary, status and verdict."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline_v6_dagster.domain.comparison import Diff, MismatchKind
from pipeline_v6_dagster.domain.verdict import Criterion


class Status(StrEnum):
    """The traffic light of the summary. WARMUP wins over the colours: it is informational only."""

    NO_DATA = "no_data"
    WARMUP = "warmup"
    RED = "red"
    AMBER = "amber"
    GREEN = "green"


class Verdict(StrEnum):
    """Whether the evidence supports flipping v6 on."""

    PASS = "PASS"  # noqa: S105 -- a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_DATA = "NO_DATA"


@dataclass(slots=True)
class Quantiles:
    """Mean, median and 95th percentile; all None if there is nothing to measure."""

    mean: float | None
    p50: float | None
    p95: float | None


@dataclass(slots=True)
class SizingStats:
    """p50 and p95 of |sizing_diff_pct| (ratios) over `sample_size` diffs that have one."""

    p50: float | None
    p95: float | None
    upsize_count: int
    sample_size: int


@dataclass(slots=True, kw_only=True)
class Upsize:
    """One order placed larger than asked for. `ratio` is live over shadow gross; `excess_usd` their difference."""

    decision_id: str | None
    intent_id: str | None
    symbol: str | None
    side: str | None
    ts: float
    ratio: float | None
    excess_usd: float | None
    cause: str | None = None


@dataclass(slots=True, kw_only=True)
class SymbolSlice:
    """The window's diffs of one symbol, or of another part of it: a tier, a side, a route, an hour of the day (UTC)."""

    sample_size: int
    veto_mismatch_pct: float | None
    upsize_count: int
    impact_usd: float | None
    mismatch_usd: float | None = None
    unresolved: int = 0
    slippage_p50_bps: float | None = None


@dataclass(slots=True)
class Drift:
    """One figure's mean over the older and the newer half of the window.

    `score` is their difference in standard errors; None, as `has_moved`, where a half has too few.
    """

    older: float | None
    newer: float | None
    score: float | None
    has_moved: bool | None


@dataclass(slots=True, kw_only=True)
class ShortfallStats:
    """What the window's executed orders cost in parts, USD; None where no order has the part. `measured` have all."""

    delay_usd: float | None
    execution_usd: float | None
    fees_usd: float | None
    opportunity_usd: float | None
    total_usd: float | None
    total_bps: Quantiles
    measured: int


@dataclass(slots=True)
class Control:
    """Live against itself over the window: what of every difference is noise (`compare.control`)."""

    sample_size: int
    veto_mismatch_pct: float | None
    size_diff_stats: Quantiles
    sizing_diff_stats: SizingStats


@dataclass(slots=True, kw_only=True)
class Coverage:
    """How much of the window's evidence has two sides.

    `unsized` of the `executed` decisions cannot be called an upsize or none, because a size or the price is missing.
    """

    matched: int
    live_only: int
    unresolved: int
    by_method: dict[str, int]
    executed: int
    unsized: int


@dataclass(slots=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Window:
    """The span that a head or a summary covers (epoch s)."""

    limit: int
    first_ts: float | None
    last_ts: float | None


@dataclass(slots=True, kw_only=True)
class WindowStats:
    """What the newest diffs add up to, before the verdict."""

    sample_size: int
    veto_mismatch_pct: float | None
    size_diff_stats: Quantiles
    slippage_diff_bps: Quantiles
    sizing_diff_stats: SizingStats
    is_warmup: bool
    warmup_reason: str | None
    min_sample_size: int
    mismatch_kinds: dict[str, int]
    root_causes: dict[str, int]
    cause_details: dict[str, int]
    upsize_causes: dict[str, int]
    unexplained: int
    coverage: Coverage
    by_symbol: dict[str, SymbolSlice]
    slices: dict[str, dict[str, SymbolSlice]]
    drift: dict[str, Drift]
    shortfall: ShortfallStats
    mismatch_usd: float | None
    route_mismatch_pct: float | None
    ignored: dict[str, int]
    upsizes: tuple[Upsize, ...]
    window: Window


@dataclass(slots=True, kw_only=True)
class InputQuality:
    """What was read of one input so far.

    `malformed_ratio` is over its whole life, `recent_malformed_ratio` over its newest lines, which is what a verdict
    judges; None without a line. `lost_bytes` were gone from all of its files when reading went on.
    """

    lines: int
    malformed_ratio: float | None
    recent_malformed_ratio: float | None
    unusable: dict[str, int]
    is_offset_lost: bool
    lost_bytes: int
    newest_ts: float | None = None


@dataclass(slots=True, kw_only=True)
class Totals:
    """Counts over the whole life of the compare log, of the newest state of each decision."""

    decisions: int = 0
    live_only: int = 0
    revisions: int = 0
    upsizes: int = 0
    mismatch_kinds: dict[str, int] = field(default_factory=dict)

    def add(self, diff: Diff) -> None:
        """Count a settled decision, or an order that no decision explains."""
        if diff.mismatch_kind is MismatchKind.LIVE_ONLY:
            self.live_only += 1
        else:
            self.decisions += 1
        self._count(diff, 1)

    def revise(self, before: Diff, after: Diff) -> None:
        """Count a decision as what it is known as now."""
        self.revisions += 1
        self._count(before, -1)
        self._count(after, 1)

    def _count(self, diff: Diff, sign: int) -> None:
        self.upsizes += sign * (diff.is_upsize is True)
        kind = diff.mismatch_kind
        self.mismatch_kinds[kind] = self.mismatch_kinds.get(kind, 0) + sign


@dataclass(slots=True)
class EvidencePart:
    """A part of an epoch's evidence: settled decisions, those executed, those on which v6 and the orders disagree."""

    decisions: int = 0
    executed: int = 0
    mismatches: int = 0


@dataclass(slots=True, kw_only=True)
class EpochSummary:
    """The epoch that the verdict is about. Times are epoch seconds, None before the first decision.

    `identity` is 16 hex digits over configuration, engines and settings. `number` is its k among the epochs that count:
    it is tested at `error_rate`. `uncounted_restarts` were too short to count. `shadow` is the evidence of orders that
    live placed beside v6, `live` of those that v6 placed itself.
    """

    identity: str | None
    since_ts: float | None
    newest_ts: float | None
    number: int
    uncounted_restarts: int
    error_rate: float
    max_mismatch_ratio: float
    shadow: EvidencePart = field(default_factory=EvidencePart)
    live: EvidencePart = field(default_factory=EvidencePart)


@dataclass(slots=True, kw_only=True)
class Summary(WindowStats):
    """The compare summary: the traffic light over the newest decisions, and the verdict over the epoch.

    Times are epoch seconds. All but `generated_ts` depends on the logs alone, so that a rebuild gives the same. What
    depends on the clock (freshness, whether the epoch is still current) is evaluated by whoever asks.
    """

    generated_ts: float
    status: Status
    verdict: Verdict
    verdict_reasons: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    failed_criteria: tuple[str, ...]
    passed_symbols: tuple[str, ...]
    not_covered: tuple[str, ...]
    epoch: EpochSummary
    aa_control: Control
    input_quality: dict[str, InputQuality]
    newest_live_ts: float | None
    newest_decision_ts: float | None
    undecided_since_ts: float | None
    open_decisions: int
    config_hash: str
    totals: Totals


@dataclass(slots=True, kw_only=True)
class Head:
    """The state of the shadow log, over the newest decisions."""

    generated_ts: float
    total: int
    allowed: int
    vetoed: int
    last_decision: dict[str, Any] | None
    veto_reasons: dict[str, int]
    window: Window
    log: dict[str, Any]
