"""The project as Dagster sees it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

import pipeline_v6_dagster.defs
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.defs.fleet.partitions import partition_by_executor
from pipeline_v6_dagster.defs.loading import load_package
from pipeline_v6_dagster.defs.resources import pipeline_resource


def build_defs(settings: Settings, clock: Callable[[], float] = time.time) -> dg.Definitions:
    """Definitions for `settings` of all that the folder `defs` holds, so that a test can have its own, and a clock.

    Where the settings name a fleet, everything has a partition per executor.
    """
    found = load_package(pipeline_v6_dagster.defs, settings, clock)
    return dg.Definitions.merge(
        found if settings.fleet_file is None else partition_by_executor(found, settings),
        dg.Definitions(
            resources={"pipeline": pipeline_resource(settings, clock)},
            # A run takes a second of work: a process for each step would cost several times that.
            executor=dg.in_process_executor,
        ),
    )


defs = build_defs(load_settings(os.environ, Path.cwd()))
