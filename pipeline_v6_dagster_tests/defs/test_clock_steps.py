"""Clocks that step by an hour, a day and ten years, both ways: what sensors, schedules, guards and pruning do then."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.logs import executor_alive
from pipeline_v6_dagster.defs.keys import EARLY_TAG
from pipeline_v6_dagster.defs.maintenance import prune_by_age
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.run_slots import OVERDUE_GRACE_S, RunInterval, request_or_skip
from pipeline_v6_dagster_tests.defs.ticking import Daemon, is_run, make_run, quiet_instance, said
from pipeline_v6_dagster_tests.homes import fixed, make_settings

# A multiple of every interval used here.
DAY = 86_400.0 * 20_000
HOUR_S, DAY_S, YEARS_S = 3600.0, 86_400.0, 315_360_000.0
COMPARE = RunInterval("compare_job", 900.0, 600.0)
SENSORS = {"shadow_heartbeat_sensor": 600, "compare_sensor": 900}
WARNING = logging.getLogger("dagster.pipeline_v6")

steps = pytest.mark.parametrize(
    "step_s",
    [sign * size for size in (HOUR_S, DAY_S, YEARS_S) for sign in (1, -1)],
    ids=["hour ahead", "hour back", "day ahead", "day back", "ten years ahead", "ten years back"],
)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with quiet_instance(tmp_path / "dagster") as temporary:
        yield temporary


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home")


@pytest.fixture
def daemon(settings: Settings, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(settings, instance)


@steps
@pytest.mark.parametrize("name", SENSORS)
def test_a_sensor_keeps_its_interval_after_a_step_and_after_the_step_back(
    daemon: Daemon, name: str, step_s: float
) -> None:
    interval_s = SENSORS[name]
    # Right, wrong, right again, in intervals that have had their runs.
    for start in (DAY, DAY + step_s, DAY + interval_s, DAY + step_s):
        ticks = [start + interval_s * number / 3 for number in range(6)]
        assert [is_run(daemon.sensor(name, ts)) for ts in ticks] == [True, False, False] * 2, start


@steps
def test_a_schedule_runs_in_intervals_that_have_had_their_run(daemon: Daemon, step_s: float) -> None:
    for start in (DAY, DAY + step_s, DAY + 900):
        slots = [start + 900 * number for number in range(8)]
        assert all(is_run(daemon.schedule("compare_schedule", ts)) for ts in slots)


@steps
def test_the_same_tick_tried_again_after_a_step_asks_for_the_same_run(
    instance: dg.DagsterInstance, step_s: float
) -> None:
    for ts in (DAY + step_s, DAY):
        make_run(instance, "compare_job", ts, COMPARE.slot_tags(ts))
    first, again = (request_or_skip(instance, COMPARE, DAY + step_s) for _ in range(2))
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert first.run_key == again.run_key != f"compare_job/{COMPARE.slot_name(DAY + step_s)}"


@pytest.mark.parametrize("tags", [COMPARE.slot_tags(DAY - 900), {EARLY_TAG: str(COMPARE.slot(DAY - 900))}])
def test_a_retry_of_an_older_run_is_no_step_of_the_clock(instance: dg.DagsterInstance, tags: dict[str, str]) -> None:
    failed_id = make_run(instance, "compare_job", DAY - 900, tags, dg.DagsterRunStatus.FAILURE)
    make_run(instance, "compare_job", DAY, COMPARE.slot_tags(DAY))
    # Dagster's daemon tries a crashed run again, with its tags, whenever it finds that it has crashed.
    make_run(instance, "compare_job", DAY + 5, tags, parent_run_id=failed_id)
    assert "ran in this interval" in said(request_or_skip(instance, COMPARE, DAY + 10))


@steps
def test_a_run_in_flight_when_the_clock_steps_is_neither_killed_nor_for_ever(
    instance: dg.DagsterInstance, step_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = make_run(instance, "compare_job", DAY - 5, status=dg.DagsterRunStatus.STARTED)
    after = DAY + step_s
    with caplog.at_level(logging.WARNING, WARNING.name):
        for seconds in (0, 10, 20, OVERDUE_GRACE_S):
            assert run_id in said(request_or_skip(instance, COMPARE, after + seconds))
    assert len([record for record in caplog.records if run_id in record.getMessage()]) == 1
    # Where it still does not end, it is dead.
    given_s = OVERDUE_GRACE_S if step_s > 0 else COMPARE.timeout_s
    assert is_run(request_or_skip(instance, COMPARE, after + given_s + 1))
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE


@steps
def test_a_mark_from_before_another_step_is_made_again(instance: dg.DagsterInstance, step_s: float) -> None:
    run_id = make_run(instance, "compare_job", DAY - 700, status=dg.DagsterRunStatus.STARTED)
    assert run_id in said(request_or_skip(instance, COMPARE, DAY))
    outcome = request_or_skip(instance, COMPARE, DAY + step_s)
    if step_s < 0:  # The mark lies in the future.
        assert run_id in said(outcome)
        assert is_run(request_or_skip(instance, COMPARE, DAY + step_s + COMPARE.timeout_s + 1))
    else:
        assert is_run(outcome)


@steps
def test_new_rows_start_a_run_early_after_a_step(daemon: Daemon, settings: Settings, step_s: float) -> None:
    settings.order_attempts.parent.mkdir(parents=True)
    settings.order_attempts.write_bytes(b"1\n")
    os.utime(settings.order_attempts, (DAY, DAY))
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", DAY))
    after = DAY + step_s + 90
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", after))
    settings.order_attempts.write_bytes(b"1\n2\n")
    os.utime(settings.order_attempts, (after, after))
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", after + 61))


def test_new_rows_start_a_run_early_after_a_step_back_within_an_interval(daemon: Daemon, settings: Settings) -> None:
    settings.order_attempts.parent.mkdir(parents=True)
    settings.order_attempts.write_bytes(b"1\n")
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", DAY + 500))
    settings.order_attempts.write_bytes(b"1\n2\n")
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", DAY + 100))


@steps
def test_a_file_from_another_time_holds_up_no_comparison(daemon: Daemon, settings: Settings, step_s: float) -> None:
    for path in (settings.order_attempts, settings.orders_executed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1\n")
        os.utime(path, (DAY + step_s, DAY + step_s))
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", DAY))
    assert is_run(daemon.sensor("compare_sensor", DAY + 5))
    settings.orders_executed.write_bytes(b"1\n2\n")
    assert is_run(daemon.sensor("compare_sensor", DAY + 100))


@steps
def test_the_executor_is_alive_by_the_clock_of_the_moment(settings: Settings, step_s: float) -> None:
    settings.order_attempts.parent.mkdir(parents=True)
    settings.order_attempts.write_text(json.dumps({"symbol": "BTCUSDT", "ts": DAY - 60}) + "\n")
    for now, is_alive in ((DAY, True), (DAY + 1.1 * step_s, False), (DAY, True)):
        found = executor_alive(Pipeline(settings, fixed(now), "host"))
        assert (found.passes, found.is_measured) == (is_alive, True)
        assert ("in the future" in found.description) == (now < DAY - 60)


@steps
def test_a_clock_that_is_wrong_for_a_night_prunes_no_history(instance: dg.DagsterInstance, step_s: float) -> None:
    retention_s = 30 * DAY_S
    kept = [make_run(instance, "compare_job", DAY - days * DAY_S) for days in range(29, 0, -1)]
    make_run(instance, "maintenance_job", DAY + step_s)
    prune_by_age(instance, DAY + step_s, retention_s)
    assert all(instance.get_run_by_id(run_id) is not None for run_id in kept[-20:])
    # What was made before a jump is pruned once the time after it has lasted as long.
    for days in range(0, 60, 10):
        make_run(instance, "compare_job", DAY + abs(step_s) + days * DAY_S)
    prune_by_age(instance, DAY + abs(step_s) + 50 * DAY_S, retention_s)
    assert all(instance.get_run_by_id(run_id) is None for run_id in kept)
