"""Ticking sensors and schedules at a given time, as the daemon does, on an instance that is kept."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import update

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.schedules import schedules
from pipeline_v6_dagster.defs.sensors import sensors
from pipeline_v6_dagster_tests.homes import fixed

Outcome = dg.RunRequest | dg.SkipReason


@contextmanager
def quiet_instance(folder: Path, *, is_sharded: bool = False) -> Iterator[dg.DagsterInstance]:
    """An instance in `folder`, on SQLite: all events in one file, or sharded by run as Dagster's default is."""
    # To make the tables takes seconds: each instance begins as a copy of one that has them.
    shutil.copytree(_fresh_instance(is_sharded=is_sharded), folder)
    with dg.DagsterInstance.local_temp(str(folder), overrides=_overrides(folder, is_sharded)) as instance:
        yield instance


@cache
def _fresh_instance(*, is_sharded: bool) -> Path:
    """The folder of an instance that has its tables and nothing in them."""
    parent = Path(tempfile.mkdtemp(prefix="pipeline-v6-instance-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = parent / "instance"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), overrides=_overrides(folder, is_sharded)) as instance:
        instance.get_run_records(limit=1)
        instance.get_latest_materialization_event(dg.AssetKey("none"))
        instance.all_instigator_state()
    return folder


def _overrides(folder: Path, is_sharded: bool) -> dict[str, Any]:
    overrides: dict[str, Any] = {"telemetry": {"enabled": False}}
    if not is_sharded:
        overrides["event_log_storage"] = {
            "module": "dagster._core.storage.event_log",
            "class": "ConsolidatedSqliteEventLogStorage",
            "config": {"base_dir": str(folder / "events")},
        }
    return overrides


def make_run(
    instance: dg.DagsterInstance,
    job_name: str,
    created_ts: float,
    tags: dict[str, str] | None = None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
    parent_run_id: str | None = None,
) -> str:
    """A run that was asked for at `created_ts`, or that repeats its parent from then on; returns its id."""
    run = create_run_for_test(
        instance,
        job_name=job_name,
        tags=tags or {},
        status=status,
        parent_run_id=parent_run_id,
        root_run_id=parent_run_id,
    )
    backdate(instance, run.run_id, created_ts)
    return run.run_id


def backdate(instance: dg.DagsterInstance, run_id: str, created_ts: float) -> None:
    """Let a run have been asked for at `created_ts`."""
    storage = instance.run_storage
    storage = getattr(storage, "_storage", storage)
    assert isinstance(storage, SqlRunStorage)
    created = datetime.fromtimestamp(created_ts, UTC).replace(tzinfo=None)
    with storage.connect() as connection:
        connection.execute(
            update(RunsTable)
            .where(RunsTable.c.run_id == run_id)
            .values(create_timestamp=created, start_time=None, end_time=None)
        )


@dataclass
class Daemon:
    """What the daemon keeps between ticks: the cursor of each sensor. The runs that are asked for are made at once."""

    settings: Settings
    instance: dg.DagsterInstance
    cursors: dict[str, str | None] = field(default_factory=dict)

    def result(self, name: str, now: float) -> dg.SensorResult:
        """One tick of a sensor."""
        (sensor,) = (sensor for sensor in sensors(self.settings, fixed(now)) if sensor.name == name)
        result = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursors.get(name)))
        assert isinstance(result, dg.SensorResult)
        if result.cursor is not None:
            self.cursors[name] = result.cursor
        for request in result.run_requests or ():
            make_run(self.instance, sensor.job_name, now, dict(request.tags))
        return result

    def sensor(self, name: str, now: float) -> Outcome:
        """One tick of a sensor that starts runs: the one run, or why there is none."""
        result = self.result(name, now)
        outcomes: list[Outcome] = [*(result.run_requests or ())]
        if result.skip_reason is not None:
            assert isinstance(result.skip_reason, dg.SkipReason)
            outcomes.append(result.skip_reason)
        (outcome,) = outcomes
        return outcome

    def schedule(self, name: str, ts: float) -> Outcome:
        """One tick of a schedule."""
        (schedule,) = (schedule for schedule in schedules(self.settings) if schedule.name == name)
        context = dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=datetime.fromtimestamp(ts, UTC)
        )
        outcome = schedule(context)
        assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
        if isinstance(outcome, dg.RunRequest):
            make_run(self.instance, schedule.job_name, ts, dict(outcome.tags))
        return outcome


def is_run(outcome: Outcome) -> bool:
    return isinstance(outcome, dg.RunRequest)


def said(outcome: Outcome) -> str:
    """Why a tick asked for no run."""
    assert isinstance(outcome, dg.SkipReason)
    return str(outcome.skip_message)
