"""The compare diffs and their summary."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks import compare_checks
from pipeline_v6_dagster.defs.checks.finding import Look
from pipeline_v6_dagster.defs.freshness import with_freshness_policy
from pipeline_v6_dagster.defs.keys import OWNERS
from pipeline_v6_dagster.defs.step import Part, step_of
from pipeline_v6_dagster.defs.tables import (
    DIFF_COLUMNS,
    MAX_ROWS,
    SLICE_COLUMNS,
    UPSIZE_COLUMNS,
    diff_row,
    slice_rows,
    table,
    upsize_rows,
)
from pipeline_v6_dagster.domain.comparison import Diff, MismatchKind
from pipeline_v6_dagster.logs.compare_log import open_compare_log
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.compare.summary import write_summary

GROUP = "compare"


_DIFFS = dg.AssetSpec(
    "compare_diffs",
    deps=["shadow_log", "orders_executed", "risk_vetoes", "risk_limits", "pairs_universe"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "jsonl"},
    tags={"written_by": "pipeline_v6"},
    description="Every settled decision beside what the live executor did, each once, with what differs.",
)
_SUMMARY = dg.AssetSpec(
    "compare_summary",
    deps=["compare_diffs"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6"},
    description=(
        "What the newest diffs add up to: status, verdict, statistics. Red means that live placed orders larger"
        " than asked for, or sizes far from v6's: do not flip v6 on, look at the upsizes below."
    ),
)


def compare_assets(settings: Settings) -> dg.AssetsDefinition:
    """The assets of this group with their checks."""
    summary = with_freshness_policy(_SUMMARY, settings.compare_interval_s)
    parts = [Part(_DIFFS, _write_diffs), Part(summary, _write_summary)]
    return step_of(GROUP, parts, compare_checks(settings))


def _write_diffs(look: Look) -> dg.MaterializeResult[None]:
    """Settle, pair and append what is new."""
    settings = look.settings
    run = run_compare(settings, look.pipeline.limits(), look.pipeline.clock)
    totals = run.summary["totals"]
    return dg.MaterializeResult(
        asset_key=_DIFFS.key,
        data_version=dg.DataVersion(f"{totals['decisions']}+{totals['live_only']}+{totals['revisions']}"),
        metadata={
            "path": dg.MetadataValue.path(settings.compare_diffs),
            "dagster/row_count": run.diff_count,
            "new_diffs": run.diff_count,
            "open_decisions": run.open_decisions,
            "waits_for_shadow": run.waits_for_shadow,
            "cut_bytes": run.cut_bytes,
            "mismatch_kinds": dg.MetadataValue.json({str(kind): count for kind, count in run.mismatch_kinds.items()}),
            "missing_inputs": dg.MetadataValue.json([str(path) for path in run.missing]),
        },
    )


def _write_summary(look: Look) -> dg.MaterializeResult[None]:
    """Write the newest summary to its file."""
    settings = look.settings
    summary = write_summary(settings, open_compare_log(settings))
    return dg.MaterializeResult(
        asset_key=_SUMMARY.key,
        data_version=dg.DataVersion(_version(summary)),
        metadata={
            "path": dg.MetadataValue.path(settings.compare_summary),
            "status": summary["status"],
            "verdict": summary["verdict"],
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in summary["verdict_reasons"])),
            **_tables(look.window, summary),
            "dagster/row_count": summary["sample_size"],
            **_figures(summary),
        },
    )


def _tables(window: Sequence[Diff], summary: dict[str, Any]) -> dict[str, dg.TableMetadataValue]:
    """What there is to see; an empty table would be kept for weeks for nothing."""
    tables = {
        "upsizes": (UPSIZE_COLUMNS, upsize_rows(summary)),
        "mismatches": (DIFF_COLUMNS, _mismatches(window)),
        "slices": (SLICE_COLUMNS, slice_rows(summary)),
    }
    return {name: table(columns, rows) for name, (columns, rows) in tables.items() if rows}


def _mismatches(window: Sequence[Diff]) -> list[dict[str, Any]]:
    agreed = (MismatchKind.MATCH, MismatchKind.MATCH_VETO)
    found = (diff for diff in window if diff.mismatch_kind not in agreed)
    return [diff_row(diff) for diff in islice(found, MAX_ROWS)]


def _figures(summary: dict[str, Any]) -> dict[str, float | int]:
    """Numbers that the UI plots over time. What was not measured is left out: a plot cannot show null."""
    figures = {
        "sample_size": summary["sample_size"],
        "veto_mismatch_pct": summary["veto_mismatch_pct"],
        "upsize_count": summary["sizing_diff_stats"]["upsize_count"],
        "sizing_p95_ratio": summary["sizing_diff_stats"]["p95"],
        "size_diff_p95_pct": summary["size_diff_stats"]["p95"],
        "slippage_p95_bps": summary["slippage_diff_bps"]["p95"],
        "matched": summary["coverage"]["matched"],
        "live_only": summary["coverage"]["live_only"],
        "unresolved": summary["coverage"]["unresolved"],
        "open_decisions": summary["open_decisions"],
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _version(summary: dict[str, Any]) -> str:
    totals = summary["totals"]
    return f"{summary['config_hash']}:{totals['decisions']}+{totals['live_only']}+{totals['revisions']}"
