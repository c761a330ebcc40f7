"""A check per criterion of the verdict: it translates what the summary says of it, and has no rule of its own."""

from collections.abc import Iterator, Sequence

from pipeline_v6_dagster.alerts.message import AlertOrder, Severity
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext, Evaluation
from pipeline_v6_dagster.stages.outputs.rows import UPSIZE_COLUMNS, make_alert_order, total_excess_usd, upsize_rows
from pipeline_v6_dagster.verdict.criteria import CRITERIA, CriterionDef
from pipeline_v6_dagster.verdict.window import MAX_IDS

ASSET = "compare_summary"

_DEFINED = {criterion.name: criterion for criterion in CRITERIA}
_ERROR_GROUPS = (CriterionGroup.CRITICAL, CriterionGroup.AGREEMENT)
# The same orders in other words: only the cause is announced.
_EXPLAINED_BY = {
    "sizes_agree": frozenset({"no_upsizes", "no_overfills", "v6_not_larger"}),
    "exposure_added": frozenset({"v6_not_larger"}),
    "still_agrees": frozenset({"decisions_agree"}),
    "every_slice_agrees": frozenset({"decisions_agree", "still_agrees"}),
}
# Units in which the value of a criterion is a number of failing orders.
_FAILING_UNITS = {CriterionGroup.CRITICAL: ("orders",), CriterionGroup.EVIDENCE: ("problems", "keys")}
# Whose failing orders are those that live placed larger than it should have: their sizes add up to an excess.
_EXCESS = ("no_upsizes", "no_overfills")


def criterion_names() -> tuple[str, ...]:
    """The names of the criteria, in the order of the table: the critical ones first."""
    return tuple(_DEFINED)


def criterion_description(name: str) -> str:
    """Of the check, in the UI: "Passes when ...", and what to do if not."""
    defined = _DEFINED[name]
    return f"{defined.passes_when} If not: {defined.to_do}"


def evaluate_criterion(context: CheckContext, name: str) -> Evaluation:
    """What the check of one criterion says.

    Raises:
        DataError: there is no summary yet, or a log is not ours.
        StorageError: a log cannot be read.
    """
    found = context.criteria.get(name)
    defined = _DEFINED[name]
    if found is None:
        return _without_reading(defined)
    orders = _orders(context, found.failing_ids) if found.state is CriterionState.BROKEN else ()
    is_broken = found.state is CriterionState.BROKEN
    return Evaluation(
        name=name,
        asset=ASSET,
        has_passed=found.state is CriterionState.HOLDS,
        is_measured=found.state is not CriterionState.UNMEASURED,
        # Something that still needs evidence is no error.
        severity=Severity.ERROR if is_broken and found.group in _ERROR_GROUPS else Severity.WARN,
        description=_describe(found),
        to_do=found.to_do,
        count=count_failing(found),
        columns=UPSIZE_COLUMNS if orders else {"id": "string"},
        sample=upsize_rows(orders) if orders else [{"id": each} for each in found.failing_ids],
        # Else the UI plots the same figure twice.
        figures={} if _is_number_of_failing(defined) else {"value": found.value},
        failing_ids=found.failing_ids if is_broken else (),
        orders=orders,
        excess_usd=total_excess_usd(orders) if name in _EXCESS else None,
        newest_order_ts=context.summary.newest_decision_ts if found.group in _ERROR_GROUPS else None,
        # That there is not enough evidence yet is no event.
        is_quiet=found.state is CriterionState.NOT_YET or not found.counts_against,
        explained_by=_EXPLAINED_BY.get(name, frozenset()),
        acknowledged=None if found.state is CriterionState.HOLDS else context.acknowledged.get(name),
    )


def _describe(found: Criterion) -> str:
    """What was found; where it does not hold, with the figures side by side."""
    sentence = found.description.rstrip(".")
    if found.state is CriterionState.HOLDS:
        return sentence
    return f"{sentence}. Measured: {found.measured}; limit: {found.limit}"


def count_failing(found: Criterion) -> int | None:
    """How many orders fail, exactly; None if the criterion counts something else."""
    if found.state is CriterionState.HOLDS:
        return 0
    defined = _DEFINED[found.name]
    if _is_number_of_failing(defined) and found.value is not None:
        return int(found.value)
    # A criterion remembers so many ids at most: a full list says nothing about how many there are.
    known = len(found.failing_ids)
    return known if 0 < known < MAX_IDS else None


def _is_number_of_failing(defined: CriterionDef) -> bool:
    """Whether the value of the criterion says how many orders, problems or keys fail."""
    return defined.unit in _FAILING_UNITS.get(defined.group, ())


def _without_reading(defined: CriterionDef) -> Evaluation:
    """A criterion of the table that the summary does not hold never passes."""
    return Evaluation(
        name=defined.name,
        asset=ASSET,
        has_passed=False,
        is_measured=False,
        severity=Severity.WARN,
        description="the newest summary does not hold this criterion; run pipeline-v6 compare, or pipeline-v6 status",
        to_do=defined.to_do,
        is_quiet=True,
    )


def _orders(context: CheckContext, failing_ids: Sequence[str]) -> tuple[AlertOrder, ...]:
    """Those of the failing orders that the window of the summary holds, newest first."""
    wanted = set(failing_ids)
    return tuple(make_alert_order(diff) for diff in context.window if not wanted.isdisjoint(_names(diff)))


def _names(diff: Diff) -> Iterator[str]:
    """What a criterion may name an order by; one that no decision explains has ids of the exchange alone."""
    legs = diff.live.legs if diff.live is not None else ()
    yield from (name for name in (diff.decision_id, diff.intent_id) if name is not None)
    yield from (leg.order_id for leg in legs)
