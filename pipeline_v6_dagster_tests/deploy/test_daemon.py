"""The production set-up under a simulated executor: every interval once, alerts once, and it heals after SIGKILL.

What holds is asserted by slots, ids and lines, and waited for with patience: a loaded machine may be slow, not wrong.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deployment import (
    Deployment,
    deployed,
    is_excused,
    postgres_missing,
    wait_for,
    with_constants,
)
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.receiver import SECRET, Receiver, receiving

# One daemon at a time: each is watched while it keeps its intervals.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

INTERVAL_S = 20
OBSERVED_S = 180.0
PATIENCE_S = 180.0
HISTORY_S = 2400.0

UPSIZE = "compare_summary/no_upsizes"
SLOT_TAG = "pipeline_v6/slot"
# Dagster's mark on a run that tries a crashed one again.
RETRY_TAG = "dagster/parent_run_id"


class Feed:
    """An executor that goes on trading. On demand it places the next opening order twice as large as asked for."""

    def __init__(self, settings: Settings, executor: SimulatedExecutor) -> None:
        self._settings, self._executor = settings, executor
        self._stop = threading.Event()
        self._upsizes_wanted = 0
        self._opening: set[str] = set()
        self.upsized: list[str] = []
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def upsize(self) -> str:
        """Double the next order; returns its intent once its fill is logged."""
        number = len(self.upsized) + 1
        self._upsizes_wanted = number
        wait_for("an order was upsized", lambda: len(self.upsized) >= number, PATIENCE_S)
        return self.upsized[-1]

    def _go_on(self) -> None:
        while not self._stop.wait(0.5):
            write_feed(self._settings, map(self._changed, self._executor.run(time.time())))

    def _changed(self, line: LogLine) -> LogLine:
        row = line.row
        if line.log == "orders_attempted" and not row["reduce_only"]:
            self._opening.add(row["intent_id"])
        if line.log != "orders_executed":
            return line
        is_asked = len(self.upsized) < self._upsizes_wanted
        if is_asked and row["event_type"] == "order_ack" and row["intent_id"] in self._opening:
            self.upsized.append(row["intent_id"])
        if row.get("intent_id") not in self.upsized:
            return line
        return replace(line, row=row | {name: 2 * row[name] for name in ("request_qty", "executedQty") if name in row})

    @contextmanager
    def running(self) -> Iterator["Feed"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join(30)


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    missing = postgres_missing() if name == "postgres" else None
    if missing is not None:
        pytest.skip(missing)
    return name


def list_runs(instance: dg.DagsterInstance, job_name: str) -> list[dg.RunRecord]:
    """The runs of a job that an interval asked for, oldest first."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name))
    asked = [each for each in records if SLOT_TAG in each.dagster_run.tags and RETRY_TAG not in each.dagster_run.tags]
    return sorted(asked, key=lambda each: each.storage_id)


def read_slot(record: dg.RunRecord) -> int:
    return int(record.dagster_run.tags[SLOT_TAG].split("/")[1])


def succeeded(instance: dg.DagsterInstance, job_name: str, since_ts: float) -> int:
    return sum(
        each.create_timestamp.timestamp() > since_ts and each.dagster_run.status is dg.DagsterRunStatus.SUCCESS
        for each in list_runs(instance, job_name)
    )


def assert_once_per_slot(instance: dg.DagsterInstance, job_name: str, outage: tuple[float, float]) -> None:
    """No slot has two runs; every slot has one but for the outage and those in which a run was in flight all along."""
    runs = list_runs(instance, job_name)
    counted = Counter(map(read_slot, runs))
    assert set(counted.values()) == {1}, counted
    interval_s = float(runs[0].dagster_run.tags[SLOT_TAG].split("s/")[0])
    missed = set(range(min(counted), max(counted) + 1)) - set(counted)
    unexcused = [
        slot
        for slot in missed
        if not is_excused(slot * interval_s, (slot + 1) * interval_s, [outage, *map(_flight, runs)])
    ]
    assert not unexcused, f"{job_name}: no run in the slots {unexcused} of {sorted(counted)}"
    assert len(counted) > len(missed), f"{job_name}: most intervals were missed"


