"""The definitions of a fleet: a partition per executor, one tick for all, and each executor by itself."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs.dagster_internals import errors_of_run, latest_evaluation
from pipeline_v6_dagster.defs.run_slots import OVERDUE_GRACE_S
from pipeline_v6_dagster_tests.defs.ticking import make_run, quiet_instance
from pipeline_v6_dagster_tests.fleets import fleet_settings, write_fleet
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home

PARTITIONS = "pipeline_v6_executor"
NOW = START_TS + 7200.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHADOW_SLOT = f"600s/{int(NOW // 600)}"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with quiet_instance(tmp_path / "dagster") as instance:
        yield instance


def tick(
    base: Settings, instance: dg.DagsterInstance, name: str, cursor: str | None = None, now: float = NOW
) -> dg.SensorResult:
    """One tick of a sensor of the fleet; what it asks of the partitions is done."""
    repository = build_defs(base, fixed(now)).get_repository_def()
    (sensor,) = (each for each in repository.sensor_defs if each.name == name)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or ():
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(PARTITIONS, list(request.partition_keys))
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(PARTITIONS, key)
    return result


def requested(result: dg.SensorResult) -> dict[str | None, dict[str, str]]:
    """The tags of each run that a tick asks for, by executor."""
    return {request.partition_key: dict(request.tags) for request in result.run_requests or ()}


def skip_text(result: dg.SensorResult) -> str:
    assert isinstance(result.skip_reason, dg.SkipReason)
    return str(result.skip_reason.skip_message)


def test_without_a_fleet_nothing_is_partitioned_by_executor_and_nothing_of_a_fleet_is_there(tmp_path: Path) -> None:
    graph = build_defs(simulated_home(tmp_path, seconds=0)[0]).resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()}.isdisjoint({"fleet_summary", "executor_status"})
    by_executor = (dg.DynamicPartitionsDefinition, dg.MultiPartitionsDefinition)
    assert not any(isinstance(graph.get(key).partitions_def, by_executor) for key in graph.get_all_asset_keys())
    assert all(graph.get_check_spec(key).partitions_def is None for key in graph.asset_check_keys)


def test_with_a_fleet_all_assets_and_checks_have_a_partition_per_executor_but_the_summary(tmp_path: Path) -> None:
    graph = build_defs(fleet_settings(tmp_path, {"alpha": []})).resolve_asset_graph()
    unpartitioned = {key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).is_partitioned}
    assert unpartitioned == {"fleet_summary"}
    checks = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).partitions_def is None}
    assert checks == {"fleet_within_limits"}
    partitions = {graph.get(key).partitions_def for key in graph.get_all_asset_keys()} - {None}
    assert [each.name for each in partitions if isinstance(each, dg.DynamicPartitionsDefinition)] == [PARTITIONS]


def test_partitions_follow_the_file_and_an_executor_that_is_removed_gets_no_more_runs(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    base = fleet_settings(tmp_path, {"alpha": [], "beta": []})
    assert skip_text(tick(base, instance, "compare_sensor")) == (
        "no executor has a partition yet; executors_sensor adds them"
    )
    assert skip_text(tick(base, instance, "executors_sensor")) == "2 executors; alpha added, beta added"
    assert set(requested(tick(base, instance, "compare_sensor"))) == {"alpha", "beta"}
    write_fleet(tmp_path, {"beta": [], "gamma": []})
    assert skip_text(tick(base, instance, "executors_sensor")) == "2 executors; gamma added, alpha removed"
    assert instance.get_dynamic_partitions(PARTITIONS) == ["beta", "gamma"]
    assert set(requested(tick(base, instance, "compare_sensor"))) == {"beta", "gamma"}
    assert skip_text(tick(base, instance, "executors_sensor")) == "2 executors; none added or removed"


def test_one_tick_asks_for_a_run_of_each_executor_that_is_due_on_the_queue_of_its_host(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    tables = {
        "alpha": [],
        "beta": ['host = "trade-2"', 'labels = { venue = "binance" }'],
        "often": ["heartbeat_interval_s = 60"],
        "busy": [],
    }
    base = fleet_settings(tmp_path, tables)
    tick(base, instance, "executors_sensor")
    make_run(instance, "shadow_job", NOW - 30, {"dagster/partition": "busy"}, dg.DagsterRunStatus.STARTED)
    first = tick(base, instance, "shadow_heartbeat_sensor")
    assert requested(first) == {
        "alpha": {"pipeline_v6/slot": SHADOW_SLOT, "dagster-celery/queue": "pipeline_v6"},
        "beta": {
            "pipeline_v6/slot": SHADOW_SLOT,
            "dagster-celery/queue": "pipeline_v6.trade-2",
            "pipeline_v6_label/venue": "binance",
        },
        "often": {"pipeline_v6/slot": f"60s/{int(NOW // 60)}", "dagster-celery/queue": "pipeline_v6"},
    }
    keys = [request.run_key for request in first.run_requests or ()]
    assert keys[0] == f"shadow_job/alpha/{SHADOW_SLOT}"
    again = tick(base, instance, "shadow_heartbeat_sensor", first.cursor, NOW + 5)
    assert skip_text(again).startswith("no executor is due; 1 of 4 have a run in flight; next due in ")
    later = tick(base, instance, "shadow_heartbeat_sensor", again.cursor, NOW + 60)
    assert set(requested(later)) == {"often"}


def test_a_run_that_died_is_reported_and_its_executor_is_due_again(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    base = fleet_settings(tmp_path, {"alpha": [], "patient": ["run_timeout_s = 5000"]})
    tick(base, instance, "executors_sensor")
    runs = {
        name: make_run(instance, "compare_job", NOW - 700, {"dagster/partition": name}, dg.DagsterRunStatus.STARTED)
        for name in ("alpha", "patient")
    }
    # The first tick marks it, because a step of the clock would make it as old.
    assert tick(base, instance, "compare_sensor").run_requests == []
    assert set(requested(tick(base, instance, "compare_sensor", now=NOW + OVERDUE_GRACE_S + 1))) == {"alpha"}
    statuses = {name: instance.get_run_by_id(run_id) for name, run_id in runs.items()}
    assert {name: run.status.value for name, run in statuses.items() if run is not None} == {
        "alpha": "FAILURE",
        "patient": "STARTED",
    }


def test_runs_of_other_jobs_that_died_are_reported_after_the_time_that_they_may_take(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    base = fleet_settings(tmp_path, {"alpha": []})
    started = dg.DagsterRunStatus.STARTED
    report = make_run(instance, "parity_report_job", NOW - 700, {"dagster/partition": "alpha"}, started)
    drill = make_run(instance, "drill_job", NOW - 700, {"dagster/max_runtime": "21600"}, started)
    for now in (NOW, NOW + OVERDUE_GRACE_S + 1):
        tick(base, instance, "executors_sensor", now=now)
    runs = [instance.get_run_by_id(run_id) for run_id in (report, drill)]
    assert [run.status.value for run in runs if run is not None] == ["FAILURE", "STARTED"]


@pytest.mark.parametrize("step_s", [3600.0, 86_400.0, 315_360_000.0])
def test_after_a_step_back_the_slots_of_a_fleet_are_run_again(
    tmp_path: Path, instance: dg.DagsterInstance, step_s: float
) -> None:
    base = fleet_settings(tmp_path, {"alpha": []})
    tick(base, instance, "executors_sensor")
    keys: list[str | None] = []
    cursor = None
    times = [NOW, NOW + 900, NOW + step_s, NOW, NOW + 10, NOW + 900, NOW + step_s, NOW]
    for now in times:
        result = tick(base, instance, "compare_sensor", cursor, now)
        cursor = result.cursor
        keys += [request.run_key for request in result.run_requests or ()]
    assert len(set(keys)) == len(keys) == len(times) - 1  # One of them is in a slot that was just given.


def test_a_lost_cursor_asks_again_under_the_same_keys(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    base = fleet_settings(tmp_path, {"alpha": []})
    tick(base, instance, "executors_sensor")
    keys = [
        [request.run_key for request in tick(base, instance, "compare_sensor", cursor).run_requests or ()]
        for cursor in (None, "garbage", '["of another version"]')
    ]
    assert keys[0] == keys[1] == keys[2] != []


def test_a_shadow_log_that_an_executor_writes_itself_is_not_made(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    base = fleet_settings(tmp_path, {"alpha": [], "beta": ['shadow_source = "external"']})
    tick(base, instance, "executors_sensor")
    requests = tick(base, instance, "shadow_heartbeat_sensor").run_requests or ()
    assert {request.partition_key: request.asset_selection for request in requests} == {
        "alpha": None,
        "beta": [dg.AssetKey("shadow_head")],
    }


def test_daily_schedules_start_a_run_for_each_executor(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    base = fleet_settings(tmp_path, {"alpha": [], "beta": ['host = "trade-2"']})
    tick(base, instance, "executors_sensor")
    repository = build_defs(base).get_repository_def()
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert {"shadow_heartbeat_schedule", "compare_schedule"}.isdisjoint(schedules)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=NOON, repository_def=repository)
    requests = schedules["parity_report_schedule"].evaluate_tick(context).run_requests or ()
    assert {request.partition_key: request.tags["dagster-celery/queue"] for request in requests} == {
        "alpha": "pipeline_v6",
        "beta": "pipeline_v6.trade-2",
    }
    assert len(schedules["maintenance_schedule"].evaluate_tick(context).run_requests or ()) == 1


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, dg.DagsterInstance]]:
    """A fleet after both jobs: in order, with upsizes, with a bad limit, without a home; and one that waits."""
    folder = tmp_path_factory.mktemp("fleet")
    tables = {"well": [], "upsizes": [], "bad": [], "gone": ['home = "/proc/no-such-folder"'], "waits": []}
    base = fleet_settings(folder, tables)
    for executor in load_fleet(base).executors.values():
        if executor.name != "gone":
            simulated_home(executor.settings.home, upsize_share=0.05 if executor.name == "upsizes" else 0.0)
    load_fleet(base).executor("bad").settings.risk_limits.write_text('{"global": {"max_leverage": "high"}}')
    with quiet_instance(folder / "dagster") as instance:
        tick(base, instance, "executors_sensor")
        defs = build_defs(base, fixed(NOW))
        for name in ("well", "upsizes", "bad", "gone"):
            for job in ("shadow_job", "compare_job"):
                run_job(defs, instance, job, name)
        yield base, instance


def run_job(
    defs: dg.Definitions, instance: dg.DagsterInstance, job: str, name: str | None
) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(instance=instance, partition_key=name, raise_on_error=False)


def test_a_broken_executor_fails_alone_and_says_why(ran: tuple[Settings, dg.DagsterInstance]) -> None:
    _, instance = ran
    failed = {
        (run.tags["dagster/partition"], run.job_name)
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    }
    assert failed == {(name, job) for name in ("bad", "gone") for job in ("shadow_job", "compare_job")}
    (run, *_) = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": "bad"}))
    (error,) = errors_of_run(instance, run.run_id)
    assert "risk_limits.json: global.max_leverage = 'high'" in error


def test_checks_are_evaluated_per_executor(ran: tuple[Settings, dg.DagsterInstance]) -> None:
    _, instance = ran
    key = dg.AssetCheckKey(dg.AssetKey("compare_summary"), "no_upsizes")
    found = {name: latest_evaluation(instance, key, name) for name in ("well", "upsizes", "waits")}
    assert {name: each.passed for name, each in found.items() if each is not None} == {"well": True, "upsizes": False}


def test_each_executor_goes_on_from_the_chains_that_its_own_last_run_verified(
    ran: tuple[Settings, dg.DagsterInstance],
) -> None:
    base, instance = ran
    run_job(build_defs(base, fixed(NOW + 60)), instance, "compare_job", "well")
    key = dg.AssetCheckKey(dg.AssetKey("compare_summary"), "logs_intact")
    verified = {name: latest_evaluation(instance, key, name) for name in ("well", "upsizes")}
    assert all(each is not None and each.passed for each in verified.values()), verified


def test_the_summary_shows_every_executor_and_its_check_names_those_that_need_attention(
    ran: tuple[Settings, dg.DagsterInstance],
) -> None:
    base, instance = ran
    result = run_job(build_defs(base, fixed(NOW + 60)), instance, "fleet_summary_job", None)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description == "4 of 5 executors need attention: upsizes, bad, gone, waits"
    rows = {row["name"]: row for row in json.loads(base.fleet_summary.read_bytes())["executors"]}
    assert {name: row["exit_code"] for name, row in rows.items()} == {
        "well": 2,
        "upsizes": 1,
        "bad": 3,
        "gone": 3,
        "waits": 3,
    }
    assert rows["upsizes"]["verdict"] == "FAIL"
    assert rows["waits"]["problem"] == "its runs have reported nothing yet"


def test_a_run_without_an_executor_is_refused(ran: tuple[Settings, dg.DagsterInstance]) -> None:
    base, instance = ran
    result = run_job(build_defs(base, fixed(NOW)), instance, "compare_job", None)
    assert not result.success
    (error,) = errors_of_run(instance, result.run_id)
    assert "run of compare_job: names no executor; launch it for one or more partitions" in error
    assert not base.compare_diffs.exists()
