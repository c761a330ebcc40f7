"""The shadow log and its head, with their checks."""

from collections.abc import Callable, Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.defs.checks.logs import executor_alive
from pipeline_v6_dagster.defs.checks.reporting import check_spec, report_checks
from pipeline_v6_dagster.defs.data_versions import made_under
from pipeline_v6_dagster.defs.freshness import with_freshness_policy
from pipeline_v6_dagster.defs.keys import OWNERS
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import table
from pipeline_v6_dagster.stages.rollout.downward import refresh_rollout
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.storage.chain import link_from

_GROUP = "shadow"

_LOG_DESCRIPTION = (
    "What v6 would have done with every order attempt: risk check, size, route. One line a decision, each once."
)

_LOG = dg.AssetSpec(
    "shadow_log",
    deps=[
        "order_attempts",
        "orders_executed",
        "order_metrics",
        "position_state",
        "risk_limits",
        "pairs_universe",
    ],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "jsonl"},
    tags={"written_by": "pipeline_v6"},
    description=_LOG_DESCRIPTION,
)
_HEAD = dg.AssetSpec(
    "shadow_head",
    deps=["shadow_log"],
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6"},
    description="The newest decisions in numbers. Refreshed at every heartbeat, also while the executor is silent.",
)
_REASON_COLUMNS = {"reason": "string", "denials": "int"}


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The assets of this group; the log is only declared where the executor writes it itself."""
    head = with_freshness_policy(_HEAD, settings.heartbeat_interval_s)
    alive = check_spec("executor_alive", "shadow_head")
    if settings.shadow_source is ShadowSource.INTERNAL:
        return dg.Definitions(assets=[_step([_LOG, head], [alive])])
    # A shadow log that the executor writes is not chained, and no asset of ours for a check to stand on.
    written_by_executor = dg.AssetSpec(
        "shadow_log",
        description=f"{_LOG_DESCRIPTION} Written by the executor.",
        group_name=_GROUP,
        owners=OWNERS,
        kinds={"jsonl"},
        tags={"written_by": "executor"},
        metadata={"path": dg.MetadataValue.path(settings.shadow_log)},
    )
    return dg.Definitions(assets=[written_by_executor, _step([head], [alive])])


def _step(specs: list[dg.AssetSpec], check_specs: list[dg.AssetCheckSpec]) -> dg.AssetsDefinition:
    """One step for the assets and their checks (ADR 15). Each can be asked for alone."""

    @dg.multi_asset(name=_GROUP, specs=specs, check_specs=check_specs, can_subset=True)
    def shadow(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult | dg.AssetCheckEvaluation]:
        # What was written is reported before the next part begins: a part or a check that fails takes nothing back.
        if _LOG.key in context.selected_asset_keys:
            yield _write_log(pipeline)
        if _HEAD.key in context.selected_asset_keys:
            yield _write_head(pipeline, context.run.run_id)
        yield from report_checks(
            context,
            pipeline,
            {
                dg.AssetCheckKey(_HEAD.key, "executor_alive"): lambda: executor_alive(pipeline),
            },
        )

    return shadow


def _write_log(pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """Decide every new attempt."""
    settings = pipeline.settings
    limits = pipeline.limits()
    run = run_shadow(settings, limits, pipeline.clock)
    reasons = [{"reason": str(reason), "denials": count} for reason, count in run.deny_reasons.most_common()]
    return dg.MaterializeResult(
        asset_key=_LOG.key,
        data_version=made_under(limits.config_hash),
        metadata={
            "path": dg.MetadataValue.path(settings.shadow_log),
            "decided": run.decided,
            "allowed": run.allowed,
            "denied": run.denied,
            "unusable_lines": run.rejected.total(),
            "cut_bytes": run.cut_bytes,
            "is_input_missing": run.is_log_missing,
            "is_offset_lost": run.is_offset_lost,
            "lost_bytes": run.lost_bytes,
            **({"deny_reasons": table(_REASON_COLUMNS, reasons)} if reasons else {}),
        },
    )


def _write_head(pipeline: Pipeline, run_id: str) -> dg.MaterializeResult[None]:
    """Refresh the head, and the executor's file of the rollout."""
    settings = pipeline.settings
    head = refresh_head(settings, pipeline.clock())
    refresh_rollout(settings, pipeline.clock(), host=pipeline.host, run_id=run_id)
    link = link_from(head.log["chain"] or "")
    reasons = [{"reason": reason, "denials": count} for reason, count in head.veto_reasons.items()]
    return dg.MaterializeResult(
        asset_key=_HEAD.key,
        data_version=made_under((head.last_decision or {}).get("config_hash")),
        metadata={
            "path": dg.MetadataValue.path(settings.shadow_head),
            **({"log_lines": link.number} if link is not None else {}),
            "newest_decisions": head.total,
            "allowed": head.allowed,
            "denied": head.vetoed,
            **({"deny_reasons": table(_REASON_COLUMNS, reasons)} if reasons else {}),
            **({"newest_decision": dg.MetadataValue.timestamp(head.window.last_ts)} if head.window.last_ts else {}),
        },
    )
