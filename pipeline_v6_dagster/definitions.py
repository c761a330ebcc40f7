"""The project as Dagster sees it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.defs.assets.compare import compare_assets
from pipeline_v6_dagster.defs.assets.report import parity_report, replay_report
from pipeline_v6_dagster.defs.assets.shadow import shadow_assets
from pipeline_v6_dagster.defs.assets.sources import source_assets
from pipeline_v6_dagster.defs.jobs import jobs
from pipeline_v6_dagster.defs.resources import pipeline_resource
from pipeline_v6_dagster.defs.schedules import schedules
from pipeline_v6_dagster.defs.sensors import sensors


def build_defs(settings: Settings, clock: Callable[[], float] = time.time) -> dg.Definitions:
    """Fresh definitions for `settings`, so that a test can have its own, with a clock of its own."""
    return dg.Definitions(
        assets=[
            *source_assets(settings),
            *shadow_assets(settings),
            compare_assets(settings),
            parity_report,
            replay_report,
        ],
        jobs=list(jobs(settings)),
        sensors=list(sensors(settings, clock)),
        schedules=list(schedules(settings)),
        resources={"pipeline": pipeline_resource(settings, clock)},
        # A run takes a second of work: a process for each step would cost several times that.
        executor=dg.in_process_executor,
    )


defs = build_defs(load_settings(os.environ, Path.cwd()))
