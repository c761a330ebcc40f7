"""From criteria to a verdict: a conjunction, decided group by group."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState

_OPEN = (CriterionState.NOT_YET, CriterionState.UNMEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict, every reason that stands against a PASS, and the names of the criteria that do.

    `failed_criteria` are broken, `open_criteria` not yet decided or not measured.
    `passed_symbols` are those that a PASS is for, empty without one; `not_covered` those in scope with too few orders.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    failed_criteria: tuple[str, ...]
    open_criteria: tuple[str, ...]
    passed_symbols: tuple[str, ...]
    not_covered: tuple[str, ...]


def decide(
    criteria: Sequence[Criterion],
    sample_size: int,
    is_warmup: bool,
    covered: Sequence[str] = (),
    not_covered: Sequence[str] = (),
) -> Decision:
    """The verdict of `criteria`, over `sample_size` settled decisions.

    A broken critical criterion is FAIL, a broken one of evidence INCONCLUSIVE, a broken one of agreement FAIL, anything
    open INCONCLUSIVE; PASS only where all hold. Warmup never passes. `covered` and `not_covered` are the symbols in
    scope (`sufficiency.covered_symbols`).
    """
    against = [one for one in criteria if one.counts_against and one.state is not CriterionState.HOLDS]
    verdict = _verdict(criteria, against, sample_size, is_warmup)
    reasons = [f"{one.name}: {one.description}" for one in sorted(against, key=_order)]
    if sample_size == 0:
        reasons.insert(0, "no settled decision to compare yet")
    elif is_warmup:
        reasons.insert(0, f"warmup: {sample_size:,} decisions are too few to judge")
    if verdict is Verdict.PASS:
        reasons = ["all criteria hold"]
    return Decision(
        verdict=verdict,
        reasons=tuple(reasons),
        failed_criteria=tuple(one.name for one in against if one.state is CriterionState.BROKEN),
        open_criteria=tuple(one.name for one in against if one.state in _OPEN),
        passed_symbols=tuple(covered) if verdict is Verdict.PASS else (),
        not_covered=tuple(not_covered),
    )


def _verdict(criteria: Sequence[Criterion], against: Sequence[Criterion], sample_size: int, is_warmup: bool) -> Verdict:
    if sample_size == 0:
        return Verdict.NO_DATA
    broken = {one.group for one in against if one.state is CriterionState.BROKEN}
    if CriterionGroup.CRITICAL in broken:
        return Verdict.FAIL
    if CriterionGroup.EVIDENCE in broken:
        return Verdict.INCONCLUSIVE
    if CriterionGroup.AGREEMENT in broken:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if against or is_warmup or not criteria else Verdict.PASS


def _order(one: Criterion) -> tuple[bool, int]:
    """Broken ones first, then by group."""
    return one.state in _OPEN, list(CriterionGroup).index(one.group)
