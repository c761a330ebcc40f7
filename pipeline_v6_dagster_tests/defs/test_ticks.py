"""Sensors and schedules: one run per interval, never two in flight, whoever asks."""

from collections.abc import Iterator
from datetime import UTC, datetime
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
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.schedules import schedule_execution_time_iterator

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.guard import IN_FLIGHT, request_or_skip
from pipeline_v6_dagster.defs.schedules import cron_of, schedules
from pipeline_v6_dagster.defs.sensors import sensors
from pipeline_v6_dagster_tests.homes import fixed, settings_of

# A multiple of every interval used here.
DAY = 86_400.0 * 20_000


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that keeps the switches of schedules, as one in memory does not."""
    with dg.DagsterInstance.local_temp() as temporary:
        yield temporary


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path)


def tick(settings: Settings, name: str, instance: dg.DagsterInstance, now: float) -> dg.RunRequest | dg.SkipReason:
    """One tick of a sensor; the run that it asks for is made, as the daemon would."""
    (sensor,) = (sensor for sensor in sensors(settings, fixed(now)) if sensor.name == name)
    outcome = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
    return made(outcome, sensor.job_name, instance)


def schedule_tick(
    settings: Settings, name: str, instance: dg.DagsterInstance, ts: float
) -> dg.RunRequest | dg.SkipReason:
    (schedule,) = (schedule for schedule in schedules(settings) if schedule.name == name)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime.fromtimestamp(ts, UTC))
    outcome = schedule(context)
    assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
    return made(outcome, schedule.job_name, instance)


def made(
    outcome: dg.RunRequest | dg.SkipReason, job_name: str, instance: dg.DagsterInstance
) -> dg.RunRequest | dg.SkipReason:
    if isinstance(outcome, dg.RunRequest):
        create_run_for_test(instance, job_name=job_name, tags=dict(outcome.tags), status=dg.DagsterRunStatus.SUCCESS)
    return outcome


@pytest.mark.parametrize(
    ("name", "interval_s"), [("shadow_heartbeat_sensor", 600), ("compare_sensor", 900)], ids=["heartbeat", "compare"]
)
def test_a_sensor_fires_once_per_interval_and_does_not_drift(
    settings: Settings, instance: dg.DagsterInstance, name: str, interval_s: int
) -> None:
    fired = [
        now
        for now in (DAY + 7.3 + 31.7 * step for step in range(300))
        if isinstance(tick(settings, name, instance, now), dg.RunRequest)
    ]
    slots = [now // interval_s for now in fired]
    assert slots == [slots[0] + step for step in range(len(slots))]
    assert len(slots) >= 300 * 31.7 // interval_s


def test_a_skip_says_why_and_when_the_next_run_is_due(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(tick(settings, "compare_sensor", instance, DAY + 100), dg.RunRequest)
    skipped = tick(settings, "compare_sensor", instance, DAY + 130)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "compare_job ran in this interval; next due in 770 s"


# A run that is queued needs a code location to be made; that it counts as in flight is asserted below.
@pytest.mark.parametrize("status", [status for status in IN_FLIGHT if status is not dg.DagsterRunStatus.QUEUED])
def test_no_run_is_started_while_one_is_in_flight(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    run = create_run_for_test(instance, job_name="compare_job", status=status)
    outcome = request_or_skip(instance, "compare_job", DAY, 900.0)
    assert isinstance(outcome, dg.SkipReason)
    assert run.run_id in str(outcome.skip_message)
    assert isinstance(request_or_skip(instance, "shadow_job", DAY, 600.0), dg.RunRequest)


def test_a_run_is_in_flight_until_it_has_ended() -> None:
    ended = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    unused = {dg.DagsterRunStatus.MANAGED, dg.DagsterRunStatus.SUSPENDED}
    assert set(IN_FLIGHT) == set(dg.DagsterRunStatus) - ended - unused


def test_after_a_pause_one_run_makes_up_for_all_missed(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(tick(settings, "compare_sensor", instance, DAY), dg.RunRequest)
    later = DAY + 10 * 900 + 450
    outcomes = [tick(settings, "compare_sensor", instance, later + step) for step in (0, 30, 60)]
    assert [isinstance(outcome, dg.RunRequest) for outcome in outcomes] == [True, False, False]


def test_a_failed_run_is_tried_again_in_the_next_interval(settings: Settings, instance: dg.DagsterInstance) -> None:
    request = request_or_skip(instance, "compare_job", DAY, 900.0)
    assert isinstance(request, dg.RunRequest)
    create_run_for_test(instance, job_name="compare_job", tags=dict(request.tags), status=dg.DagsterRunStatus.FAILURE)
    again = request_or_skip(instance, "compare_job", DAY + 900, 900.0)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != request.run_key


def test_sensor_and_schedule_both_on_give_one_run_per_interval(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    switch_on(instance, settings, "compare_schedule")
    fired = []
    for slot in range(4):
        start = DAY + slot * 900
        # The sensor asks at the same instant and leaves the slot to the schedule; later it finds it taken.
        fired.append(
            [
                isinstance(tick(settings, "compare_sensor", instance, start + 1), dg.RunRequest),
                isinstance(schedule_tick(settings, "compare_schedule", instance, start), dg.RunRequest),
                isinstance(tick(settings, "compare_sensor", instance, start + 31), dg.RunRequest),
            ]
        )
    assert fired == [[False, True, False]] * 4


def test_the_sensor_takes_a_slot_that_its_schedule_left_empty(settings: Settings, instance: dg.DagsterInstance) -> None:
    switch_on(instance, settings, "compare_schedule")
    assert isinstance(tick(settings, "compare_sensor", instance, DAY + 40), dg.RunRequest)


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
    assert cron_of(minutes) == cron


@pytest.mark.parametrize("minutes", [1, 7, 10, 45, 60, 90, 120, 1440])
def test_a_schedule_runs_at_every_multiple_of_its_interval_and_at_no_other_time(
    tmp_path: Path, instance: dg.DagsterInstance, minutes: int
) -> None:
    settings = settings_of(tmp_path, PIPELINE_COMPARE_INTERVAL=str(minutes * 60))
    (schedule,) = (schedule for schedule in schedules(settings) if schedule.name == "compare_schedule")
    times = schedule_execution_time_iterator(DAY - 1, schedule.cron_schedule, "UTC", ascending=True)
    fired = []
    while (moment := next(times).timestamp()) < DAY + 5 * minutes * 60:
        if moment >= DAY and isinstance(schedule_tick(settings, "compare_schedule", instance, moment), dg.RunRequest):
            fired.append(moment)
    first = -(-DAY // (minutes * 60)) * minutes * 60
    assert fired == [first + step * minutes * 60 for step in range(len(fired))]
    assert len(fired) >= 4
