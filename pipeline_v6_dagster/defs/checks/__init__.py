"""The rules that ops rely on, as asset checks on what was just written. None blocks: a run does its work first."""

from collections.abc import Sequence

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.defs.checks.diffs import diffs_checks
from pipeline_v6_dagster.defs.checks.finding import Check
from pipeline_v6_dagster.defs.checks.shadow import executor_alive, log_integrity
from pipeline_v6_dagster.defs.checks.summary import summary_checks


def shadow_checks(settings: Settings) -> Sequence[Check]:
    """Those of `shadow_job`."""
    if settings.shadow_source is ShadowSource.EXTERNAL:
        # A shadow log that the executor writes is not chained, and no asset of ours for a check to stand on.
        return [executor_alive()]
    return [executor_alive(), log_integrity("shadow_log")]


def compare_checks(settings: Settings) -> Sequence[Check]:
    """Those of `compare_job`. The worst comes first, so that no other keeps it from being told."""
    compared = [*summary_checks(), *diffs_checks()]
    if settings.shadow_source is ShadowSource.EXTERNAL:
        return [*compared, log_integrity("compare_diffs")]
    return compared
