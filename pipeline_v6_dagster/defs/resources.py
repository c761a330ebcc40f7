"""The one resource: settings and clock, handed to every asset and check.

What is read for each run (limits, logs) belongs here as a method; what a stage does with it does not. It is no
`ConfigurableResource`: the UI shows the fields of one, and the settings hold alert URLs with their passwords.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import dagster as dg

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.dagster_internals import kept_connected
from pipeline_v6_dagster.defs.keys import JOBS_OF_THE_FLEET, executor_of_run
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.domain.limits import Limits


@dataclass(frozen=True)
class Pipeline:
    """Where things are, what time it is (epoch s), and on which machine, as alerts name it."""

    settings: Settings
    clock: Callable[[], float]
    host: str

    def limits(self) -> Limits:
        """The limits as configured at this moment.

        Raises:
            ConfigError: a configuration file cannot be used.
        """
        return load_configuration(self.settings.risk_limits, self.settings.pairs_universe).limits


def pipeline_resource(settings: Settings, clock: Callable[[], float]) -> dg.ResourceDefinition:
    """The resource as a run is given it. Of all that is ours in a run it comes first, so it keeps storage connected."""

    def make(context: dg.InitResourceContext) -> Iterator[Pipeline]:
        own = settings if settings.fleet_file is None else settings_of_run(settings, context.run)
        with nullcontext() if context.instance is None else kept_connected(context.instance):
            yield Pipeline(own, clock, socket.gethostname())

    return dg.ResourceDefinition(make, description="Where things are, and what time it is.")


def settings_of_run(base: Settings, run: dg.DagsterRun | None) -> Settings:
    """The settings of the executor that a run of a fleet is about, as the fleet file says at this moment.

    Raises:
        ConfigError: the fleet file cannot be used, or it lists no such executor.
    """
    name = None if run is None else executor_of_run(run.tags)
    if name is not None:
        return load_fleet(base).executor(name).settings
    if run is not None and run.job_name not in JOBS_OF_THE_FLEET:
        problem = "names no executor; launch it for one or more partitions, one run for each"
        raise ConfigError([Problem(f"run of {run.job_name}", "", "", problem)])
    return base
