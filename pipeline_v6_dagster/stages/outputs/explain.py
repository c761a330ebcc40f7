"""Explaining a decision from both sides: what v6 decided and why, and what live did."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.compare_log import classify_line, open_compare_log, read_diff
from pipeline_v6_dagster.stages.shadow.explain import Explanation, explain, find_decision_ids
from pipeline_v6_dagster.storage.jsonl_log import LineKind

NOT_SETTLED = "the compare log has no line of this decision yet; run pipeline-v6 compare when its live side is known"


@dataclass(frozen=True, slots=True, kw_only=True)
class BothSides:
    """A decision as the shadow log has it, and its newest state in the compare log.

    `shadow` is None where live placed an order under the id and v6 decided nothing. `diff` is None where the decision
    is not settled. `other_decision_ids` are the earlier decisions of the same intent or attempt, newest first.
    """

    shadow: Explanation | None
    diff: Diff | None
    other_decision_ids: tuple[str, ...] = ()


def explain_both_sides(settings: Settings, wanted_id: str) -> BothSides:
    """Find the newest decision of a decision, intent or attempt id, and what live did about it.

    Raises:
        DataError: neither log has the id, or the line that has it is not understood.
        StorageError: a log cannot be read.
    """
    decision_ids = find_decision_ids(settings, wanted_id)
    if decision_ids:
        newest, *others = decision_ids
        diff = _find_diff(settings, newest, lambda diff: diff.decision_id == newest)
        return BothSides(shadow=explain(settings, newest), diff=diff, other_decision_ids=tuple(others))
    diff = _find_diff(settings, wanted_id, lambda diff: diff.decision_id is None and diff.intent_id == wanted_id)
    if diff is None:
        raise DataError(
            f"{settings.shadow_log}: has no decision {wanted_id}, and no intent or attempt of that id; take an id from"
            " a row of the shadow log or the compare log"
        )
    return BothSides(shadow=None, diff=diff)


def _find_diff(settings: Settings, wanted_id: str, is_wanted: Callable[[Diff], bool]) -> Diff | None:
    """The newest line that is wanted; only lines with the id in them are decoded."""
    log = open_compare_log(settings)
    mark = msgspec.json.encode(wanted_id.encode("utf-8", "replace").decode())
    for line in log.backward():
        if mark in line and classify_line(line) is LineKind.INNER:
            diff = read_diff(log, line)
            if is_wanted(diff):
                return diff
    return None
