"""The state of the rollout, which the executor polls: its asset and its check, parts of the compare step (ADR 15)."""

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.reporting import check_spec
from pipeline_v6_dagster.defs.checks.rollout import NAME, rollout_within_evidence
from pipeline_v6_dagster.defs.freshness import with_freshness_policy
from pipeline_v6_dagster.defs.keys import OWNERS
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.rollout.moves import RolloutEvidence
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext, Evaluation
from pipeline_v6_dagster.stages.rollout.act import COMPARE
from pipeline_v6_dagster.stages.rollout.downward import follow_evidence
from pipeline_v6_dagster.stages.rollout.evidence import NO_EVIDENCE, gate_evidence
from pipeline_v6_dagster.stages.rollout.state import is_known
from pipeline_v6_dagster.stages.rollout.status import RolloutReport, read_rollout_status

STATE_KEY = dg.AssetKey("rollout_state")
CHECK_KEY = dg.AssetCheckKey(STATE_KEY, NAME)

_STATE = dg.AssetSpec(
    STATE_KEY,
    deps=["compare_summary"],
    group_name="rollout",
    owners=OWNERS,
    kinds={"python", "json"},
    tags={"written_by": "pipeline_v6"},
    description=(
        "What v6 may do, as the executor polls it: state, stage, symbols, share, trading state. Moves down by itself"
        " when the evidence demands it, and up only by pipeline-v6 rollout approve. Refreshed at every heartbeat."
    ),
)


def state_spec(settings: Settings) -> dg.AssetSpec:
    """`rollout_state`."""
    return with_freshness_policy(_STATE, settings.compare_interval_s)


def state_check_spec() -> dg.AssetCheckSpec:
    """`rollout_within_evidence`."""
    return check_spec(NAME, "rollout_state")


def follow_rollout(
    context: dg.AssetExecutionContext, pipeline: Pipeline, comparison: CheckContext
) -> dg.MaterializeResult[None]:
    """Move the rollout down where the evidence demands it, and refresh the file."""
    settings, now = pipeline.settings, pipeline.clock()
    evidence = _evidence(settings, comparison, now)
    follow_evidence(settings, evidence, now, COMPARE, host=pipeline.host, run_id=context.run.run_id)
    return _materialization(settings, read_rollout_status(settings, now, evidence))


def check_rollout(pipeline: Pipeline, comparison: CheckContext) -> Evaluation:
    """What the check says."""
    settings, now = pipeline.settings, pipeline.clock()
    return rollout_within_evidence(read_rollout_status(settings, now, _evidence(settings, comparison, now)))


def _evidence(settings: Settings, comparison: CheckContext, now: float) -> RolloutEvidence:
    return gate_evidence(settings, comparison.gate, now) if is_known(settings) else NO_EVIDENCE


def _materialization(settings: Settings, report: RolloutReport) -> dg.MaterializeResult[None]:
    step = report.next_step
    return dg.MaterializeResult(
        asset_key=STATE_KEY,
        data_version=dg.DataVersion(str(report.sequence)),
        metadata={
            "path": dg.MetadataValue.path(settings.rollout_state),
            "state": report.state.value,
            "trading_state": report.trading_state.value,
            "notional_share": report.notional_share,
            **({"stage": report.stage} if report.stage else {}),
            **({"symbols": ", ".join(report.symbols)} if report.symbols else {}),
            **({"since": dg.MetadataValue.timestamp(report.since_ts)} if report.since_ts else {}),
            **({"reason": f"{report.reason} (by {report.by})"} if report.reason else {}),
            **({"valid_until": dg.MetadataValue.timestamp(report.valid_until)} if report.valid_until else {}),
            **({"next_step": step.step} if step is not None else {}),
            **({"next_step_needs": "; ".join(step.needs)} if step is not None and step.needs else {}),
        },
    )
