"""Every use of a part of Dagster that is not public, each because no public one does it.

`dagster~=1.13` is pinned, and tests/defs/test_dagster_internals.py shows for each of them what is relied on. No other
module of the project imports from `dagster._core` or calls a storage below the instance.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,  # What `define_asset_job` returns.
)
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events import JobFailureData
from dagster._core.run_coordinator import QueuedRunCoordinator as QueuedRunCoordinator  # What a fleet extends.
from dagster._core.run_coordinator import SubmitRunContext as SubmitRunContext
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._utils.warnings import disable_dagster_warnings
from dagster_shared.record import replace
from sqlalchemy import delete, select

# Evaluations that are looked through for one that has ended: the newest is planned while its run goes on.
_PAGE = 50
# A statement that takes longer is stuck; a run is over long before its connection is old.
_STATEMENT_MS = 60_000
_CONNECTION_S = 3600
# How Dagster marks an event that belongs to no run.
_RUNLESS = ""
_WILL_RETRY_TAG = "dagster/will_retry"
_LAUNCHER_TAGS = ("dagster/sensor_name", "dagster/schedule_name", "dagster/parent_run_id")


def latest_evaluation(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, partition: str | None = None
) -> dg.AssetCheckEvaluation | None:
    """What a check said last; None if it has not said anything lately. A check that is planned has said nothing.

    `partition`: the executor that it said it about, if there is a fleet.
    """
    of_partition = None if partition is None else PartitionKeyFilter(key=partition)
    history = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=_PAGE, partition_filter=of_partition
    )
    planned = AssetCheckExecutionRecordStatus.PLANNED
    return next((record.evaluation for record in history if record.status is not planned), None)


def with_partitions(asset: dg.AssetsDefinition, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The assets and checks of a step with these partitions. Partitions of checks are in preview."""
    attributes = asset.get_attributes_dict()
    checks = attributes["check_specs_by_output_name"]
    attributes["specs"] = [spec.replace_attributes(partitions_def=partitions) for spec in attributes["specs"]]
    with disable_dagster_warnings():
        attributes["check_specs_by_output_name"] = {
            output: replace(spec, partitions_def=partitions) for output, spec in checks.items()
        }
        return dg.AssetsDefinition.dagster_internal_init(**attributes)


def latest_observations(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.AssetObservation]:
    """The newest observation of each partition of an asset, in two queries however many partitions there are."""
    newest = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_OBSERVATION)
    if not newest:
        return
    of_these = dg.AssetRecordsFilter(key, storage_ids=list(newest.values()))
    for record in instance.fetch_observations(of_these, limit=len(newest)).records:
        if record.asset_observation is not None:
            yield record.asset_observation


def without_output(context: dg.AssetExecutionContext, result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """What Dagster stores of a check result, without the output of the step that it makes of one as well.

    The result then names the materialization that it is about, as one that is yielded does. Only for a check that the
    run does not select: Dagster logs that a selected one has no output.
    """
    return result.to_asset_check_evaluation(context.get_step_execution_context())


def silent_checks(instance: dg.DagsterInstance, run_id: str, evaluated: Iterable[str] = ()) -> list[str]:
    """The names of the checks that a run planned and never evaluated.

    `evaluated` are those that a run evaluates where it planned none, because it selected assets alone.
    """
    planned, spoken = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, dg.DagsterEventType.ASSET_CHECK_EVALUATION
    names: dict[dg.DagsterEventType, set[dg.AssetCheckKey]] = {planned: set(), spoken: set()}
    for entry in instance.all_logs(run_id, of_type={planned, spoken}):
        event = entry.dagster_event
        if event is not None and event.event_type is planned:
            names[planned].add(event.asset_check_planned_data.asset_check_key)
        elif event is not None:
            names[spoken].add(event.asset_check_evaluation_data.asset_check_key)
    due = {key.name for key in names[planned]} or set(evaluated)
    return sorted(due - {key.name for key in names[spoken]})


def errors_of_run(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Each failed step with its error, or why the run failed without a failed step; nothing if nobody said."""
    failures = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is not None and event.step_key is not None:
            error = event.step_failure_data.error
            # Dagster wraps what a step raised in an error of its own; what caused that in turn says less.
            error = error.cause if error is not None and error.cause is not None else error
            failures.append(f"{event.step_key}: {error.message if error is not None else entry.message}")
    if failures:
        return failures
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return [_failure_text(entry) for entry in entries][-1:]


def _failure_text(entry: dg.EventLogEntry) -> str:
    """Why a run failed outside of a step: the first cause, as where its executor is not listed any more."""
    event = entry.dagster_event
    data = None if event is None else event.event_specific_data
    error = data.error if isinstance(data, JobFailureData) else None
    if error is None:
        return entry.message
    while error.cause is not None:
        error = error.cause
    return error.message


def will_be_retried(run: dg.DagsterRun) -> bool:
    """Whether Dagster starts the failed run again by itself."""
    return run.tags.get(_WILL_RETRY_TAG) == "true"


def is_launched_by_a_person(run: dg.DagsterRun) -> bool:
    """Whether neither a sensor nor a schedule nor a retry started the run."""
    return not any(tag in run.tags for tag in _LAUNCHER_TAGS)


@contextmanager
def kept_connected(instance: dg.DagsterInstance) -> Iterator[None]:
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


def is_schedule_on(instance: dg.DagsterInstance, schedule_name: str) -> bool:
    """Whether the schedule is switched on."""
    if instance.schedule_storage is None:  # An instance in memory has no switches.
        return False
    states = instance.all_instigator_state()
    return any(state.is_running and state.instigator_name == schedule_name for state in states)


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with all that Dagster's own deletion leaves: its check evaluations, its logs, its SQLite file."""
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


def delete_observations(instance: dg.DagsterInstance, before_ts: float) -> int:
    """Delete observations that belong to no run and are older than `before_ts` (epoch s), with their tags."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    events, tags = SqlEventLogStorageTable, AssetEventTagsTable
    old = (
        (events.c.run_id == _RUNLESS)
        & (events.c.dagster_event_type == dg.DagsterEventType.ASSET_OBSERVATION.value)
        & (events.c.timestamp < datetime.fromtimestamp(before_ts, UTC).replace(tzinfo=None))
    )
    with storage.index_connection() as connection:
        connection.execute(delete(tags).where(tags.c.event_id.in_(select(events.c.id).where(old))))
        return connection.execute(delete(events).where(old)).rowcount


def purge_ticks(instance: dg.DagsterInstance, before_ts: float) -> int:
    """Delete the ticks before `before_ts` (epoch s); returns of how many sensors and schedules."""
    if instance.schedule_storage is None:  # An instance in memory keeps no ticks.
        return 0
    states = instance.all_instigator_state()
    for state in states:
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, before_ts)
    return len(states)
