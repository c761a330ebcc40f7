"""The diff of what was settled: of its own, or in place of one that is known already."""

from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.compare.revision import revise, revise_by_row
from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder, UnmatchedRow
from pipeline_v6_dagster.compare.settlement import OutcomeMatcher
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff
from pipeline_v6_dagster.domain.live import Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow
from pipeline_v6_dagster.stages.compare.revisions import KnownDiffs
from pipeline_v6_dagster.verdict.root_cause import CauseContext


def find_diff(
    settled: Settled | UnmatchedOrder | UnmatchedRow, known: KnownDiffs, policy: ComparePolicy, matcher: OutcomeMatcher
) -> tuple[Diff | None, Diff | None]:
    """(the diff to write, the one that it replaces). Late live evidence that changes nothing gives no diff."""
    if isinstance(settled, UnmatchedRow):
        row = settled.row
        before = known.find(row.intent_id, own_attempt_id(row.attempt_id), row.ts)
        diff = None if before is None else revise_by_row(before, row, policy)
        if diff is None:
            matcher.dropped[IgnoredRow.UNMATCHED_VETO if isinstance(row, Veto) else IgnoredRow.UNMATCHED_ERROR] += 1
        return diff, before
    if isinstance(settled, UnmatchedOrder) and settled.order.has_id:
        order = settled.order
        before = known.find(order.intent_id, order.attempt_id, order.first_ts)
        if before is not None:
            return revise(before, order, policy), before
    if isinstance(settled, UnmatchedOrder) and settled.retries is not None:
        retried = settled.retries
        before = known.find(retried.intent_id, retried.attempt_id, settled.order.first_ts)
        if before is not None and before.decision_id == retried.decision_id:
            diff = revise(before, settled.order, policy, is_retry=True)
            if diff is not None:
                diff.retries = retried.decision_id
            return diff, before
    return compare_sides(settled, policy), None


def cause_context(
    settled: Settled | UnmatchedOrder | UnmatchedRow,
    before: Diff | None,
    changed_ts: float | None,
    policy: ComparePolicy,
) -> CauseContext:
    """What the root cause of its diff depends on besides the diff."""
    return CauseContext(
        exchange=settled.exchange if isinstance(settled, Settled) else None,
        shares_intent=isinstance(settled, Settled) and settled.shares_intent,
        config_changed_ts=changed_ts,
        config_settles_s=policy.tolerance_s,
        before=before,
    )