def _flight(run: dg.RunRecord) -> tuple[float, float]:
    return run.create_timestamp.timestamp() - 1, (run.end_time or run.update_timestamp.timestamp()) + 1


def outbox(settings: Settings) -> tuple[list[dict[str, Any]], Counter[str]]:
    """(messages, how often each was delivered)."""
    rows = [json.loads(line) for line in settings.alert_outbox.read_bytes().splitlines()]
    messages = [row for row in rows if row["type"] == "message"]
    return messages, Counter(row["alert_id"] for row in rows if row["type"] == "delivery")


def upsize_titles(receiver: Receiver) -> list[str]:
    return [title for title in receiver.titles() if UPSIZE in title]


def list_decisions(path: Path) -> list[str]:
    return [json.loads(line)["decision_id"] for line in path.read_bytes().splitlines()]


def read_diffs(path: Path) -> list[tuple[str, str | None]]:
    rows = (json.loads(line) for line in path.read_bytes().splitlines())
    return [(row["decision_id"], row.get("revision_of")) for row in rows if row.get("decision_id")]


def assert_nothing_lost_nothing_twice(settings: Settings, tmp_path: Path) -> None:
    """After a last run by hand our logs hold what one run over all of the inputs writes."""
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    report = verify_logs(settings)
    assert report.is_whole, report
    decided = list_decisions(settings.shadow_log)
    compared = [decision for decision, revision in read_diffs(settings.compare_diffs) if revision is None]
    assert len(set(decided)) == len(decided)
    assert len(set(compared)) == len(compared)
    fresh = load_settings(
        {
            "PIPELINE_V6_HOME": str(settings.home),
            "PIPELINE_V6_CONFIG_DIR": str(settings.config_dir),
            "PIPELINE_V6_LOGS_DIR": str(tmp_path / "fresh"),
        },
        tmp_path,
    )
    fresh.logs_dir.mkdir()
    (fresh.logs_dir / "execution").symlink_to(settings.logs_dir / "execution")
    environ = {"PIPELINE_V6_LOGS_DIR": str(fresh.logs_dir)}
    for command in ("shadow", "compare"):
        assert pipeline_v6(settings.home, command, **environ).exit_code == 0
    assert set(list_decisions(fresh.shadow_log)) == set(decided)
    again = {decision for decision, revision in read_diffs(fresh.compare_diffs) if revision is None}
    assert set(compared) <= again


def kill_in_flight(deployment: Deployment, instance: dg.DagsterInstance) -> tuple[str, float]:
    """SIGKILL for everything while a run is in flight; returns that run and when."""
    for _ in range(5):
        wait_for("a run in flight", lambda: _started(instance), PATIENCE_S, every_s=0.05)
        deployment.kill()
        killed_ts = time.time()
        run_id = _started(instance)
        if run_id is not None:
            return run_id, killed_ts
        # It ended in the last instant: start again, and try with the next.
        deployment.start()
    return pytest.fail("no run was in flight when everything was killed")


def _started(instance: dg.DagsterInstance) -> str | None:
    started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]), limit=1)
    return started[0].run_id if started else None


def test_every_interval_once_alerts_once_and_it_heals(storage: str, tmp_path: Path) -> None:
    # On PostgreSQL the schedule is on as well, so its interval is one that a schedule can say.
    has_schedule = storage == "postgres"
    compare_s = 60 if has_schedule else INTERVAL_S
    settings, executor = simulated_home(
        tmp_path / "home", seconds=HISTORY_S, attempts_per_s=0.25, start_ts=time.time() - HISTORY_S
    )
    with receiving() as receiver:
        environ = {
            "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": str(INTERVAL_S),
            "PIPELINE_COMPARE_INTERVAL": str(compare_s),
            "PIPELINE_V6_RUN_TIMEOUT": "30",
            "PIPELINE_V6_ALERT_URLS": receiver.url,
            **with_constants(
                tmp_path / "constants", **{"alerts.states.ALERT_GROUP_S": 0, "defs.run_slots.OVERDUE_GRACE_S": 10}
            ),
        }
        with (
            deployed(settings.home, tmp_path / "dagster", storage, **environ) as deployment,
            Feed(settings, executor).running() as feed,
        ):
            settings = deployment.settings
            with deployment.instance() as instance:
                _go_through(deployment, instance, settings, feed, receiver, has_schedule)
        assert deployment.processes() == []
        _assert_alerts(settings, receiver, feed, tmp_path / "dagster")
    assert_nothing_lost_nothing_twice(settings, tmp_path)


