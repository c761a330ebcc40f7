"""The alert sensor of a fleet on a real instance: what runs hand over, and runs that fail, grouped and named."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.stages.outputs.fleet_alerts import QUIET_S
from pipeline_v6_dagster_tests.defs.ticking import quiet_instance
from pipeline_v6_dagster_tests.fleets import fleet_settings
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home

pytestmark = pytest.mark.slow

NOW = START_TS + 7200.0
BY_SENSOR = {"dagster/sensor_name": "compare_sensor"}


class FleetAlerts:
    """Runs jobs of executors and ticks the sensor at a given time."""

    def __init__(self, base: Settings, instance: dg.DagsterInstance) -> None:
        self.base, self.instance = base, instance
        self.cursor: str | None = None

    def run(self, name: str, job: str = "compare_job", now: float = NOW) -> str:
        resolved = build_defs(self.base, fixed(now)).resolve_job_def(job)
        return resolved.execute_in_process(
            instance=self.instance, partition_key=name, raise_on_error=False, tags=BY_SENSOR
        ).run_id

    def tick(self, now: float = NOW) -> str:
        repository = build_defs(self.base, fixed(now)).get_repository_def()
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=repository)
        result = repository.get_sensor_def("parity_alert_sensor")(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def sent(self) -> list[tuple[str, str, str]]:
        """(kind, subject, executor) of each message for people."""
        if not self.base.alert_outbox.exists():
            return []
        rows = map(json.loads, self.base.alert_outbox.read_text().splitlines())
        return [
            (row["kind"], row["subject"], row["executor"])
            for row in rows
            if row["type"] == "message" and row["evidence"] == "group of a fleet"
        ]


@pytest.fixture
def alerts(tmp_path: Path) -> Iterator[FleetAlerts]:
    """Two executors with upsizes, decided and not compared; two with a bad limit."""
    base = fleet_settings(tmp_path, {"a": [], "b": [], "bad1": [], "bad2": []})
    for executor in load_fleet(base).executors.values():
        simulated_home(executor.settings.home, seconds=1200, upsize_share=0.2)
        if executor.name.startswith("bad"):
            executor.settings.risk_limits.write_text('{"global": {"max_leverage": "high"}}')
    with quiet_instance(tmp_path / "dagster") as instance:
        instance.add_dynamic_partitions("pipeline_v6_executor", ["a", "b", "bad1", "bad2"])
        found = FleetAlerts(base, instance)
        found.tick()
        for name in ("a", "b"):
            found.run(name, "shadow_job")
        yield found


def test_the_same_failure_of_several_executors_is_one_message_that_names_them(alerts: FleetAlerts) -> None:
    for name in ("a", "b", "bad1", "bad2"):
        alerts.run(name)
    alerts.tick()
    assert alerts.sent() == []
    alerts.tick(NOW + QUIET_S)
    begun = {subject: executor for kind, subject, executor in alerts.sent() if kind == "begins"}
    assert begun["compare_summary/no_upsizes of 2 executors"] == "a, b"
    assert begun["run/compare_job of 2 executors"] == "bad1, bad2"
    assert len(begun) == len(alerts.sent())
    alerts.tick(NOW + 2 * QUIET_S)
    assert len(begun) == len(alerts.sent())


def test_a_lost_cursor_announces_nothing_again(alerts: FleetAlerts) -> None:
    for name in ("a", "bad1"):
        alerts.run(name)
    alerts.tick()
    alerts.tick(NOW + QUIET_S)
    sent = alerts.sent()
    assert sent
    alerts.cursor = None
    alerts.tick(NOW + 60)
    alerts.tick(NOW + 600)
    assert alerts.sent() == sent


def test_an_executor_whose_runs_work_again_is_over(alerts: FleetAlerts) -> None:
    alerts.run("bad1")
    alerts.tick()
    alerts.tick(NOW + QUIET_S)
    good = load_fleet(alerts.base).executor("a").settings.risk_limits
    load_fleet(alerts.base).executor("bad1").settings.risk_limits.write_bytes(good.read_bytes())
    alerts.run("bad1", now=NOW + 60)
    alerts.tick(NOW + 60)
    alerts.tick(NOW + 60 + QUIET_S)
    about_runs = [(kind, subject) for kind, subject, _ in alerts.sent() if subject.startswith("run/")]
    assert about_runs == [("begins", "run/compare_job of bad1"), ("ends", "run/compare_job of bad1")]


def test_an_executor_that_hands_over_names_itself_and_its_own_outbox_knows_it(alerts: FleetAlerts) -> None:
    alerts.run("a")
    own = load_fleet(alerts.base).executor("a").settings
    rows = [json.loads(line) for line in own.alert_outbox.read_text().splitlines()]
    messages = {row["alert_id"] for row in rows if row["type"] == "message"}
    assert messages
    assert {row["executor"] for row in rows if row["type"] == "message"} == {"a"}
    taken = [row["alert_id"] for row in rows if row["type"] == "delivery" and row["channel"] == "fleet"]
    assert sorted(taken) == sorted(messages)
