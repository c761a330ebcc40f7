"""What a verdict is made from: its settings, the quality of its evidence, the state of its sequential test."""

from dataclasses import dataclass
from enum import StrEnum


class EvidenceGap(StrEnum):
    """Why the evidence cannot carry a verdict. Closed."""

    MALFORMED_LINES = "malformed_lines"
    UNRESOLVED_DECISIONS = "unresolved_decisions"
    TIME_PAIRS = "time_pairs"
    LIVE_ONLY_ORDERS = "live_only_orders"
    UNSIZED_ORDERS = "unsized_orders"
    STALE_LIVE_LOG = "stale_live_log"


class SequentialOutcome(StrEnum):
    """What the sequential test says so far."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLimits:
    """Up to where evidence is good enough for a verdict. Ratios are shares of 1, the age is in seconds."""

    max_malformed_ratio: float
    max_unresolved_ratio: float
    max_time_pair_ratio: float
    max_live_only_ratio: float
    max_unsized_ratio: float
    max_live_age_s: float


@dataclass(frozen=True, slots=True)
class SequentialPlan:
    """The sequential test of the veto mismatch rate (shares of 1).

    `false_fail_ratio` bounds how often the acceptable rate is ever rejected, `false_pass_ratio` how often the
    unacceptable one is ever accepted.
    """

    acceptable_ratio: float
    unacceptable_ratio: float
    false_fail_ratio: float
    false_pass_ratio: float


@dataclass(frozen=True, slots=True)
class VerdictPolicy:
    """The settings of a verdict."""

    limits: EvidenceLimits
    plan: SequentialPlan


@dataclass(slots=True, kw_only=True)
class EvidenceQuality:
    """How good the evidence of a window is. Ratios are shares of 1, None if there is nothing to share.

    `malformed_ratio` is that of the worst input over its newest lines.
    """

    malformed_ratio: float | None
    unresolved_ratio: float | None
    time_pair_ratio: float | None
    live_only_ratio: float | None
    unsized_ratio: float | None
    newest_live_ts: float | None


@dataclass(slots=True, kw_only=True)
class SequentialState:
    """The sequential test so far, over the decisions of one configuration.

    `since_ts` is the as-of time of the first of them, `log_ratio` the logarithm of how much likelier they are at the
    unacceptable rate than at the acceptable one. `is_accepted` holds from a pass on, until the ratio is above 0 again.
    `is_first` tells that no other configuration was seen before.
    """

    config_hash: str | None = None
    since_ts: float | None = None
    decisions: int = 0
    mismatches: int = 0
    log_ratio: float = 0.0
    is_accepted: bool = False
    is_first: bool = True


@dataclass(slots=True, kw_only=True)
class SequentialReport:
    """The sequential test as the summary shows it. Percents are of the decisions of `config_hash`.

    `interval_95_pct` is the exact (Clopper and Pearson) interval of the mismatch rate; None without a decision.
    `clean_decisions_needed` is how many decisions without a mismatch a PASS needs from here on.
    """

    outcome: SequentialOutcome
    config_hash: str | None
    since_ts: float | None
    decisions: int
    mismatches: int
    mismatch_pct: float | None
    interval_95_pct: tuple[float, float] | None
    log_ratio: float
    pass_at: float
    fail_at: float
    clean_decisions_needed: int
    acceptable_pct: float
    unacceptable_pct: float


class CriterionGroup(StrEnum):
    """What a criterion decides, in the order in which groups decide."""

    CRITICAL = "critical"
    EVIDENCE = "evidence"
    AGREEMENT = "agreement"
    SUFFICIENCY = "sufficiency"


class CriterionState(StrEnum):
    """How a criterion stands. UNMEASURED and NOT_YET never read as agreement."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_YET = "not_yet"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One criterion as it stands. `measured` and `limit` are texts for people; `value` is a number for plots.

    `description` says in a sentence what was found, `to_do` what to do where it does not hold. `failing_ids` are the
    decision or intent ids of the newest failing orders, at most 50.
    """

    name: str
    group: CriterionGroup
    state: CriterionState
    measured: str
    limit: str
    description: str
    to_do: str
    value: float | None = None
    failing_ids: tuple[str, ...] = ()
    counts_against: bool = True
