"""The run coordinator of a fleet: a run that names an executor goes to the queue of its host, whoever launches it.

The sensors and schedules tag their runs themselves. A run that a person launches, and each run of a backfill, carries
its partition alone.
"""

import logging
import os
from pathlib import Path

import dagster as dg

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.defs.dagster_internals import QueuedRunCoordinator, SubmitRunContext
from pipeline_v6_dagster.defs.fleet.requests import executor_tags
from pipeline_v6_dagster.defs.keys import QUEUE_TAG, executor_of_run
from pipeline_v6_dagster.domain.errors import PipelineError

_logger = logging.getLogger("dagster.pipeline_v6")


class ExecutorRunCoordinator(QueuedRunCoordinator[dg.DagsterInstance]):
    """Dagster's queue of runs, of which each has the tags of its executor. `dagster.yaml` names it."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag the run, and queue it.

        Where the fleet file cannot be used the run stays without a tag: it fails by itself and says why.
        """
        run = context.dagster_run
        name = executor_of_run(run.tags)
        if name is not None and QUEUE_TAG not in run.tags:
            try:
                executor = load_fleet(load_settings(os.environ, Path.cwd())).executor(name)
            except PipelineError as error:
                _logger.warning("run %s of %s goes to no queue of a host: %s", run.run_id, name, error)
            else:
                self._instance.add_run_tags(run.run_id, executor_tags(executor))
        return super().submit_run(context)
