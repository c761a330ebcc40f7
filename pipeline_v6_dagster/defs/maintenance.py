"""Pruning: what Dagster keeps of runs, observations and ticks does not grow for ever.

Our logs are not touched. Dagster's own retention covers ticks alone, and deleting a run leaves its check evaluations
and, on SQLite, its file behind. So this module, and no other, speaks with the storages below the instance; its tests
hold what it relies on.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import delete, select

from pipeline_v6_dagster.defs.keys import MAINTENANCE_JOB
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.run_slots import IN_FLIGHT

_DAY_S = 86_400.0
_BATCH_RUNS = 200
# How Dagster marks an event that belongs to no run.
_RUNLESS = ""


def prune(instance: dg.DagsterInstance, before_ts: float) -> dict[str, int]:
    """Delete what is older than `before_ts` (epoch s); returns how many of each were deleted.

    The newest run of each job stays, and what is in flight.
    """
    runs = 0
    for run_id in list(_old_runs(instance, before_ts)):
        _delete_run(instance, run_id)
        runs += 1
    return {"runs": runs, **_delete_rows(instance, before_ts), "instigators": _purge_ticks(instance, before_ts)}


def _old_runs(instance: dg.DagsterInstance, before_ts: float) -> Iterator[str]:
    before = datetime.fromtimestamp(before_ts, UTC)
    cursor: str | None = None
    seen: set[str] = set()
    newest = {
        record.dagster_run.run_id
        for name in {run.job_name for run in instance.get_runs(dg.RunsFilter(created_before=before))}
        for record in instance.get_run_records(dg.RunsFilter(job_name=name), limit=1)
    }
    while True:
        records = instance.get_run_records(dg.RunsFilter(created_before=before), limit=_BATCH_RUNS, cursor=cursor)
        for record in records:
            run = record.dagster_run
            if run.run_id not in newest and run.run_id not in seen and run.status not in IN_FLIGHT:
                seen.add(run.run_id)
                yield run.run_id
        if len(records) < _BATCH_RUNS:
            return
        cursor = records[-1].dagster_run.run_id


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    storage = instance.event_log_storage
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(delete(AssetCheckExecutionsTable).where(AssetCheckExecutionsTable.c.run_id == run_id))
    if isinstance(storage, SqliteEventLogStorage):
        shard = Path(storage.path_for_shard(run_id))
        for file in (shard, shard.with_name(f"{shard.name}-wal"), shard.with_name(f"{shard.name}-shm")):
            file.unlink(missing_ok=True)


def _delete_rows(instance: dg.DagsterInstance, before_ts: float) -> dict[str, int]:
    """Observations, which belong to no run, with their tags."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return {"observations": 0}
    events, tags = SqlEventLogStorageTable, AssetEventTagsTable
    old = (
        (events.c.run_id == _RUNLESS)
        & (events.c.dagster_event_type == dg.DagsterEventType.ASSET_OBSERVATION.value)
        & (events.c.timestamp < datetime.fromtimestamp(before_ts, UTC).replace(tzinfo=None))
    )
    with storage.index_connection() as connection:
        connection.execute(delete(tags).where(tags.c.event_id.in_(select(events.c.id).where(old))))
        return {"observations": connection.execute(delete(events).where(old)).rowcount}


def _purge_ticks(instance: dg.DagsterInstance, before_ts: float) -> int:
    if instance.schedule_storage is None:  # An instance in memory keeps no ticks.
        return 0
    states = instance.all_instigator_state()
    for state in states:
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, before_ts)
    return len(states)


@dg.op(name="prune", description="Delete runs, their events and logs, observations and ticks that are too old.")
def _prune(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    days = pipeline.settings.retention_days
    deleted = prune(context.instance, pipeline.clock() - days * _DAY_S)
    context.log.info(f"older than {days:g} days: {deleted['runs']} runs, {deleted['observations']} observations")
    context.add_output_metadata({**deleted, "retention_days": days})


@dg.job(
    name=MAINTENANCE_JOB,
    description="Prune runs, events, observations and ticks older than the retention from Dagster's storage.",
)
def maintenance_job() -> None:
    """One step."""
    _prune()
