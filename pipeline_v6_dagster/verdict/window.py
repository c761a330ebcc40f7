"""What the newest decisions of the epoch say by themselves: a good past must not outweigh a bad present."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.policy import GATE_WINDOW
from pipeline_v6_dagster.verdict.reading_diffs import agreement, decision_number

MAX_IDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEvidence:
    """Figures of the newest decisions by as-of time.

    `decisions`, `samples` (those with a known outcome) and `mismatches` are of the newest `compare_limit`; the rest is
    of the newest 200 (`gate_decisions`): the most frequent reason for which a side vetoed and how often, how many
    orders executed something, how many decisions knew the NAV, and how many values it had.
    """

    decisions: int = 0
    samples: int = 0
    mismatches: int = 0
    mismatch_ids: tuple[str, ...] = ()
    gate_decisions: int = 0
    v6_reason: str | None = None
    v6_reason_count: int = 0
    live_reason: str | None = None
    live_reason_count: int = 0
    filled_orders: int = 0
    nav_known: int = 0
    nav_values: int = 0


def window_evidence(newest: Iterable[Diff], evidence: EpochEvidence, compare_limit: int) -> WindowEvidence:
    """The figures of `newest`: the newest state of at least the newest max(`compare_limit`, 200) decisions.

    Orders without a decision, ignored ones and those of other epochs or symbols are left out.
    """
    members = [diff for diff in newest if diff.decision_id is not None and evidence.is_counted(diff)]
    members.sort(key=lambda diff: (diff.ts, decision_number(diff) or 0), reverse=True)
    judged = [(diff, found) for diff in members[:compare_limit] if (found := agreement(diff)) is not None]
    mismatches = [diff.decision_id or "" for diff, is_mismatch in judged if is_mismatch]
    gate = members[:GATE_WINDOW]
    v6_reasons = Counter(
        reason
        for diff in gate
        if diff.shadow is not None and not diff.shadow.is_allowed
        for reason in set(diff.shadow.reasons)
    )
    live_reasons = Counter(
        (diff.live.reason if diff.live is not None else None) or "unknown"
        for diff in gate
        if diff.live_outcome is LiveOutcome.VETOED
    )
    navs = [diff.shadow.nav_usd for diff in gate if diff.shadow is not None and diff.shadow.nav_usd is not None]
    v6_reason, v6_count = _most_frequent(v6_reasons)
    live_reason, live_count = _most_frequent(live_reasons)
    return WindowEvidence(
        decisions=len(members[:compare_limit]),
        samples=len(judged),
        mismatches=len(mismatches),
        mismatch_ids=tuple(mismatches[:MAX_IDS]),
        gate_decisions=len(gate),
        v6_reason=v6_reason,
        v6_reason_count=v6_count,
        live_reason=live_reason,
        live_reason_count=live_count,
        filled_orders=sum(bool(diff.live is not None and diff.live.executed_qty) for diff in gate),
        nav_known=len(navs),
        nav_values=len(set(navs)),
    )


def _most_frequent(reasons: Counter[str]) -> tuple[str | None, int]:
    return min(reasons.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
