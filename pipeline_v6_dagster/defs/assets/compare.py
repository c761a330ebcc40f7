"""The compare diffs and their summary, with their checks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import dagster as dg
import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.assets.rollout import (
    CHECK_KEY,
    STATE_KEY,
    check_rollout,
    follow_rollout,
    state_check_spec,
    state_spec,
)
from pipeline_v6_dagster.defs.checks.logs import verified_by_last_run
from pipeline_v6_dagster.defs.checks.reporting import check_spec, report_checks
from pipeline_v6_dagster.defs.data_versions import made_under
from pipeline_v6_dagster.defs.fleet.reporting import report_status
from pipeline_v6_dagster.defs.freshness import with_freshness_policy
from pipeline_v6_dagster.defs.keys import OWNERS, STATUS_TAG, VERDICT_TAG
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.domain.comparison import MismatchKind
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.logs.chain_follower import ChainFollower
from pipeline_v6_dagster.logs.compare_log import open_compare_log
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.compare.summary import write_summary
from pipeline_v6_dagster.stages.outputs.comparison_checks import comparison_checks
from pipeline_v6_dagster.stages.outputs.evaluation import MAX_ROWS, CheckContext, Evaluation
from pipeline_v6_dagster.stages.outputs.links import report_url
from pipeline_v6_dagster.stages.outputs.rows import (
    CRITERIA_COLUMNS,
    DIFF_COLUMNS,
    FAILING_ORDER_COLUMNS,
    SLICE_COLUMNS,
    UPSIZE_COLUMNS,
    criteria_rows,
    diff_row,
    failing_order_rows,
    make_alert_order,
    slice_rows,
    slices_as_markdown,
    upsize_rows,
)
from pipeline_v6_dagster.stages.rollout.act import COMPARE
from pipeline_v6_dagster.stages.rollout.downward import roll_back_if_critical

_GROUP = "compare"

_DIFFS = dg.AssetSpec(
    "compare_diffs",
    deps=["shadow_log", "orders_executed", "risk_vetoes", "risk_limits", "pairs_universe"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "jsonl"},
    tags={"written_by": "pipeline_v6"},
    description="Every settled decision beside what the live executor did, each once, with what differs.",
)
_SUMMARY = dg.AssetSpec(
    "compare_summary",
    deps=["compare_diffs"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6"},
    description=(
        "What the newest diffs add up to: status, verdict, statistics. Red means that live placed orders larger"
        " than asked for, or sizes far from v6's: do not flip v6 on, look at the upsizes below."
    ),
)
_FIGURE_DIGITS = 4
_AGREED = (MismatchKind.MATCH, MismatchKind.MATCH_VETO)


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The assets of this group. Their one step (ADR 15) can be asked for each of them and for each check alone."""
    checks = comparison_checks()
    check_specs = [check_spec(name, check.asset, check.description) for name, check in checks.items()]

    @dg.multi_asset(
        name=_GROUP,
        specs=[_DIFFS, with_freshness_policy(_SUMMARY, settings.compare_interval_s), state_spec(settings)],
        check_specs=[*check_specs, state_check_spec()],
        can_subset=True,
    )
    def compare(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult | dg.AssetCheckEvaluation]:
        # What was written is reported before the next part begins: a part or a check that fails takes nothing back.
        if _DIFFS.key in context.selected_asset_keys:
            yield _write_diffs(pipeline)
        settings = pipeline.settings
        chains = ChainFollower(pipeline.clock, verified_by_last_run(context.instance, settings.executor))
        evidence = CheckContext(settings, pipeline.clock(), chains)
        if _SUMMARY.key in context.selected_asset_keys:
            yield _write_summary(context, pipeline, evidence)
        if STATE_KEY in context.selected_asset_keys:
            yield follow_rollout(context, pipeline, evidence)
        evaluations: dict[dg.AssetCheckKey, Callable[[], Evaluation]] = {
            dg.AssetCheckKey(dg.AssetKey(check.asset), name): partial(check.evaluate, evidence)
            for name, check in checks.items()
        }
        intact = dg.AssetCheckKey(_SUMMARY.key, "logs_intact")
        evaluations[intact] = lambda: _remember(checks["logs_intact"].evaluate(evidence), chains)
        evaluations[CHECK_KEY] = lambda: check_rollout(pipeline, evidence)
        yield from report_checks(context, pipeline, evaluations)
        report_status(context, pipeline, evidence)

    return dg.Definitions(assets=[compare])


def _remember(evaluation: Evaluation, chains: ChainFollower) -> Evaluation:
    """With what the next run goes on from."""
    return replace(evaluation, remembered={} if chains.verified is None else msgspec.to_builtins(chains.verified))


