"""The checks on `compare_summary`: is there enough of it, do sizes and decisions agree, what is the verdict.

A figure that was not measured passes nothing.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipeline_v6_dagster.defs.checks.finding import Check, Finding, Look
from pipeline_v6_dagster.defs.tables import (
    DIFF_COLUMNS,
    SLICE_COLUMNS,
    UPSIZE_COLUMNS,
    diff_row,
    slice_rows,
    upsize_rows,
)
from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.stages.compare.summary import UNACCEPTABLE_MISMATCH_RATIO
from pipeline_v6_dagster.verdict.status import (
    AMBER_SIZING_P95_RATIO,
    RED_SIZING_P95_RATIO,
)

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR

# A message names so many orders; the table holds more.
_NAMED = 5
_NO_SIZE = "no order of the window has a size on both sides"


def summary_checks() -> Iterator[Check]:
    """`no_upsizes`, `sizing_p95`, `veto_mismatch`, `verdict`, `warmup`."""
    yield Check("no_upsizes", "compare_summary", _no_upsizes)
    yield Check("sizing_p95", "compare_summary", _sizing_p95)
    yield Check("veto_mismatch", "compare_summary", _veto_mismatch)
    yield Check("verdict", "compare_summary", _verdict)
    yield Check("warmup", "compare_summary", _warmup)


def _after_warmup(summary: dict[str, Any]) -> dg.AssetCheckSeverity:
    return WARN if summary["is_warmup"] else ERROR


def _warmup(look: Look) -> Finding:
    summary = look.summary
    size, needed = summary["sample_size"], summary["min_sample_size"]
    return Finding(
        has_passed=not summary["is_warmup"],
        severity=WARN,
        text=f"{size} of at least {needed} decisions compared",
        count=max(0, needed - size),
        columns=SLICE_COLUMNS,
        sample=slice_rows(summary),
        figures={"sample_size": size, "min_sample_size": needed},
    )


def _no_upsizes(look: Look) -> Finding:
    summary = look.summary
    upsizes, sizing = summary["upsizes"], summary["sizing_diff_stats"]
    count, measured = sizing["upsize_count"], sizing["sample_size"]
    if count:
        text = f"{count} order{'' if count == 1 else 's'} placed larger than asked for; newest: {_named(upsizes)}"
    elif measured:
        text = f"no order of {measured} was placed larger than asked for"
    else:
        text = _NO_SIZE
    return Finding(
        has_passed=count == 0,
        is_measured=measured > 0 or count > 0,
        severity=_after_warmup(summary),
        text=text,
        count=count,
        columns=UPSIZE_COLUMNS,
        sample=upsize_rows(summary),
        figures={
            "upsize_count": count,
            "measured": measured,
            "excess_usd": sum(upsize["excess_usd"] or 0.0 for upsize in upsizes),
        },
        offenders=[str(upsize["decision_id"] or upsize["intent_id"]) for upsize in upsizes],
    )


def _named(upsizes: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{upsize['symbol']} {upsize['intent_id'] or upsize['decision_id']}{_excess(upsize)}"
        for upsize in upsizes[:_NAMED]
    )


def _excess(upsize: dict[str, Any]) -> str:
    ratio = "" if upsize["ratio"] is None else f" x{upsize['ratio']:.2f}"
    return ratio if upsize["excess_usd"] is None else f"{ratio} ({upsize['excess_usd']:,.2f} USD too much)"


def _veto_mismatch(look: Look) -> Finding:
    summary = look.summary
    mismatch_pct = summary["veto_mismatch_pct"]
    most_pct = 100 * UNACCEPTABLE_MISMATCH_RATIO
    against = [diff for diff in look.window if diff.veto_mismatch]
    text = (
        "no decision was compared"
        if mismatch_pct is None
        else f"shadow and live disagree on {mismatch_pct:.1f} % of decisions, {most_pct:g} % at most"
    )
    return Finding(
        has_passed=mismatch_pct is not None and mismatch_pct <= most_pct,
        is_measured=mismatch_pct is not None,
        severity=_after_warmup(summary),
        text=text,
        count=len(against),
        columns=DIFF_COLUMNS,
        sample=[diff_row(diff) for diff in against],
        figures={"veto_mismatch_pct": mismatch_pct},
    )


def _sizing_p95(look: Look) -> Finding:
    summary = look.summary
    sizing = summary["sizing_diff_stats"]
    p95 = sizing["p95"]
    is_red = p95 is not None and p95 > RED_SIZING_P95_RATIO
    far = [
        diff
        for diff in look.window
        if diff.sizing_diff_pct is not None and abs(diff.sizing_diff_pct) > AMBER_SIZING_P95_RATIO
    ]
    limits = f"amber above {AMBER_SIZING_P95_RATIO:.0%}, red above {RED_SIZING_P95_RATIO:.0%}"
    return Finding(
        has_passed=p95 is not None and p95 <= AMBER_SIZING_P95_RATIO,
        is_measured=p95 is not None,
        severity=ERROR if is_red and not summary["is_warmup"] else WARN,
        text=(
            _NO_SIZE
            if p95 is None
            else f"95 % of {sizing['sample_size']} orders differ by at most {p95:.1%} in size; {limits}"
        ),
        count=len(far),
        columns=DIFF_COLUMNS,
        sample=[diff_row(diff) for diff in sorted(far, key=lambda diff: -abs(diff.sizing_diff_pct or 0.0))],
        figures={"sizing_p95_ratio": p95, "sizing_p50_ratio": sizing["p50"], "measured": sizing["sample_size"]},
    )


def _verdict(look: Look) -> Finding:
    summary = look.summary
    verdict, reasons = summary["verdict"], [str(reason) for reason in summary["verdict_reasons"]]
    has_passed = verdict == Verdict.PASS
    return Finding(
        has_passed=has_passed,
        is_measured=verdict != Verdict.NO_DATA,
        severity=ERROR if verdict == Verdict.FAIL else WARN,
        text=f"{verdict}: {'; '.join(reasons)}",
        count=0 if has_passed else len(reasons),
        columns={"reason": "string"},
        sample=[{"reason": reason} for reason in reasons],
        figures={"is_pass": int(has_passed)},
    )
