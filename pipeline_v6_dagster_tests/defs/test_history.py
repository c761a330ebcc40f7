"""The history as an asset: filled by its job, kept small by maintenance, and off where its package is missing."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings, _ = simulated_home(tmp_path, seconds=900)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    return settings


def test_its_job_appends_and_says_how_much(settings: Settings, instance: dg.DagsterInstance) -> None:
    job = build_defs(settings, fixed(START_TS + 3600)).resolve_job_def("parity_history_job")
    for is_first in (True, False):
        (materialization,) = job.execute_in_process(instance=instance).asset_materializations_for_node("parity_history")
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        (count,) = query_history(settings, "SELECT count(*) FROM all_diffs").rows[0]
        assert metadata["new_diffs"] == (count if is_first else 0)
        assert metadata["commits"] == int(is_first)


def test_maintenance_compacts_it(settings: Settings, instance: dg.DagsterInstance) -> None:
    pipeline_v6(settings.home, "history", "--append")
    pipeline_v6(settings.home, "compare")
    pipeline_v6(settings.home, "history", "--append")
    result = build_defs(settings).resolve_job_def("maintenance_job").execute_in_process(instance=instance)
    (done,) = [event for event in result.get_step_success_events() if event.step_key == "compact_history"]
    assert done.is_step_success
    files = query_history(settings, "SELECT count(*) FROM summaries").rows
    assert files == [(2,)]


def test_without_the_package_only_its_own_job_fails_in_one_line(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    defs = build_defs(settings)
    schedule = defs.get_repository_def().get_schedule_def("parity_history_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    for name in ("compare_job", "maintenance_job"):
        assert defs.resolve_job_def(name).execute_in_process(instance=instance).success
    result = defs.resolve_job_def("parity_history_job").execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    assert "needs the package deltalake, which is not installed" in str(failure.event_specific_data)
    # "Materialize all" is a run of it and others.
    selection = dg.AssetSelection.assets("compare_diffs", "compare_summary", "parity_history")
    several = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("several", selection=selection)]))
    run = several.resolve_job_def("several").execute_in_process(instance=instance)
    assert run.success
    assert dg.AssetKey("parity_history") not in {event.asset_key for event in run.get_asset_materialization_events()}
