"""The one resource: settings and clock, handed to every asset, check, sensor and schedule.

What is read anew for each run (limits, logs) belongs here as a method; what a stage does with it does not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.limits import Limits

# A statement that takes longer is stuck; a run is over long before its connection is old.
_STATEMENT_MS = 60_000
_CONNECTION_S = 3600


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


def pipeline_resource(settings: Settings, clock: Callable[[], float]) -> dg.ResourceDefinition:
    """The resource as a run is given it. Of all that is ours in a run it comes first, so it keeps storage connected."""

    def make(context: dg.InitResourceContext) -> Iterator[Pipeline]:
        with nullcontext() if context.instance is None else _connected(context.instance):
            yield Pipeline(settings, clock)

    return dg.ResourceDefinition(make, description="Where things are, and what time it is.")


@contextmanager
def _connected(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep a connection to Dagster's storage while a run of ours lasts: without, each event and look-up opens its own.

    PostgreSQL: all of them share one, as those of the webserver do, hence the name that Dagster gives it. SQLite: each
    still has its own, but is not the last to be closed, at which SQLite moves the whole write-ahead log into the
    database (https://www.sqlite.org/wal.html).
    """
    instance.optimize_for_webserver(statement_timeout=_STATEMENT_MS, pool_recycle=_CONNECTION_S, max_overflow=1)
    storage = instance.event_log_storage
    if not isinstance(storage, ConsolidatedSqliteEventLogStorage):
        yield
        return
    with storage.index_connection() as connection:  # type: ignore[no-untyped-call]
        connection.exec_driver_sql("SELECT 1 FROM alembic_version").all()  # Until then no file is open.
        yield
