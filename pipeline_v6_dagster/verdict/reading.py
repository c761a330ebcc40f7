"""How a criterion reads: its state, what was measured against which limit, and how figures are written for people."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from pipeline_v6_dagster.domain.verdict import CriterionState

MAX_IDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One criterion as measured. `value` is for plots, in the criterion's unit, None where it was not measured."""

    state: CriterionState
    measured: str
    limit: str
    description: str
    value: float | None = None
    failing_ids: tuple[str, ...] = ()
    counts_against: bool = True


def unmeasured(limit: str, description: str, *, counts_against: bool = True) -> Reading:
    """A reading of what nobody could measure."""
    return Reading(
        state=CriterionState.UNMEASURED,
        measured="not measured",
        limit=limit,
        description=description,
        counts_against=counts_against,
    )


def holds_if(is_good: bool) -> CriterionState:
    """HOLDS or BROKEN."""
    return CriterionState.HOLDS if is_good else CriterionState.BROKEN


def share(part: float, whole: float) -> float | None:
    """`part` of `whole` as a share of 1; None of nothing, or of figures beyond any number."""
    if not whole or not isfinite(part) or not isfinite(whole):
        return None
    return part / whole


def percent(ratio: float | None, digits: int = 1) -> str:
    """A share of 1 as a percentage for people."""
    return "not measured" if ratio is None else f"{100 * ratio:.{digits}f} %"


def count(number: int, noun: str) -> str:
    """A count with its noun, in the plural where it is not 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def newest_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """The first of `ids`, as many as a criterion names."""
    return tuple(ids)[:MAX_IDS]
