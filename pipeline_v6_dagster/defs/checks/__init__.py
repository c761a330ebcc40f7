"""The rules that ops rely on, as asset checks on what was just written. None blocks: a run does its work first."""

from collections.abc import Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.defs.checks.diffs import diffs_checks
from pipeline_v6_dagster.defs.checks.finding import step_of
from pipeline_v6_dagster.defs.checks.shadow import executor_alive, log_integrity
from pipeline_v6_dagster.defs.checks.summary import summary_checks


def checks(settings: Settings) -> Iterator[dg.AssetChecksDefinition]:
    """Every check: one step a job. The worst comes first, so that no other keeps it from being told."""
    compared = [*summary_checks(), *diffs_checks()]
    if settings.shadow_source is ShadowSource.EXTERNAL:
        # A shadow log that the executor writes is not chained, and no asset of ours for a check to stand on.
        yield step_of("shadow_checks", [executor_alive()])
        yield step_of("compare_checks", [*compared, log_integrity("compare_diffs")])
    else:
        yield step_of("shadow_checks", [executor_alive(), log_integrity("shadow_log")])
        yield step_of("compare_checks", compared)
