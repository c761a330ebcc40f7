"""The rollout in Dagster: the compare job takes it down, its check sees what is beyond, a sensor comes second."""

import json
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.domain.rollout import RolloutState
from pipeline_v6_dagster_tests.homes import fixed
from pipeline_v6_dagster_tests.rollout.desk import Desk

CHECK = dg.AssetCheckKey(dg.AssetKey("rollout_state"), "rollout_within_evidence")


@pytest.fixture
def canary(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.begin_canary()
    return desk


def run_job(desk: Desk, name: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    defs = build_defs(desk.settings, fixed(desk.now))
    return defs.resolve_job_def(name).execute_in_process(instance=instance)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = (each for each in result.get_asset_check_evaluations() if each.asset_check_key == CHECK)
    return found


def tick(desk: Desk, instance: dg.DagsterInstance) -> str:
    """The skip reason of one tick of `rollout_sensor`."""
    defs = build_defs(desk.settings, fixed(desk.now))
    (sensor,) = (each for each in defs.get_repository_def().sensor_defs if each.name == "rollout_sensor")
    data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=defs))
    assert not data.run_requests
    return str(data.skip_message)


def test_the_compare_job_rolls_back_and_its_check_then_passes(canary: Desk, instance: dg.DagsterInstance) -> None:
    assert check_of(run_job(canary, "compare_job", instance)).passed
    canary.trade(600, fault="opposite-side")
    run_job(canary, "shadow_job", instance)
    result = run_job(canary, "compare_job", instance)
    assert result.success
    (state,) = result.asset_materializations_for_node("compare")[-1:]
    assert state.metadata["state"].value == "rolled_back"
    assert canary.file.state is RolloutState.ROLLED_BACK
    assert check_of(result).passed


def test_the_heartbeat_job_keeps_the_file_valid(canary: Desk, instance: dg.DagsterInstance) -> None:
    before = canary.file.valid_until
    canary.now += 600
    run_job(canary, "shadow_job", instance)
    assert canary.file.valid_until == before + 600


def test_the_check_is_an_error_while_a_stage_has_lost_its_evidence(canary: Desk, instance: dg.DagsterInstance) -> None:
    limits = json.loads(canary.settings.risk_limits.read_bytes())
    canary.settings.risk_limits.write_text(json.dumps(limits | {"max_ordr_notional": 5}))
    checked = check_of(run_job(canary, "compare_job", instance))
    assert (checked.passed, checked.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "limits_understood" in str(checked.description)


def test_the_sensor_rolls_back_what_a_killed_compare_left(canary: Desk, instance: dg.DagsterInstance) -> None:
    assert tick(canary, instance) == "v6 is canary; nothing to take away"
    canary.trade(600, fault="opposite-side")
    canary.compare()
    assert canary.file.state is RolloutState.CANARY
    assert tick(canary, instance).startswith("rollback by rollout_sensor: critical: same_side")
    assert canary.file.state is RolloutState.ROLLED_BACK
    assert tick(canary, instance) == "v6 is rolled_back; nothing to take away"


def test_the_sensor_pauses_where_no_compare_comes(canary: Desk, instance: dg.DagsterInstance) -> None:
    canary.now += 2701
    assert tick(canary, instance).startswith("pause by rollout_sensor: the newest compare is of")


def test_the_sensor_leaves_a_desk_alone_that_never_began(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assert tick(Desk(tmp_path), instance) == "no rollout was begun"


def test_the_sensor_writes_a_file_again_that_says_something_else(canary: Desk, instance: dg.DagsterInstance) -> None:
    canary.settings.rollout_state.unlink()
    tick(canary, instance)
    assert canary.file.symbols == ("BTCUSDT",)


def test_the_check_warns_of_a_plan_that_is_not_understood(canary: Desk, instance: dg.DagsterInstance) -> None:
    canary.settings.rollout_plan.write_text("{}")
    checked = check_of(run_job(canary, "compare_job", instance))
    assert (checked.passed, checked.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "rollout.json: stages" in str(checked.description)