def _go_through(
    deployment: Deployment,
    instance: dg.DagsterInstance,
    settings: Settings,
    feed: Feed,
    receiver: Receiver,
    has_schedule: bool,
) -> None:
    deployment.wait_until_up()
    if has_schedule:
        deployment.start_schedule("compare_schedule")
    wait_for("a first comparison", lambda: succeeded(instance, "compare_job", 0), PATIENCE_S)
    start_ts = time.time()

    # An upsize: one alert.
    first = feed.upsize()
    wait_for("an alert for the upsize", lambda: upsize_titles(receiver), PATIENCE_S)
    (payload,) = [payload for _, _, payload in receiver.received if UPSIZE in payload["title"]]
    assert first in payload["message"]

    # The receiver is down: it comes later.
    receiver.down()
    second = feed.upsize()
    wait_for("the second upsize is in the outbox", lambda: len(_upsize_messages(settings)) == 2, PATIENCE_S)
    assert second in json.dumps(_upsize_messages(settings)[1]["orders"])
    assert len(upsize_titles(receiver)) == 1
    receiver.up()
    wait_for("the alert that had to wait", lambda: len(upsize_titles(receiver)) == 2, PATIENCE_S)

    # SIGKILL with a run in flight, and started again.
    run_id, killed_ts = kill_in_flight(deployment, instance)
    deployment.start()
    for job_name in ("shadow_job", "compare_job"):
        wait_for(f"{job_name} runs again", lambda name=job_name: succeeded(instance, name, killed_ts), PATIENCE_S)
    healed_ts = time.time()
    dead = instance.get_run_by_id(run_id)
    assert dead is not None and dead.is_finished

    wait_for(
        "three minutes of it, one of them after the kill",
        lambda: time.time() > max(start_ts + OBSERVED_S, healed_ts + 2 * INTERVAL_S + 5),
        PATIENCE_S + OBSERVED_S,
    )
    for job_name in ("shadow_job", "compare_job"):
        assert_once_per_slot(instance, job_name, (killed_ts - 1, healed_ts))
    wait_for(
        "status is red, and not stale",
        lambda: pipeline_v6(settings.home, "status", **_intervals(deployment)).exit_code == 1,
        PATIENCE_S,
        every_s=2,
    )


def _intervals(deployment: Deployment) -> dict[str, str]:
    return {name: value for name, value in deployment.environ.items() if name.endswith("_INTERVAL")}


def _upsize_messages(settings: Settings) -> list[dict[str, Any]]:
    if not settings.alert_outbox.exists():
        return []
    return [row for row in outbox(settings)[0] if row["subject"] == UPSIZE]


def _assert_alerts(settings: Settings, receiver: Receiver, feed: Feed, folder: Path) -> None:
    messages, delivered = outbox(settings)
    assert len({row["alert_id"] for row in messages}) == len(messages)
    assert [row["kind"] for row in messages if row["subject"] == UPSIZE] == ["begins", "worsens"]
    assert len(feed.upsized) == 2
    # What the kill left behind may be told as well: a run that died, and that its job works again.
    # An order that is too large may break other criteria as well; each begins once.
    begun = Counter(row["subject"] for row in messages if row["kind"] == "begins")
    others = {subject for subject in begun if not subject.startswith("compare_summary/")}
    assert others <= {"run/shadow_job", "run/compare_job"}, others
    assert all(count == 1 for subject, count in begun.items() if subject.startswith("compare_summary/")), begun
    assert len(upsize_titles(receiver)) == 2
    assert set(delivered.values()) <= {1}
    for log in (*folder.glob("*.log"), settings.alert_outbox):
        assert SECRET not in log.read_text(errors="replace"), log
