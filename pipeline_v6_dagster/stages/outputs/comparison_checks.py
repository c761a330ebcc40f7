"""The checks of a comparison: one per criterion of the verdict, the verdict itself, and the warmup.

They translate what the evidence says and hold no rule of their own. A figure that was not measured passes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.stages.outputs.criteria_checks import (
    ASSET,
    criterion_description,
    criterion_names,
    evaluate_criterion,
)
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext, Evaluation
from pipeline_v6_dagster.stages.outputs.rows import SLICE_COLUMNS, slice_rows


@dataclass(frozen=True, slots=True)
class ComparisonCheck:
    """A check of the comparison: the asset that it stands on, its description for the UI, and how it is evaluated."""

    asset: str
    description: str
    evaluate: Callable[[CheckContext], Evaluation]


def comparison_checks() -> dict[str, ComparisonCheck]:
    """The checks of the comparison by name, the critical criteria first."""
    criteria = {
        name: ComparisonCheck(ASSET, criterion_description(name), partial(evaluate_criterion, name=name))
        for name in criterion_names()
    }
    own = {"verdict": _verdict, "warmup": _warmup}
    return criteria | {
        name: ComparisonCheck(ASSET, GUIDANCE[name].description, evaluate) for name, evaluate in own.items()
    }


def evaluate_comparison(context: CheckContext) -> list[Evaluation]:
    """What every check of the comparison says, the critical criteria first.

    Raises:
        DataError: there is no summary yet, or a log is not ours.
        StorageError: a log cannot be read.
    """
    return [check.evaluate(context) for check in comparison_checks().values()]


def _verdict(context: CheckContext) -> Evaluation:
    decision = context.gate.decision
    has_passed = decision.verdict is Verdict.PASS
    return Evaluation(
        name="verdict",
        asset=ASSET,
        has_passed=has_passed,
        is_measured=decision.verdict is not Verdict.NO_DATA,
        severity=Severity.ERROR if decision.verdict is Verdict.FAIL else Severity.WARN,
        description=f"{decision.verdict}: {'; '.join(decision.reasons)}",
        to_do=GUIDANCE["verdict"].todo,
        count=0 if has_passed else len(decision.reasons),
        columns={"reason": "string"},
        sample=[{"reason": reason} for reason in decision.reasons],
        figures={"is_pass": int(has_passed)},
        explained_by=frozenset(criterion_names()),
    )


def _warmup(context: CheckContext) -> Evaluation:
    summary = context.summary
    size, needed = summary.sample_size, summary.min_sample_size
    return Evaluation(
        name="warmup",
        asset=ASSET,
        has_passed=not summary.is_warmup,
        severity=Severity.WARN,
        description=f"{size:,} of at least {needed:,} decisions compared",
        to_do=GUIDANCE["warmup"].todo,
        count=max(0, needed - size),
        columns=SLICE_COLUMNS,
        sample=slice_rows(summary),
        figures={"sample_size": size, "min_sample_size": needed},
    )
