"""The rules that ops rely on, as asset checks on what was just written. None blocks: a run does its work first."""

from collections.abc import Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.diffs import diffs_checks
from pipeline_v6_dagster.defs.checks.shadow import shadow_checks
from pipeline_v6_dagster.defs.checks.summary import summary_checks


def checks(settings: Settings) -> Iterator[dg.AssetChecksDefinition]:
    """Every check."""
    yield from summary_checks()
    yield from diffs_checks()
    yield from shadow_checks(settings)
