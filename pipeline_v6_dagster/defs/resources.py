"""The one resource: settings and clock, handed to every asset, check, sensor and schedule.

What is read anew for each run (limits, logs) belongs here as a method; what a stage does with it does not.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.limits import Limits


@dataclass(frozen=True)
class Pipeline:
    """Where things are, and what time it is (epoch s)."""

    settings: Settings
    clock: Callable[[], float]

    def limits(self) -> Limits:
        """The limits as configured now.

        Raises:
            ConfigError: a configuration file cannot be used.
        """
        return load_configuration(self.settings.risk_limits, self.settings.pairs_universe).limits
