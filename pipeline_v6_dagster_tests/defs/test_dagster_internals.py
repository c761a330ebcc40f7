"""What is relied on of the parts of Dagster that are not public, for each function of `dagster_internals`."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

import pipeline_v6_dagster
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs import dagster_internals as internals
from pipeline_v6_dagster.defs.jobs import CHECKS_OF_JOB
from pipeline_v6_dagster_tests.defs.ticking import make_run, quiet_instance
from pipeline_v6_dagster_tests.homes import simulated_home

WARMUP = dg.AssetCheckKey(dg.AssetKey("compare_summary"), "warmup")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with quiet_instance(tmp_path / "dagster") as temporary:
        yield temporary


def run_compare(tmp_path: Path, instance: dg.DagsterInstance, seconds: float = 60) -> str:
    settings, _ = simulated_home(tmp_path / "home", seconds=seconds)
    job = build_defs(settings).resolve_job_def("compare_job")
    return job.execute_in_process(instance=instance, raise_on_error=False).run_id


def test_no_other_module_uses_what_is_not_public() -> None:
    package = Path(pipeline_v6_dagster.__file__).parent
    private = re.compile(r"dagster\._|event_log_storage|run_storage|schedule_storage|all_logs|all_instigator_state")
    used = {path.name for path in package.rglob("*.py") if private.search(path.read_text(encoding="utf-8"))}
    assert used == {"dagster_internals.py"}


def test_the_latest_evaluation_is_the_newest_that_was_made(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assert internals.latest_evaluation(instance, WARMUP) is None
    run_compare(tmp_path, instance)
    latest = internals.latest_evaluation(instance, WARMUP)
    assert latest is not None and (latest.check_name, latest.passed) == ("warmup", False)


def test_partitions_are_given_to_assets_and_checks_of_a_step_and_observations_are_read_by_partition(
    instance: dg.DagsterInstance,
) -> None:
    @dg.multi_asset(specs=[dg.AssetSpec("made")], check_specs=[dg.AssetCheckSpec("is_first", asset="made")])
    def make(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        yield dg.MaterializeResult(asset_key="made")
        yield dg.AssetCheckResult(check_name="is_first", passed=context.partition_key == "first")
        context.log_event(dg.AssetObservation("seen", partition=context.partition_key))

    partitions = dg.DynamicPartitionsDefinition(name="parts")
    asset = internals.with_partitions(make, partitions)
    assert (asset.partitions_def, next(iter(asset.check_specs)).partitions_def) == (partitions, partitions)
    assert list(internals.latest_observations(instance, dg.AssetKey("seen"))) == []
    instance.add_dynamic_partitions("parts", ["first", "second"])
    for key in ("first", "second", "first"):
        assert dg.materialize([asset], instance=instance, partition_key=key).success
    is_first = dg.AssetCheckKey(dg.AssetKey("made"), "is_first")
    found = {key: internals.latest_evaluation(instance, is_first, key) for key in ("first", "second", "third")}
    assert {key: each.passed for key, each in found.items() if each is not None} == {"first": True, "second": False}
    observed = [each.partition for each in internals.latest_observations(instance, dg.AssetKey("seen"))]
    assert sorted(map(str, observed)) == ["first", "second"]


def test_a_check_of_a_job_is_one_event_that_names_the_materialization(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run_id = run_compare(tmp_path, instance)
    types = dg.DagsterEventType
    stored = Counter(
        entry.dagster_event.event_type for entry in instance.all_logs(run_id) if entry.dagster_event is not None
    )
    assert types.ASSET_CHECK_EVALUATION_PLANNED not in stored
    assert stored[types.STEP_OUTPUT] == stored[types.ASSET_MATERIALIZATION]
    assert stored[types.ASSET_CHECK_EVALUATION] == len(CHECKS_OF_JOB["compare_job"])
    evaluation = internals.latest_evaluation(instance, WARMUP)
    assert evaluation is not None and evaluation.target_materialization_data is not None
    assert evaluation.target_materialization_data.run_id == run_id


def test_the_checks_that_a_job_did_not_evaluate_are_known_without_a_plan(instance: dg.DagsterInstance) -> None:
    run_id = make_run(instance, "compare_job", time.time(), status=dg.DagsterRunStatus.STARTED)
    assert internals.silent_checks(instance, run_id, ("warmup", "coverage")) == ["coverage", "warmup"]


def test_the_errors_of_a_run_and_the_checks_that_it_did_not_evaluate(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("spoken", asset="broken"), dg.AssetCheckSpec("silent", asset="broken")])
    def broken() -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(passed=True, check_name="spoken")
        raise ValueError("the cause")

    result = dg.materialize([broken], instance=instance, raise_on_error=False)
    assert internals.silent_checks(instance, result.run_id) == ["silent"]
    (error,) = internals.errors_of_run(instance, result.run_id)
    assert error.startswith("broken: ") and "the cause" in error
    run = instance.get_run_by_id(make_run(instance, "compare_job", time.time(), status=dg.DagsterRunStatus.STARTED))
    assert run is not None
    instance.report_run_failed(run, "killed")
    assert internals.errors_of_run(instance, run.run_id) == ["killed"]


def test_the_connection_is_kept_while_a_run_lasts(instance: dg.DagsterInstance) -> None:
    with internals.kept_connected(instance):
        assert list(instance.get_run_records(limit=1)) == []


def test_a_run_is_deleted_with_its_evaluations(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    run_id = run_compare(tmp_path, instance)
    internals.delete_run(instance, run_id)
    assert instance.get_run_by_id(run_id) is None
    assert internals.latest_evaluation(instance, WARMUP) is None


def test_observations_without_a_run_are_deleted(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetObservation("order_attempts"))
    assert internals.delete_observations(instance, time.time() - 60) == 0
    assert internals.delete_observations(instance, time.time() + 60) == 1


def test_ticks_and_switches_of_an_instance_without_any(instance: dg.DagsterInstance) -> None:
    assert internals.purge_ticks(instance, time.time()) == 0
    assert not internals.is_schedule_on(instance, "compare_schedule")


def test_who_started_a_run_is_told_by_its_tags(instance: dg.DagsterInstance) -> None:
    launched, by_sensor, retried = (
        instance.get_run_by_id(make_run(instance, "compare_job", time.time(), tags))
        for tags in ({}, {"dagster/sensor_name": "compare_sensor"}, {"dagster/will_retry": "true"})
    )
    assert launched is not None and by_sensor is not None and retried is not None
    assert internals.is_launched_by_a_person(launched) and not internals.is_launched_by_a_person(by_sensor)
    assert internals.will_be_retried(retried) and not internals.will_be_retried(launched)
    request_tags = dg.DagsterRun.tags_for_sensor(
        dg.SensorDefinition(name="compare_sensor", job_name="compare_job", evaluation_fn=lambda _: None)
    )
    assert request_tags == {"dagster/sensor_name": "compare_sensor"}
