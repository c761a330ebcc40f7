"""The jobs: two in the place of the heartbeat and the compare daemon, two that write reports."""

from collections.abc import Callable, Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.defs.dagster_internals import UnresolvedAssetJobDefinition
from pipeline_v6_dagster.defs.keys import COMPARE_JOB, REPLAY_JOB, REPORT_JOB, SHADOW_JOB, TRIED_AGAIN_WHOLE
from pipeline_v6_dagster.stages.outputs.comparison_checks import comparison_checks

# The checks that a run of each of these evaluates.
CHECKS_OF_JOB = {
    SHADOW_JOB: ("executor_alive",),
    COMPARE_JOB: (*comparison_checks(), "rollout_within_evidence"),
}


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The jobs of this module."""
    return dg.Definitions(jobs=list(_jobs(settings)))


def _jobs(settings: Settings) -> Iterator[UnresolvedAssetJobDefinition]:
    """`shadow_job` decides and refreshes the head, `compare_job` compares and summarises, with their checks.

    Neither selects its checks: the step evaluates those of its assets anyway, and Dagster plans none of them, which
    would be one more event for each, and would hide what it said last while the run goes on (ADR 15).

    `parity_report_job` writes the page. `replay_report_job` is launched by a person, who names a configuration.
    """
    is_made_here = settings.shadow_source is ShadowSource.INTERNAL
    shadow = ("shadow_log", "shadow_head") if is_made_here else ("shadow_head",)
    yield dg.define_asset_job(
        SHADOW_JOB,
        selection=dg.AssetSelection.assets(*shadow).without_checks(),
        tags=TRIED_AGAIN_WHOLE,
        description="Decide every new attempt and refresh the head: the heartbeat.",
    )
    yield dg.define_asset_job(
        COMPARE_JOB,
        selection=dg.AssetSelection.assets("compare_diffs", "compare_summary", "rollout_state").without_checks(),
        tags=TRIED_AGAIN_WHOLE,
        description="Compare what is settled, summarise, check the criteria, move the rollout down if they demand it.",
    )
    yield dg.define_asset_job(
        REPORT_JOB,
        selection=dg.AssetSelection.assets("parity_report"),
        tags=TRIED_AGAIN_WHOLE,
        description="Write the parity report: the verdict and its evidence on one page.",
    )
    yield dg.define_asset_job(
        REPLAY_JOB,
        selection=dg.AssetSelection.assets("replay_report"),
        tags=TRIED_AGAIN_WHOLE,
        description=(
            "The history again under another configuration. Say in the launchpad which: `config_dir` is a folder with"
            " risk_limits.json and pairs_universe.json; `from_time` and `to_time` bound the decisions that count."
        ),
    )
