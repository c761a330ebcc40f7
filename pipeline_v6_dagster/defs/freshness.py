"""Until when a file of ours counts as fresh. It sees when the file was written, not how old the data in it is."""

from datetime import timedelta

import dagster as dg

from pipeline_v6_dagster.stages.outputs.status import STALE_AFTER_INTERVALS

# Dagster accepts no shorter window.
_SHORTEST_S = 60.0


def with_freshness_policy(spec: dg.AssetSpec, interval_s: float) -> dg.AssetSpec:
    """The asset, stale when `pipeline-v6 status` calls its file so, with a warning one interval before."""
    fail = timedelta(seconds=max(_SHORTEST_S, STALE_AFTER_INTERVALS * interval_s))
    warn = timedelta(seconds=(STALE_AFTER_INTERVALS - 1) * interval_s)
    policy = dg.FreshnessPolicy.time_window(
        fail_window=fail, warn_window=warn if _SHORTEST_S <= warn.total_seconds() < fail.total_seconds() else None
    )
    return spec.replace_attributes(freshness_policy=policy)
