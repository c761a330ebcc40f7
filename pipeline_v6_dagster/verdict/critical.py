"""Readings of the critical criteria: one order that breaks one is one too many, however long ago in the epoch."""

from collections.abc import Callable

from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts
from pipeline_v6_dagster.verdict.policy import MAX_UNEXPLAINED_REDUCING_RATIO, VerdictPolicy
from pipeline_v6_dagster.verdict.reading import Reading, count, holds_if, newest_ids, percent, share, unmeasured

Evaluate = Callable[[EpochEvidence, Facts, VerdictPolicy], Reading | None]

_NONE = "0 orders"


def require_none(criterion: str, failure: str) -> Evaluate:
    """The reading of a criterion that no order may break. `failure` says what such an order did."""

    def evaluate(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
        found = evidence.failing_orders.get(criterion)
        number = 0 if found is None else found.count
        if number == 0 and evidence.decisions == 0:
            return unmeasured(_NONE, "no decision of this epoch is settled")
        return Reading(
            state=holds_if(number == 0),
            measured=count(number, "order"),
            limit=_NONE,
            description=f"{count(number, 'order')} {failure}",
            value=float(number),
            failing_ids=() if found is None else newest_ids(found.ids),
        )

    return evaluate


def reduce_only_honest(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Labels are judged where the position was known. Where none was, that stands in nobody's way."""
    found = evidence.failing_orders.get("reduce_only_honest")
    number = 0 if found is None else found.count
    known = number + evidence.honest_labels
    if known == 0:
        unknown = count(evidence.unknown_labels, "order")
        return unmeasured(
            _NONE, f"the position is known for none of {unknown} labelled reduce-only", counts_against=False
        )
    return Reading(
        state=holds_if(number == 0),
        measured=f"{number:,} of {count(known, 'order')}",
        limit=_NONE,
        description=f"{number:,} of {count(known, 'order')} labelled reduce-only opened or exceeded a position",
        value=float(number),
        failing_ids=() if found is None else newest_ids(found.ids),
    )


def orders_explained(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """An opening order without a decision breaks it; reducing ones do above 1 % of live orders."""
    found = evidence.failing_orders.get("orders_explained")
    number = 0 if found is None else found.count
    orders = evidence.executed + evidence.live_only
    limit = f"0 opening orders, {percent(MAX_UNEXPLAINED_REDUCING_RATIO, 0)} of live orders reducing ones"
    if orders == 0 and evidence.decisions == 0:
        return unmeasured(limit, "no decision of this epoch is settled")
    ratio = share(evidence.reducing, orders) or 0.0
    reducing = f"{evidence.reducing:,} reducing ones ({percent(ratio)} of live orders)"
    return Reading(
        state=CriterionState.HOLDS
        if number == 0 and ratio <= MAX_UNEXPLAINED_REDUCING_RATIO
        else CriterionState.BROKEN,
        measured=f"{count(number, 'opening order')}, {reducing}",
        limit=limit,
        description=f"no decision explains {count(number, 'opening live order')} and {reducing}",
        value=float(number),
        failing_ids=() if found is None else newest_ids(found.ids),
    )
