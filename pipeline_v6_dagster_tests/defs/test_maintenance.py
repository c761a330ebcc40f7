"""Pruning: what is old goes, with all that hangs on it; what is new, newest or in flight stays."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import func, select

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs.maintenance import prune
from pipeline_v6_dagster_tests.defs.ticking import backdate, make_run, quiet_instance
from pipeline_v6_dagster_tests.homes import fixed, simulated_home

DAY_S = 86_400.0


@pytest.fixture(params=[True, False], ids=["sharded", "consolidated"])
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    with quiet_instance(tmp_path / "dagster", is_sharded=request.param) as temporary:
        yield temporary


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return simulated_home(tmp_path / "home", seconds=600)[0]


def run(settings: Settings, instance: dg.DagsterInstance, job_name: str, now: float) -> str:
    """A run of a job that was asked for at `now`; returns its id."""
    result = build_defs(settings, fixed(now)).resolve_job_def(job_name).execute_in_process(instance=instance)
    backdate(instance, result.run_id, now)
    return result.run_id


def count(instance: dg.DagsterInstance, run_id: str) -> tuple[int, int]:
    """(events, check evaluations) of a run."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        found = [
            connection.execute(select(func.count()).select_from(table).where(table.c.run_id == run_id)).scalar_one()
            for table in (SqlEventLogStorageTable, AssetCheckExecutionsTable)
        ]
    return found[0], found[1]


@pytest.mark.slow
def test_an_old_run_goes_with_its_events_evaluations_logs_and_file(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    now = time.time()
    old = run(settings, instance, "compare_job", now - 20 * DAY_S)
    new = run(settings, instance, "compare_job", now - 10 * DAY_S)
    newest = make_run(instance, "compare_job", now)
    assert min(count(instance, old)) > 0
    assert [path for path in (tmp_path / "dagster").rglob(f"*{old}*")]

    deleted = prune(instance, now - 14 * DAY_S)

    assert deleted["runs"] == 1
    assert {record.run_id for record in instance.get_runs(dg.RunsFilter(job_name="compare_job"))} == {new, newest}
    assert count(instance, old) == (0, 0)
    assert not [path for path in (tmp_path / "dagster").rglob(f"*{old}*")]
    assert min(count(instance, new)) > 0
    assert instance.get_latest_materialization_event(dg.AssetKey("compare_summary")) is not None


def test_the_newest_run_of_a_job_and_what_is_in_flight_stay_however_old(instance: dg.DagsterInstance) -> None:
    now = time.time()
    in_flight = make_run(instance, "compare_job", now - 40 * DAY_S, status=dg.DagsterRunStatus.STARTED)
    old = make_run(instance, "compare_job", now - 30 * DAY_S)
    newest = make_run(instance, "compare_job", now - 20 * DAY_S)
    assert prune(instance, now - 14 * DAY_S)["runs"] == 1
    assert {run.run_id for run in instance.get_runs()} == {in_flight, newest}
    assert instance.get_run_by_id(old) is None


@pytest.mark.slow
def test_many_runs_are_pruned_across_pages(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_v6_dagster.defs.maintenance._BATCH_RUNS", 3)
    now = time.time()
    for number in range(10):
        make_run(instance, "compare_job", now - (30 - number) * DAY_S)
    assert prune(instance, now - 14 * DAY_S)["runs"] == 9
    assert prune(instance, now - 14 * DAY_S)["runs"] == 0


def test_old_observations_go_and_new_ones_stay(instance: dg.DagsterInstance) -> None:
    for number in range(3):
        instance.report_runless_asset_event(
            dg.AssetObservation("order_attempts", metadata={"n": number}, tags={"dagster/data_version": str(number)})
        )
    assert prune(instance, time.time() - 60)["observations"] == 0
    assert prune(instance, time.time() + 60)["observations"] == 3
    assert not instance.fetch_observations(dg.AssetKey("order_attempts"), limit=5).records


def test_the_job_prunes_by_the_retention_of_the_settings(settings: Settings, instance: dg.DagsterInstance) -> None:
    now = time.time()
    for age_days in (15, 13, 0):
        make_run(instance, "compare_job", now - age_days * DAY_S)
    job = build_defs(settings, fixed(now)).resolve_job_def("maintenance_job")
    result = job.execute_in_process(instance=instance)
    assert result.success
    assert len(instance.get_runs(dg.RunsFilter(job_name="compare_job"))) == 2
