"""The shadow log and its head."""

from collections.abc import Sequence

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.defs.checks import shadow_checks
from pipeline_v6_dagster.defs.checks.finding import Look
from pipeline_v6_dagster.defs.freshness import with_freshness_policy
from pipeline_v6_dagster.defs.keys import OWNERS
from pipeline_v6_dagster.defs.step import Part, step_of
from pipeline_v6_dagster.logs.shadow_log import last_offset, open_shadow_log
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow

GROUP = "shadow"

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
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "jsonl"},
    tags={"written_by": "pipeline_v6"},
    description=_LOG_DESCRIPTION,
)
_HEAD = dg.AssetSpec(
    "shadow_head",
    deps=["shadow_log"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6"},
    description="The newest decisions in numbers. Refreshed at every heartbeat, also while the executor is silent.",
)


def shadow_assets(settings: Settings) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of this group with their checks; the log is only observed where the executor writes it itself."""
    head = Part(with_freshness_policy(_HEAD, settings.heartbeat_interval_s), _write_head)
    checks = shadow_checks(settings)
    if settings.shadow_source is ShadowSource.EXTERNAL:
        observed = dg.AssetSpec(
            "shadow_log",
            description=f"{_LOG_DESCRIPTION} Written by the executor.",
            group_name=GROUP,
            owners=OWNERS,
            kinds={"jsonl"},
            tags={"written_by": "executor"},
            metadata={"path": dg.MetadataValue.path(settings.shadow_log)},
        )
        return [observed, step_of(GROUP, [head], checks)]
    return [step_of(GROUP, [Part(_LOG, _write_log), head], checks)]


def _write_log(look: Look) -> dg.MaterializeResult[None]:
    """Decide every new attempt."""
    settings = look.settings
    run = run_shadow(settings, look.pipeline.limits(), look.pipeline.clock)
    position = last_offset(open_shadow_log(settings))
    reasons = [
        dg.TableRecord({"reason": str(reason), "denials": count}) for reason, count in run.deny_reasons.most_common()
    ]
    return dg.MaterializeResult(
        asset_key=_LOG.key,
        data_version=dg.DataVersion(position.digest if position is not None else "empty"),
        metadata={
            "path": dg.MetadataValue.path(settings.shadow_log),
            "dagster/row_count": run.decided,
            "decided": run.decided,
            "allowed": run.allowed,
            "denied": run.denied,
            "unusable_lines": run.rejected.total(),
            "cut_bytes": run.cut_bytes,
            "is_input_missing": run.is_log_missing,
            "is_offset_lost": run.is_offset_lost,
            "lost_bytes": run.lost_bytes,
            "deny_reasons": dg.MetadataValue.table(
                reasons,
                schema=dg.TableSchema([dg.TableColumn("reason", "string"), dg.TableColumn("denials", "int")]),
            ),
        },
    )


def _write_head(look: Look) -> dg.MaterializeResult[None]:
    """Refresh the head."""
    settings = look.settings
    head = refresh_head(settings, look.pipeline.clock())
    return dg.MaterializeResult(
        asset_key=_HEAD.key,
        data_version=dg.DataVersion(str(head.log["decision_id"])),
        metadata={
            "path": dg.MetadataValue.path(settings.shadow_head),
            "dagster/row_count": head.total,
            "total": head.total,
            "allowed": head.allowed,
            "vetoed": head.vetoed,
            "veto_reasons": dg.MetadataValue.json(head.veto_reasons),
            **({"newest_decision": dg.MetadataValue.timestamp(head.window.last_ts)} if head.window.last_ts else {}),
        },
    )
