"""Why a decision and an order differ, from a closed set."""

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind, RootCause
from pipeline_v6_dagster.domain.risk import DenyReason

_BY_OUTCOME = {
    LiveOutcome.VETOED: RootCause.LIVE_VETO,
    LiveOutcome.ERROR: RootCause.LIVE_ERROR,
    LiveOutcome.UNRESOLVED: RootCause.UNRESOLVED,
}


def root_cause_of(diff: Diff) -> RootCause | None:
    """The cause of a mismatch or an upsize; None where there is neither."""
    if diff.mismatch_kind is MismatchKind.LIVE_ONLY:
        return RootCause.NO_DECISION
    if diff.mismatch_kind is MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT:
        return _BY_OUTCOME.get(diff.live_outcome, RootCause.UNEXPLAINED)
    if diff.mismatch_kind is MismatchKind.SHADOW_VETOED_LIVE_EXECUTED and diff.shadow is not None:
        only_nav = set(diff.shadow.reasons) == {DenyReason.NAV_STALE}
        return RootCause.NAV_STALE if only_nav else RootCause.SHADOW_RULE
    return RootCause.UNEXPLAINED if diff.is_upsize else None
