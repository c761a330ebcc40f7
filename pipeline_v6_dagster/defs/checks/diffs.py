"""The checks on `compare_diffs`: whether the evidence that went in can be trusted."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipeline_v6_dagster.defs.checks.finding import Check, Finding, Look
from pipeline_v6_dagster.defs.tables import DIFF_COLUMNS, diff_row
from pipeline_v6_dagster.domain.comparison import LiveOutcome, MismatchKind
from pipeline_v6_dagster.verdict.evidence import MAX_MALFORMED_RATIO, MAX_UNCOVERED_RATIO

_INPUT_COLUMNS = {
    "input": "string",
    "lines": "int",
    "malformed_ratio": "float",
    "unusable": "string",
    "is_offset_lost": "bool",
    "lost_bytes": "int",
}


def diffs_checks() -> Iterator[Check]:
    """`input_quality` and `coverage`."""
    yield Check("input_quality", "compare_diffs", _input_quality)
    yield Check("coverage", "compare_diffs", _coverage)


def _input_quality(look: Look) -> Finding:
    inputs: dict[str, dict[str, Any]] = look.summary["input_quality"]
    most = MAX_MALFORMED_RATIO
    problems = [problem for name, found in inputs.items() if (problem := _problem(name, found, most)) is not None]
    ratios = {f"{name}_malformed_ratio": found["malformed_ratio"] for name, found in inputs.items()}
    lines = sum(found["lines"] for found in inputs.values())
    return Finding(
        has_passed=not problems,
        is_measured=lines > 0,
        severity=dg.AssetCheckSeverity.WARN,
        text="; ".join(problems) or (_quality(inputs) if lines else "no line was read yet"),
        count=sum(sum(found["unusable"].values()) for found in inputs.values()),
        columns=_INPUT_COLUMNS,
        sample=[{**found, "input": name, "unusable": _kinds(found)} for name, found in inputs.items()],
        figures={**ratios, "lines": lines},
    )


def _problem(name: str, found: dict[str, Any], most: float) -> str | None:
    ratio = found["malformed_ratio"]
    if found["is_offset_lost"]:
        return f"{name}: the place read up to is gone with {found['lost_bytes']} bytes, so lines may be missing"
    if ratio is not None and ratio > most:
        return f"{name}: {ratio:.1%} of {found['lines']} lines are malformed, {most:.0%} at most"
    return None


def _quality(inputs: dict[str, dict[str, Any]]) -> str:
    worst = max((found["malformed_ratio"] or 0.0 for found in inputs.values()), default=0.0)
    return f"{sum(found['lines'] for found in inputs.values())} lines read, at most {worst:.2%} of a log malformed"


def _kinds(found: dict[str, Any]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in found["unusable"].items())


def _coverage(look: Look) -> Finding:
    summary = look.summary
    coverage, size = summary["coverage"], summary["sample_size"]
    unresolved, live_only = coverage["unresolved"], coverage["live_only"]
    executed, unsized = coverage["executed"], coverage["unsized"]
    unresolved_ratio = unresolved / size if size else None
    live_only_ratio = live_only / (size + live_only) if size + live_only else None
    unsized_ratio = unsized / executed if executed else None
    without = [
        diff
        for diff in look.window
        if diff.live_outcome is LiveOutcome.UNRESOLVED
        or diff.mismatch_kind is MismatchKind.LIVE_ONLY
        or diff.is_unsized
    ]
    has_passed = (
        unresolved_ratio is not None
        and unresolved_ratio <= MAX_UNCOVERED_RATIO
        and live_only_ratio is not None
        and live_only_ratio <= MAX_UNCOVERED_RATIO
        and (unsized_ratio is None or unsized_ratio <= MAX_UNCOVERED_RATIO)
    )
    text = (
        f"{unresolved} of {size} decisions have no live outcome ({MAX_UNCOVERED_RATIO:.0%} at most),"
        f" {live_only} live orders have no decision ({MAX_UNCOVERED_RATIO:.0%} at most),"
        f" {unsized} of {executed} executed orders have no size to compare ({MAX_UNCOVERED_RATIO:.0%} at most)"
    )
    return Finding(
        has_passed=has_passed,
        is_measured=size > 0,
        severity=dg.AssetCheckSeverity.WARN,
        text=text if size else f"no decision was compared; {live_only} live orders have no decision",
        count=unresolved + live_only + unsized,
        columns=DIFF_COLUMNS,
        sample=[diff_row(diff) for diff in without],
        figures={
            "unresolved_ratio": unresolved_ratio,
            "live_only_ratio": live_only_ratio,
            "unsized_ratio": unsized_ratio,
            "matched": coverage["matched"],
        },
    )
