"""The rules that ops rely on, as asset checks on what was just written."""

from typing import Any

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.assets.compare import upsize_table
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.stages.compare import open_compare_log
from pipeline_v6_dagster.stages.compare_log import newest_summary


@dg.asset_check(
    asset="compare_summary",
    description="There are enough samples to judge. Until then the summary is informational: flip no flag on it.",
)
def warmup(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Warns while the sample is too small."""
    summary = _summary(pipeline.settings)
    is_warm = not summary["is_warmup"]
    needed = summary["min_sample_size"]
    return dg.AssetCheckResult(
        passed=is_warm,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{summary['sample_size']} of at least {needed} decisions compared",
        metadata={"sample_size": summary["sample_size"], "min_sample_size": needed},
    )


@dg.asset_check(
    asset="compare_summary",
    description=(
        "Live placed no order larger than asked for, beyond the tolerance and one lot step. If it fails: stop the"
        " executor, look at the orders in the table, and do not flip v6 on."
    ),
)
def no_upsizes(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Fails where an order was upsized: a warning during warmup, an error after."""
    summary = _summary(pipeline.settings)
    count = summary["sizing_diff_stats"]["upsize_count"]
    severity = dg.AssetCheckSeverity.WARN if summary["is_warmup"] else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=count == 0,
        severity=severity,
        description=_offenders(summary) if count else "no order was placed larger than asked for",
        metadata={"upsize_count": count, "upsizes": upsize_table(summary)},
    )


def _summary(settings: Settings) -> dict[str, Any]:
    summary = newest_summary(open_compare_log(settings))
    if summary is None:
        raise DataError(f"{settings.compare_diffs}: holds no summary yet; materialize compare_diffs")
    return summary


def _offenders(summary: dict[str, Any]) -> str:
    named = ", ".join(
        f"{upsize['symbol']} {upsize['intent_id'] or upsize['decision_id']} x{upsize['ratio']:.2f}"
        for upsize in summary["upsizes"]
    )
    return f"{summary['sizing_diff_stats']['upsize_count']} orders placed larger than asked for; newest: {named}"