def _write_diffs(pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """Settle, pair and append what is new."""
    settings = pipeline.settings
    run = run_compare(settings, pipeline.limits(), pipeline.clock)
    # Before anything else is read or checked: a rollback waits for nothing.
    roll_back_if_critical(settings, pipeline.clock(), COMPARE)
    totals = run.summary.totals
    kinds = [{"mismatch_kind": str(kind), "diffs": count} for kind, count in run.mismatch_kinds.most_common()]
    return dg.MaterializeResult(
        asset_key=_DIFFS.key,
        data_version=made_under(run.summary.config_hash),
        metadata={
            "path": dg.MetadataValue.path(settings.compare_diffs),
            "dagster/row_count": totals.decisions + totals.live_only + totals.revisions,
            "new_diffs": run.diff_count,
            "open_decisions": run.open_decisions,
            "waits_for_shadow": run.waits_for_shadow,
            "cut_bytes": run.cut_bytes,
            **({"mismatch_kinds": table({"mismatch_kind": "string", "diffs": "int"}, kinds)} if kinds else {}),
            "missing_inputs": dg.MetadataValue.json([str(path) for path in run.missing]),
        },
    )


def _write_summary(
    context: dg.AssetExecutionContext, pipeline: Pipeline, evidence: CheckContext
) -> dg.MaterializeResult[None]:
    """Write the newest summary to its file, and tag the run with what it says."""
    settings = pipeline.settings
    summary = write_summary(settings, open_compare_log(settings))
    # Else the runs list is all green while the desk is red.
    context.instance.add_run_tags(
        context.run.run_id, {STATUS_TAG: summary.status.value, VERDICT_TAG: summary.verdict.value}
    )
    page = report_url(settings)
    return dg.MaterializeResult(
        asset_key=_SUMMARY.key,
        data_version=made_under(summary.config_hash),
        metadata={
            "path": dg.MetadataValue.path(settings.compare_summary),
            "status": summary.status.value,
            "verdict": summary.verdict.value,
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in summary.verdict_reasons)),
            **({"parity_report": dg.MetadataValue.url(page)} if page else {}),
            **_tables(evidence, summary),
            **({"by_symbol": _by_symbol(settings, summary)} if summary.by_symbol else {}),
            **_figures(summary),
        },
    )


def _tables(evidence: CheckContext, summary: Summary) -> dict[str, dg.TableMetadataValue]:
    """What there is to see; an empty table would be kept for weeks for nothing.

    The failing orders stand here as well, because a run that is planned hides what its checks said last.
    """
    window = evidence.window
    upsizes = islice((diff for diff in window if diff.is_upsize), MAX_ROWS)
    mismatches = islice((diff for diff in window if diff.mismatch_kind not in _AGREED), MAX_ROWS)
    # What holds stands in its check, in the file and in the report.
    unmet = [each for each in summary.criteria if each.state is not CriterionState.HOLDS]
    upsized = upsize_rows(map(make_alert_order, upsizes))
    tables = {
        "criteria": (CRITERIA_COLUMNS, criteria_rows(unmet)),
        "upsizes": (UPSIZE_COLUMNS, upsized),
        "failing_orders": (FAILING_ORDER_COLUMNS, failing_order_rows(summary.criteria, window, upsized)[:MAX_ROWS]),
        "mismatches": (DIFF_COLUMNS, [diff_row(diff) for diff in mismatches]),
    }
    return {name: table(columns, rows) for name, (columns, rows) in tables.items() if rows}


def _by_symbol(settings: Settings, summary: Summary) -> dg.TableMetadataValue | dg.MarkdownMetadataValue:
    """The window by symbol. The cells of a table cannot link, so where the report is served it is markdown."""
    rows = slice_rows(summary)
    if not settings.reports_url:
        return table(SLICE_COLUMNS, rows)
    return dg.MetadataValue.md(slices_as_markdown(rows, lambda symbol: str(report_url(settings, symbol))))


def _figures(summary: Summary) -> dict[str, float | int]:
    """Numbers that the UI plots over time. What was not measured is left out: a plot cannot show null."""
    figures = {
        "sample_size": summary.sample_size,
        "veto_mismatch_pct": summary.veto_mismatch_pct,
        "upsize_count": summary.sizing_diff_stats.upsize_count,
        "sizing_p95_ratio": summary.sizing_diff_stats.p95,
        "size_diff_p95_pct": summary.size_diff_stats.p95,
        "slippage_p95_bps": summary.slippage_diff_bps.p95,
        "matched": summary.coverage.matched,
        "live_only": summary.coverage.live_only,
        "unresolved": summary.coverage.unresolved,
        "open_decisions": summary.open_decisions,
    }
    return {name: round(figure, _FIGURE_DIGITS) for name, figure in figures.items() if figure is not None}
