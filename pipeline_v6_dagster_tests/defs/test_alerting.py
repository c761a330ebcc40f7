"""The alert sensor on a real instance: failed checks, crashed checks, failed runs, each told once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from socket import gethostname

import dagster as dg
import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs.keys import OVERDUE_TAG
from pipeline_v6_dagster.defs.run_slots import OVERDUE_GRACE_S
from pipeline_v6_dagster_tests.defs.ticking import make_run, quiet_instance
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.receiver import SECRET, receiving

SENSOR = "parity_alert_sensor"
UI_URL = "https://ui.example/"
BY_SENSOR = {"dagster/sensor_name": "a_sensor"}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with quiet_instance(tmp_path / "dagster") as temporary:
        yield temporary


class Alerts:
    """Runs jobs and ticks the sensor. Time is real: the storage stamps what it keeps itself."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self.instance = instance
        self.defs = build_defs(settings)
        self.cursor: str | None = None

    def run(self, job_name: str) -> bool:
        return self._execute(job_name, BY_SENSOR)

    def launch(self, job_name: str) -> bool:
        """As a person does, in the UI."""
        return self._execute(job_name, {})

    def _execute(self, job_name: str, tags: dict[str, str]) -> bool:
        job = self.defs.resolve_job_def(job_name)
        return job.execute_in_process(instance=self.instance, raise_on_error=False, tags=tags).success

    def tick(self) -> str:
        """What the tick said."""
        repository = self.defs.get_repository_def()
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=repository)
        result = repository.get_sensor_def(SENSOR)(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def recorded(self) -> list[tuple[str, str, str]]:
        """(kind, subject, text) of each message in the outbox."""
        if not self.settings.alert_outbox.exists():
            return []
        rows = map(json.loads, self.settings.alert_outbox.read_text().splitlines())
        return [(row["kind"], row["subject"], row["text"]) for row in rows if row["type"] == "message"]

    def subjects(self) -> list[tuple[str, str]]:
        return [(kind, subject) for kind, subject, _ in self.recorded()]


def make_alerts(tmp_path: Path, instance: dg.DagsterInstance, upsize_share: float = 0.0, **environ: str) -> Alerts:
    """Logs of an executor of the last hour, and the sensor's first tick on an instance without history."""
    settings, _ = simulated_home(tmp_path / "home", upsize_share=upsize_share, start_ts=time.time() - 3600, **environ)
    alerts = Alerts(settings, instance)
    alerts.tick()
    return alerts


def test_an_upsize_is_one_message_that_names_the_order(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    with receiving() as receiver:
        alerts = make_alerts(tmp_path, instance, 0.02, PIPELINE_V6_ALERT_URLS=receiver.url, PIPELINE_V6_UI_URL=UI_URL)
        for _ in range(2):
            assert alerts.run("shadow_job") and alerts.run("compare_job")
            said = alerts.tick()
            assert SECRET not in said
    assert receiver.titles() == [f"pipeline v6: ERROR: compare_summary/no_upsizes on {gethostname()}"]
    ((kind, subject, text),) = alerts.recorded()
    assert (kind, subject) == ("begins", "compare_summary/no_upsizes")
    assert "orders larger than v6's size" in text
    ((_, _, payload),) = receiver.received
    body = str(payload["message"])
    for part in ("When: 20", "Excess: ", " x2.00, ", "; pipeline-v6 explain ", f"host {gethostname()}", "Run: http"):
        assert part in body, part
    assert "Check: https://ui.example/assets/compare_summary?view=checks&checkDetail=no_upsizes" in body


def test_the_run_that_evaluates_a_check_records_its_alert(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance, 0.02)
    assert alerts.run("shadow_job") and alerts.run("compare_job")
    assert alerts.subjects() == [("begins", "compare_summary/no_upsizes")]


def test_a_clean_executor_is_no_message(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance)
    assert alerts.run("shadow_job") and alerts.run("compare_job")
    assert alerts.tick() == (
        "2 runs have ended since the last tick; 0 messages recorded, 0 sent;"
        " PIPELINE_V6_ALERT_URLS is empty, so alerts stay in the outbox"
    )
    assert alerts.recorded() == []


def test_a_failed_run_is_told_with_its_error_and_its_end(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance)
    limits = alerts.settings.risk_limits.read_text()
    alerts.settings.risk_limits.write_text('{"max_leverage": "three"}')
    assert not alerts.run("shadow_job")
    alerts.tick()
    alerts.tick()
    ((kind, subject, text),) = alerts.recorded()
    assert (kind, subject) == ("begins", "run/shadow_job")
    assert "shadow: " in text and "max_leverage = 'three'" in text
    alerts.settings.risk_limits.write_text(limits)
    assert alerts.run("shadow_job")
    alerts.tick()
    assert alerts.subjects() == [("begins", "run/shadow_job"), ("ends", "run/shadow_job")]


def test_a_check_that_crashes_is_told_by_its_name_with_its_error(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance)
    assert alerts.run("shadow_job")
    alerts.settings.order_metrics.unlink()
    alerts.settings.order_metrics.mkdir()
    assert not alerts.run("shadow_job")
    alerts.tick()
    ((kind, subject, text),) = alerts.recorded()
    assert (kind, subject) == ("begins", "run/shadow_job")
    assert "shadow: " in text and "order_metrics.jsonl: cannot be read" in text
    assert "These checks were not evaluated: executor_alive" in text
    alerts.settings.order_metrics.rmdir()
    assert alerts.run("shadow_job")
    alerts.tick()
    assert alerts.subjects()[1:] == [("ends", "run/shadow_job")]


def test_a_run_whose_process_died_is_told(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance)
    run_id = make_run(instance, "compare_job", time.time() - 700, BY_SENSOR, dg.DagsterRunStatus.STARTED)
    sensor = alerts.defs.get_repository_def().get_sensor_def("compare_sensor")
    sensor(dg.build_sensor_context(instance=instance))
    alerts.tick()
    assert alerts.recorded() == []  # The clock may have stepped.
    instance.add_run_tags(run_id, {OVERDUE_TAG: repr(time.time() - OVERDUE_GRACE_S - 1)})
    sensor(dg.build_sensor_context(instance=instance))
    alerts.tick()
    ((kind, subject, text),) = alerts.recorded()
    assert (kind, subject) == ("begins", "run/compare_job")
    assert "PIPELINE_V6_RUN_TIMEOUT" in text


def test_a_run_in_flight_is_read_once_it_has_ended(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance)
    run_id = make_run(instance, "compare_job", time.time(), BY_SENSOR, dg.DagsterRunStatus.STARTED)
    for _ in range(2):
        assert alerts.tick().startswith("0 runs have ended")
    for _ in range(60):  # More runs than a page holds lie between.
        make_run(instance, "other_job", time.time())
    assert alerts.tick().startswith("60 runs have ended")
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_failed(run, "killed")
    assert alerts.tick().startswith("1 runs have ended")
    assert alerts.subjects() == [("begins", "run/compare_job")]


def test_a_canceled_run_and_one_that_is_tried_again_are_not_told(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    alerts = make_alerts(tmp_path, instance)
    make_run(instance, "compare_job", time.time(), status=dg.DagsterRunStatus.CANCELED)
    make_run(instance, "compare_job", time.time(), {"dagster/will_retry": "true"}, dg.DagsterRunStatus.FAILURE)
    assert alerts.tick().startswith("0 runs have ended")
    assert alerts.recorded() == []


def test_a_failed_run_that_a_person_launched_is_one_warning_without_repeats(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    alerts = make_alerts(tmp_path, instance, PIPELINE_V6_ALERT_REPEAT="0.001")
    alerts.settings.risk_limits.write_text('{"max_leverage": "three"}')
    assert not alerts.launch("shadow_job")
    for _ in range(3):
        alerts.tick()
    (row,) = map(json.loads, alerts.settings.alert_outbox.read_text().splitlines())
    assert (row["kind"], row["severity"], row["subject"]) == ("once", "WARN", "run/shadow_job")
    assert "by itself" not in row["todo"]


def test_a_failed_drill_is_one_warning_also_where_its_schedule_started_it(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    alerts = make_alerts(tmp_path, instance, PIPELINE_V6_ALERT_REPEAT="0.001")
    alerts.settings.risk_limits.write_text('{"max_leverage": "three"}')
    assert not alerts.run("drill_job")
    for _ in range(3):
        alerts.tick()
    (row,) = map(json.loads, alerts.settings.alert_outbox.read_text().splitlines())
    assert (row["kind"], row["severity"], row["subject"]) == ("once", "WARN", "run/drill_job")
    assert "by itself" not in row["todo"]


@pytest.mark.slow
def test_after_the_instance_is_lost_a_state_that_lasts_is_not_told_again(tmp_path: Path) -> None:
    with quiet_instance(tmp_path / "one") as instance:
        alerts = make_alerts(tmp_path, instance, 0.02)
        assert alerts.run("shadow_job") and alerts.run("compare_job")
        alerts.tick()
    assert alerts.subjects() == [("begins", "compare_summary/no_upsizes")]
    with quiet_instance(tmp_path / "other") as instance:
        again = Alerts(alerts.settings, instance)
        assert again.run("compare_job")
        again.tick()
    assert again.subjects() == [("begins", "compare_summary/no_upsizes")]
