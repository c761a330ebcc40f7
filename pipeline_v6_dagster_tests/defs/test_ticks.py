"""Sensors and schedules: one run per interval, never two in flight, whoever asks; earlier where rows are new."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.schedules import schedule_execution_time_iterator

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import EARLY_TAG, SLOT_TAG
from pipeline_v6_dagster.defs.run_slots import IN_FLIGHT, OVERDUE_GRACE_S, RunInterval, request_or_skip
from pipeline_v6_dagster.defs.schedules import build_cron, schedules
from pipeline_v6_dagster_tests.defs.ticking import Daemon, is_run, make_run, quiet_instance, said
from pipeline_v6_dagster_tests.homes import make_settings

# A multiple of every interval used here.
DAY = 86_400.0 * 20_000
COMPARE, SHADOW = RunInterval("compare_job", 900.0, 600.0), RunInterval("shadow_job", 600.0, 600.0)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that keeps the switches of schedules, as one in memory does not."""
    with quiet_instance(tmp_path / "dagster") as temporary:
        yield temporary


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def daemon(settings: Settings, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(settings, instance)


@pytest.mark.parametrize(
    ("name", "interval_s"), [("shadow_heartbeat_sensor", 600), ("compare_sensor", 900)], ids=["heartbeat", "compare"]
)
def test_a_sensor_fires_once_per_interval_and_does_not_drift(daemon: Daemon, name: str, interval_s: int) -> None:
    fired = [now for now in (DAY + 7.3 + 31.7 * step for step in range(300)) if is_run(daemon.sensor(name, now))]
    slots = [now // interval_s for now in fired]
    assert slots == [slots[0] + step for step in range(len(slots))]
    assert len(slots) >= 300 * 31.7 // interval_s


def test_a_skip_says_why_and_when_the_next_run_is_due(daemon: Daemon) -> None:
    assert is_run(daemon.sensor("compare_sensor", DAY + 100))
    skipped = daemon.sensor("compare_sensor", DAY + 130)
    assert said(skipped) == "compare_job ran in this interval; next due in 770 s; no new rows since"


def test_the_cursor_holds_the_due_time(daemon: Daemon) -> None:
    for now in (DAY + 100, DAY + 130):
        daemon.sensor("compare_sensor", now)
        assert json.loads(daemon.cursors["compare_sensor"] or "")["next_due_ts"] == DAY + 900


@pytest.mark.parametrize("cursor", ["", "no json", "[1]", '{"next_due_ts": "soon"}'])
def test_a_cursor_that_is_not_understood_stops_nothing(daemon: Daemon, cursor: str) -> None:
    for name in ("compare_sensor", "shadow_heartbeat_sensor"):
        daemon.cursors[name] = cursor
        assert is_run(daemon.sensor(name, DAY))


# A run that is queued needs a code location to be made; that it counts as in flight is asserted below.
@pytest.mark.parametrize("status", [status for status in IN_FLIGHT if status is not dg.DagsterRunStatus.QUEUED])
def test_no_run_is_started_while_one_is_in_flight(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    run_id = make_run(instance, "compare_job", DAY - 5, status=status)
    assert run_id in said(request_or_skip(instance, COMPARE, DAY))
    assert is_run(request_or_skip(instance, SHADOW, DAY))


@pytest.mark.parametrize("status", [status for status in IN_FLIGHT if status is not dg.DagsterRunStatus.QUEUED])
def test_a_run_that_does_not_end_counts_as_dead_and_holds_up_nothing(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    run_id = make_run(instance, "compare_job", DAY - 601, status=status)
    assert run_id in said(request_or_skip(instance, COMPARE, DAY))
    assert run_id in said(request_or_skip(instance, COMPARE, DAY + OVERDUE_GRACE_S))
    assert is_run(request_or_skip(instance, COMPARE, DAY + OVERDUE_GRACE_S + 1))
    run = instance.get_run_by_id(run_id)
    assert run is not None and run.status is dg.DagsterRunStatus.FAILURE
    (failure,) = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "PIPELINE_V6_RUN_TIMEOUT" in failure.message


def test_a_run_is_in_flight_until_it_has_ended() -> None:
    ended = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    unused = {dg.DagsterRunStatus.MANAGED, dg.DagsterRunStatus.SUSPENDED}
    assert set(IN_FLIGHT) == set(dg.DagsterRunStatus) - ended - unused


def test_after_a_pause_one_run_makes_up_for_all_missed(daemon: Daemon) -> None:
    assert is_run(daemon.sensor("compare_sensor", DAY))
    later = DAY + 10 * 900 + 450
    outcomes = [daemon.sensor("compare_sensor", later + step) for step in (0, 30, 60)]
    assert [is_run(outcome) for outcome in outcomes] == [True, False, False]


def test_a_failed_run_is_tried_again_in_the_next_interval(instance: dg.DagsterInstance) -> None:
    request = request_or_skip(instance, COMPARE, DAY)
    assert isinstance(request, dg.RunRequest)
    make_run(instance, "compare_job", DAY, dict(request.tags), dg.DagsterRunStatus.FAILURE)
    again = request_or_skip(instance, COMPARE, DAY + 900)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != request.run_key


def test_sensor_and_schedule_both_on_give_one_run_per_interval(daemon: Daemon) -> None:
    switch_on(daemon.instance, daemon.settings, "compare_schedule")
    fired = []
    for slot in range(4):
        start = DAY + slot * 900
        # The sensor asks at the same instant and leaves the slot to the schedule; later it finds it taken.
        fired.append(
            [
                is_run(daemon.sensor("compare_sensor", start + 1)),
                is_run(daemon.schedule("compare_schedule", start)),
                is_run(daemon.sensor("compare_sensor", start + 31)),
            ]
        )
    assert fired == [[False, True, False]] * 4


def test_the_sensor_takes_a_slot_that_its_schedule_left_empty(daemon: Daemon) -> None:
    switch_on(daemon.instance, daemon.settings, "compare_schedule")
    assert is_run(daemon.sensor("compare_sensor", DAY + 40))


def append(path: Path, line: str = "{}\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        log.write(line)


def touched(path: Path, ts: float) -> None:
    """A row that was written at `ts`."""
    append(path)
    os.utime(path, (ts, ts))


def test_new_attempts_start_the_shadow_before_its_interval_ends_but_not_too_often(daemon: Daemon) -> None:
    name = "shadow_heartbeat_sensor"
    assert is_run(daemon.sensor(name, DAY))
    append(daemon.settings.order_attempts)
    waits = daemon.sensor(name, DAY + 45)
    assert said(waits) == "shadow_job ran in this interval; next due in 555 s, or in 15 s for new rows"
    early = daemon.sensor(name, DAY + 60)
    assert isinstance(early, dg.RunRequest)
    assert EARLY_TAG in early.tags and SLOT_TAG not in early.tags
    assert said(daemon.sensor(name, DAY + 130)).endswith("no new rows since")
    append(daemon.settings.order_attempts)
    assert is_run(daemon.sensor(name, DAY + 145))


def test_an_early_run_does_not_take_the_place_of_the_next_interval(daemon: Daemon) -> None:
    name = "shadow_heartbeat_sensor"
    assert is_run(daemon.sensor(name, DAY))
    append(daemon.settings.order_attempts)
    assert is_run(daemon.sensor(name, DAY + 599))
    regular = daemon.sensor(name, DAY + 600)
    assert isinstance(regular, dg.RunRequest)
    assert regular.tags[SLOT_TAG] == f"600s/{int(DAY // 600) + 1}"


@pytest.mark.parametrize("name", ["orders_executed", "risk_vetoes", "shadow_log"])
def test_new_evidence_starts_the_comparison_early(daemon: Daemon, name: str) -> None:
    assert is_run(daemon.sensor("compare_sensor", DAY))
    assert not is_run(daemon.sensor("compare_sensor", DAY + 120))
    append(getattr(daemon.settings, name))
    assert is_run(daemon.sensor("compare_sensor", DAY + 150))


def test_the_comparison_lets_the_shadow_decide_new_attempts_first(daemon: Daemon) -> None:
    for name in ("shadow_heartbeat_sensor", "compare_sensor"):
        assert is_run(daemon.sensor(name, DAY))
    touched(daemon.settings.order_attempts, DAY + 90)
    touched(daemon.settings.orders_executed, DAY + 91)
    assert said(daemon.sensor("compare_sensor", DAY + 100)).endswith("once shadow_job has decided them")
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", DAY + 101))
    assert is_run(daemon.sensor("compare_sensor", DAY + 102))


def test_the_comparison_does_not_wait_for_attempts_that_the_shadow_leaves_for_later(daemon: Daemon) -> None:
    assert is_run(daemon.sensor("compare_sensor", DAY))
    assert is_run(daemon.sensor("shadow_heartbeat_sensor", DAY + 80))
    touched(daemon.settings.order_attempts, DAY + 90)
    touched(daemon.settings.orders_executed, DAY + 91)
    assert is_run(daemon.sensor("compare_sensor", DAY + 100))


def test_where_the_executor_writes_the_shadow_log_it_is_what_starts_a_run_early(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    daemon = Daemon(make_settings(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external"), instance)
    for name in ("shadow_heartbeat_sensor", "compare_sensor"):
        assert is_run(daemon.sensor(name, DAY))
    append(daemon.settings.order_attempts)
    append(daemon.settings.shadow_log)
    for name in ("shadow_heartbeat_sensor", "compare_sensor"):
        assert is_run(daemon.sensor(name, DAY + 70))


def test_no_run_starts_early_while_one_is_in_flight(daemon: Daemon) -> None:
    assert is_run(daemon.sensor("compare_sensor", DAY))
    append(daemon.settings.orders_executed)
    make_run(daemon.instance, "compare_job", DAY + 10, status=dg.DagsterRunStatus.STARTED)
    assert "still in flight" in said(daemon.sensor("compare_sensor", DAY + 100))


def switch_on(instance: dg.DagsterInstance, settings: Settings, name: str) -> None:
    """The state that the UI's switch leaves in the instance."""
    (schedule,) = (schedule for schedule in schedules(settings) if schedule.name == name)
    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="pipeline_v6_dagster.definitions"))
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), schedule.name)
    data = ScheduleInstigatorData(str(schedule.cron_schedule), start_timestamp=DAY)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data))


@pytest.mark.parametrize(
    ("minutes", "cron"),
    [
        (1, "* * * * *"),
        (10, "*/10 * * * *"),
        (15, "*/15 * * * *"),
        (60, "0 * * * *"),
        (120, "0 */2 * * *"),
        (1440, "0 0 * * *"),
        (90, ["0 0,3,6,9,12,15,18,21 * * *", "30 1,4,7,10,13,16,19,22 * * *"]),
        (7, "* * * * *"),
    ],
)
def test_cron_of_whole_minutes(minutes: int, cron: str | list[str]) -> None:
    assert build_cron(minutes) == cron


@pytest.mark.parametrize("minutes", [1, 7, 10, 45, 60, 90, 120, 1440])
def test_a_schedule_runs_at_every_multiple_of_its_interval_and_at_no_other_time(
    tmp_path: Path, instance: dg.DagsterInstance, minutes: int
) -> None:
    settings = make_settings(tmp_path, PIPELINE_COMPARE_INTERVAL=str(minutes * 60))
    daemon = Daemon(settings, instance)
    (schedule,) = (schedule for schedule in schedules(settings) if schedule.name == "compare_schedule")
    times = schedule_execution_time_iterator(DAY - 1, schedule.cron_schedule, "UTC", ascending=True)
    fired = []
    while (moment := next(times).timestamp()) < DAY + 5 * minutes * 60:
        if moment >= DAY and is_run(daemon.schedule("compare_schedule", moment)):
            fired.append(moment)
    first = -(-DAY // (minutes * 60)) * minutes * 60
    assert fired == [first + step * minutes * 60 for step in range(len(fired))]
    assert len(fired) >= 4
