"""The checks of a comparison: they translate what the newest summary says, and hold no rule of their own.

A figure that was not measured passes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.domain.comparison import LiveOutcome, MismatchKind
from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.domain.verdict import EvidenceGap
from pipeline_v6_dagster.stages.outputs.criteria_checks import (
    ASSET,
    criterion_description,
    criterion_names,
    evaluate_criterion,
)
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext, Evaluation
from pipeline_v6_dagster.stages.outputs.rows import (
    DIFF_COLUMNS,
    SLICE_COLUMNS,
    UPSIZE_COLUMNS,
    diff_row,
    offending_order,
    slice_rows,
    total_excess_usd,
    upsize_rows,
)
from pipeline_v6_dagster.verdict.status import AMBER_SIZING_P95_RATIO, RED_SIZING_P95_RATIO

# Whether `compare` writes `criteria` into its summary: then each of them is a check, in place of those below.
SUMMARY_HAS_CRITERIA = False
_BESIDE_CRITERIA = ("verdict", "warmup")

_NO_SIZE = "no order of the window has a size on both sides"
_COVERAGE_GAPS = {
    EvidenceGap.UNRESOLVED_DECISIONS,
    EvidenceGap.LIVE_ONLY_ORDERS,
    EvidenceGap.UNSIZED_ORDERS,
}

_INPUT_COLUMNS = {
    "input": "string",
    "lines": "int",
    "malformed_ratio": "float",
    "unusable": "string",
    "is_offset_lost": "bool",
    "lost_bytes": "int",
}


@dataclass(frozen=True, slots=True)
class ComparisonCheck:
    """A check of the comparison: the asset that it stands on, its description for the UI, and how it is evaluated."""

    asset: str
    description: str
    evaluate: Callable[[CheckContext], Evaluation]


def comparison_checks(*, has_criteria: bool = SUMMARY_HAS_CRITERIA) -> dict[str, ComparisonCheck]:
    """The checks of the comparison by name, the worst first.

    `has_criteria`: whether summaries hold the criteria of the verdict, of which each is then a check.
    """
    if not has_criteria:
        return {name: _own(name, *check) for name, check in _CHECKS.items()}
    criteria = {
        name: ComparisonCheck(ASSET, criterion_description(name), partial(evaluate_criterion, name=name))
        for name in criterion_names()
    }
    return criteria | {name: _own(name, *_CHECKS[name]) for name in _BESIDE_CRITERIA}


def evaluate_comparison(context: CheckContext, *, has_criteria: bool = SUMMARY_HAS_CRITERIA) -> list[Evaluation]:
    """What every check of the comparison says, the worst first.

    Raises:
        DataError: there is no summary yet, or a log is not ours.
        StorageError: a log cannot be read.
    """
    return [check.evaluate(context) for check in comparison_checks(has_criteria=has_criteria).values()]


def _own(name: str, asset: str, evaluate: Callable[[CheckContext], Evaluation]) -> ComparisonCheck:
    return ComparisonCheck(asset, GUIDANCE[name].description, evaluate)


def _after_warmup(summary: Mapping[str, Any]) -> Severity:
    return Severity.WARN if summary["is_warmup"] else Severity.ERROR


def _no_upsizes(context: CheckContext) -> Evaluation:
    summary = context.summary
    sizing = summary["sizing_diff_stats"]
    count, measured = sizing["upsize_count"], sizing["sample_size"]
    orders = [offending_order(diff) for diff in context.window if diff.is_upsize and diff.ignored_by is None]
    excess_usd = total_excess_usd(orders)
    if count:
        excess = f", {excess_usd:,.2f} USD too much in total" if excess_usd is not None else ""
        named = f"; newest: {orders[0].symbol} {orders[0].intent_id or orders[0].decision_id}" if orders else ""
        text = f"{count:,} order{'' if count == 1 else 's'} placed larger than asked for{excess}{named}"
    else:
        text = f"no order of {measured:,} was placed larger than asked for" if measured else _NO_SIZE
    return Evaluation(
        name="no_upsizes",
        asset="compare_summary",
        has_passed=count == 0,
        is_measured=measured > 0 or count > 0,
        severity=_after_warmup(summary),
        description=text,
        to_do=GUIDANCE["no_upsizes"].todo,
        count=count,
        columns=UPSIZE_COLUMNS,
        sample=upsize_rows(orders),
        figures={"measured": measured, "excess_usd": excess_usd if count else 0.0},
        failing_ids=[str(order.decision_id or order.intent_id) for order in orders],
        orders=orders,
        excess_usd=excess_usd,
    )


def _sizing_p95(context: CheckContext) -> Evaluation:
    summary = context.summary
    sizing = summary["sizing_diff_stats"]
    p95 = sizing["p95"]
    is_red = p95 is not None and p95 > RED_SIZING_P95_RATIO
    far = [
        diff
        for diff in context.window
        if diff.sizing_diff_pct is not None and abs(diff.sizing_diff_pct) > AMBER_SIZING_P95_RATIO
    ]
    limits = f"amber above {AMBER_SIZING_P95_RATIO:.0%}, red above {RED_SIZING_P95_RATIO:.0%}"
    text = f"95 % of {sizing['sample_size']:,} orders differ by at most {p95 or 0.0:.1%} in size; {limits}"
    return Evaluation(
        name="sizing_p95",
        asset="compare_summary",
        has_passed=p95 is not None and p95 <= AMBER_SIZING_P95_RATIO,
        is_measured=p95 is not None,
        severity=Severity.ERROR if is_red and not summary["is_warmup"] else Severity.WARN,
        description=_NO_SIZE if p95 is None else text,
        to_do=GUIDANCE["sizing_p95"].todo,
        count=len(far),
        columns=DIFF_COLUMNS,
        sample=[diff_row(diff) for diff in sorted(far, key=lambda diff: -abs(diff.sizing_diff_pct or 0.0))],
        figures={"sizing_p95_ratio": p95, "sizing_p50_ratio": sizing["p50"], "measured": sizing["sample_size"]},
    )


def _veto_mismatch(context: CheckContext) -> Evaluation:
    summary = context.summary
    mismatch_pct = summary["veto_mismatch_pct"]
    most_pct = 100 * context.settings.unacceptable_mismatch_ratio
    against = [diff for diff in context.window if diff.veto_mismatch]
    text = f"shadow and live disagree on {mismatch_pct or 0.0:.1f} % of decisions, {most_pct:g} % at most"
    return Evaluation(
        name="veto_mismatch",
        asset="compare_summary",
        has_passed=mismatch_pct is not None and mismatch_pct <= most_pct,
        is_measured=mismatch_pct is not None,
        severity=_after_warmup(summary),
        description="no decision was compared" if mismatch_pct is None else text,
        to_do=GUIDANCE["veto_mismatch"].todo,
        count=len(against),
        columns=DIFF_COLUMNS,
        sample=[diff_row(diff) for diff in against],
        figures={"veto_mismatch_pct": mismatch_pct},
    )


def _verdict(context: CheckContext) -> Evaluation:
    summary = context.summary
    verdict, reasons = summary["verdict"], [str(reason) for reason in summary["verdict_reasons"]]
    has_passed = verdict == Verdict.PASS
    return Evaluation(
        name="verdict",
        asset="compare_summary",
        has_passed=has_passed,
        is_measured=verdict != Verdict.NO_DATA,
        severity=Severity.ERROR if verdict == Verdict.FAIL else Severity.WARN,
        description=f"{verdict}: {'; '.join(reasons)}",
        to_do=GUIDANCE["verdict"].todo,
        count=0 if has_passed else len(reasons),
        columns={"reason": "string"},
        sample=[{"reason": reason} for reason in reasons],
        figures={"is_pass": int(has_passed)},
        explained_by=frozenset(criterion_names()),
    )


def _warmup(context: CheckContext) -> Evaluation:
    summary = context.summary
    size, needed = summary["sample_size"], summary["min_sample_size"]
    return Evaluation(
        name="warmup",
        asset="compare_summary",
        has_passed=not summary["is_warmup"],
        severity=Severity.WARN,
        description=f"{size:,} of at least {needed:,} decisions compared",
        to_do=GUIDANCE["warmup"].todo,
        count=max(0, needed - size),
        columns=SLICE_COLUMNS,
        sample=slice_rows(summary),
        figures={"sample_size": size, "min_sample_size": needed},
    )


def _input_quality(context: CheckContext) -> Evaluation:
    """By the figure that the verdict uses: the share among the newest lines of the worst log."""
    summary = context.summary
    inputs: dict[str, dict[str, Any]] = summary["input_quality"]
    recent, most = summary["evidence"]["malformed_ratio"], context.settings.max_malformed_ratio
    problems = [
        f"{name}: the place read up to is gone with {found['lost_bytes']:,} bytes, so lines may be missing"
        for name, found in inputs.items()
        if found["is_offset_lost"]
    ]
    if EvidenceGap.MALFORMED_LINES in summary["evidence"]["gaps"]:
        problems.append(
            f"{recent:.1%} of the newest lines of a log are malformed, {most:.0%} at most; {_kinds(inputs)}"
        )
    lines = sum(found["lines"] for found in inputs.values())
    whole = f"{lines:,} lines read, {recent or 0.0:.2%} of the newest of a log malformed"
    return Evaluation(
        name="input_quality",
        asset="compare_diffs",
        has_passed=not problems,
        is_measured=lines > 0,
        severity=Severity.WARN,
        description="; ".join(problems) or (whole if lines else "no line was read yet"),
        to_do=GUIDANCE["input_quality"].todo,
        count=sum(sum(found["unusable"].values()) for found in inputs.values()),
        columns=_INPUT_COLUMNS,
        sample=[{**found, "input": name, "unusable": _kinds({name: found})} for name, found in inputs.items()],
        figures={"recent_malformed_ratio": recent, "lines": lines},
    )


def _kinds(inputs: Mapping[str, Mapping[str, Any]]) -> str:
    found = ((name, kind, count) for name, each in inputs.items() for kind, count in each["unusable"].items())
    return ", ".join(f"{name}: {count:,} {kind}" for name, kind, count in found)


def _coverage(context: CheckContext) -> Evaluation:
    summary, settings = context.summary, context.settings
    coverage, evidence, size = summary["coverage"], summary["evidence"], summary["sample_size"]
    unresolved, live_only, unsized = coverage["unresolved"], coverage["live_only"], coverage["unsized"]
    without = [
        diff
        for diff in context.window
        if diff.live_outcome is LiveOutcome.UNRESOLVED
        or diff.mismatch_kind is MismatchKind.LIVE_ONLY
        or diff.is_unsized
    ]
    text = (
        f"{unresolved:,} of {size:,} decisions have no live outcome ({settings.max_unresolved_ratio:.0%} at most),"
        f" {live_only:,} live orders have no decision ({settings.max_live_only_ratio:.0%} at most),"
        f" {unsized:,} of {coverage['executed']:,} executed orders have no size to compare"
        f" ({settings.max_unsized_ratio:.0%} at most)"
    )
    return Evaluation(
        name="coverage",
        asset="compare_diffs",
        has_passed=not _COVERAGE_GAPS & set(map(EvidenceGap, evidence["gaps"])),
        is_measured=size > 0,
        severity=Severity.WARN,
        description=text if size else f"no decision was compared; {live_only:,} live orders have no decision",
        to_do=GUIDANCE["coverage"].todo,
        count=unresolved + live_only + unsized,
        columns=DIFF_COLUMNS,
        sample=[diff_row(diff) for diff in without],
        figures={
            "unresolved_ratio": evidence["unresolved_ratio"],
            "live_only_ratio": evidence["live_only_ratio"],
            "unsized_ratio": evidence["unsized_ratio"],
            "matched": coverage["matched"],
        },
    )


_CHECKS: dict[str, tuple[str, Callable[[CheckContext], Evaluation]]] = {
    "no_upsizes": ("compare_summary", _no_upsizes),
    "sizing_p95": ("compare_summary", _sizing_p95),
    "veto_mismatch": ("compare_summary", _veto_mismatch),
    "verdict": ("compare_summary", _verdict),
    "warmup": ("compare_summary", _warmup),
    "input_quality": ("compare_diffs", _input_quality),
    "coverage": ("compare_diffs", _coverage),
}
