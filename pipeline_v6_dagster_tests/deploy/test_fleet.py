"""A fleet on the real RabbitMQ and PostgreSQL: eight executors on two hosts, faults in three, and what is killed heals.

What holds is asserted by ids, slots and lines, and waited for with patience: a loaded machine may be slow, not wrong.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemotePartitionSetOrigin, RemoteRepositoryOrigin

from pipeline_v6_dagster.config.fleet import Fleet, load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs.fleet.summary import read_reported
from pipeline_v6_dagster.logs.compare_log import classify_line, open_compare_log, read_end
from pipeline_v6_dagster.logs.replay_rows import REPLAY_VIEW, REPLAYS, replay_table
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster.storage.delta_table import format_month, open_table, query_tables
from pipeline_v6_dagster.storage.jsonl_log import LineKind
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deployment import LOCATION, wait_for
from pipeline_v6_dagster_tests.fleet_deployment import FleetDeployment, fleet_services_missing, fleet_set_up
from pipeline_v6_dagster_tests.fleet_feeds import ENVIRON, FAULTS, HISTORY_S, Feeds, run_by_hand
from pipeline_v6_dagster_tests.fleets import fleet_settings
from pipeline_v6_dagster_tests.receiver import Receiver, receiving

# One daemon at a time: each is watched while it keeps its intervals.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

PATIENCE_S = 300.0
LEFT = ("sound-1", "sound-2", "sound-3", "opposite-side")
RIGHT = ("sound-4", "sound-5", "double-size", "downsize")
VERDICTS = {name: "FAIL" if name in FAULTS else "PASS" for name in (*LEFT, *RIGHT)}
REPLAYED = ("sound-1", "sound-4")
JOBS = ("shadow_job", "compare_job")

PARTITION_TAG = "dagster/partition"
PARENT_TAG = "dagster/parent_run_id"
SLOT_TAG = "pipeline_v6/slot"


def compared_ts(settings: Settings, intent_id: str) -> float:
    """When the block was written that holds the intent."""
    log, is_found = open_compare_log(settings), False
    for line in settings.compare_diffs.read_bytes().splitlines():
        is_found = is_found or f'"{intent_id}"'.encode() in line
        if is_found and classify_line(line) is LineKind.BLOCK_END:
            return read_end(log, line).summary.generated_ts
    return pytest.fail(f"{settings.executor}: {intent_id} was not compared")


def runs_of(instance: dg.DagsterInstance, **filters: Any) -> list[dg.RunRecord]:
    """Runs, oldest first."""
    return sorted(instance.get_run_records(dg.RunsFilter(**filters)), key=lambda each: each.storage_id)


class Trial:
    """One set-up at work, and what is seen of it."""

    def __init__(
        self, deployment: FleetDeployment, instance: dg.DagsterInstance, feeds: Feeds, hosts: Mapping[str, str]
    ) -> None:
        self._deployment, self.instance, self._feeds, self._hosts = deployment, instance, feeds, hosts
        self.settings = deployment.settings
        self.code_port = int(deployment.environ["PIPELINE_V6_CODE_PORT"])

    def wait(self, what: str, is_so: Callable[[], object]) -> Any:
        try:
            return wait_for(what, is_so, PATIENCE_S, every_s=2.0)
        except pytest.fail.Exception as failure:
            told = f"{failure}; {self.verdicts()}; {self.troubles()}; {self._deployment.logs()}"
            raise AssertionError(told) from None

    def troubles(self) -> list[tuple[str, str, str, dict[str, str], list[str]]]:
        """The runs that did not succeed, and those that try them again, with what Dagster said of them last."""
        runs = [each.dagster_run for each in runs_of(self.instance)]
        return [
            (run.run_id, run.job_name, run.status.value, run.tags, self._said_of(run.run_id))
            for run in runs
            if not run.is_success or PARENT_TAG in run.tags
        ]

    def _said_of(self, run_id: str) -> list[str]:
        events = [entry.dagster_event for entry in self.instance.all_logs(run_id)]
        return [f"{event.message} {event.event_specific_data}"[:2000] for event in events[-8:] if event is not None]

    def start_worker(self, side: str) -> None:
        # Runs of the whole fleet have a queue of their own.
        others = [None] if side == "left" else []
        self._deployment.start_worker(side, [self._hosts[side], *others])

    def verdicts(self) -> dict[str, str]:
        """The verdict of each executor that its runs have reported."""
        found = read_reported(self.instance, self.settings, time.time())
        return {row.name: row.verdict.value for row in found.executors}

    def wait_for_part(self, intent_id: str, names: Sequence[str]) -> None:
        self.wait(f"{intent_id} is compared", lambda: self._feeds.are_compared(intent_id, names))

    def assert_within_two_intervals(self, names: Iterable[str], intent_id: str, since_ts: float) -> None:
        """The second run that an interval asked for after `since_ts` has compared what was logged before."""
        for name in names:
            tags = {PARTITION_TAG: name}
            asked = runs_of(self.instance, job_name="compare_job", tags=tags)
            ended = [
                each.end_time
                for each in asked
                if each.create_timestamp.timestamp() > since_ts and PARENT_TAG not in each.dagster_run.tags
            ]
            second_s = ended[1] if len(ended) > 1 else None
            at_s = compared_ts(load_fleet(self.settings).executor(name).settings, intent_id)
            assert second_s is None or at_s <= second_s, f"{name}: compared {at_s - second_s} s after the second run"

    def kill_left_and_daemon(self) -> str:
        """SIGKILL for a worker and the daemon while the worker has a run; returns that run."""
        for _ in range(5):
            wait_for("a run on the left", self._started_on_left, PATIENCE_S, every_s=0.05)
            self._deployment.kill("left")
            time.sleep(1)  # What it had told PostgreSQL in its last instant is visible by then.
            run_id = self._started_on_left()
            if run_id is not None:
                self._deployment.kill("daemon")
                return run_id
            self.start_worker("left")  # It ended in the last instant.
        return pytest.fail("no run was in flight when the worker was killed")

    def _started_on_left(self) -> str | None:
        started = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return next((run.run_id for run in started if run.tags.get(PARTITION_TAG) in LEFT), None)

    def is_tried_again(self, run_id: str) -> bool:
        """Whether the run has failed, and what tries it again has succeeded."""
        again = self.instance.get_runs(dg.RunsFilter(tags={PARENT_TAG: run_id}))
        run = self.instance.get_run_by_id(run_id)
        assert len(again) <= 1
        return run is not None and run.is_failure and bool(again) and again[0].is_success

    def wait_on_right(self) -> bool:
        """Whether each executor whose host is away has a run that waits for it."""
        return all(
            runs_of(self.instance, job_name="compare_job", tags={PARTITION_TAG: name})[-1].dagster_run.is_finished
            is False
            for name in RIGHT
        )


@pytest.fixture
def hosts() -> dict[str, str]:
    """Names that no other test uses: queues are named after them."""
    mark = uuid4().hex[:8]
    return {side: f"{side}-{mark}" for side in ("left", "right")}


@pytest.fixture
def trial(tmp_path: Path, hosts: dict[str, str], receiver: Receiver) -> Iterator[tuple[Trial, Feeds, FleetDeployment]]:
    missing = fleet_services_missing()
    if missing is not None:
        pytest.skip(missing)
    tables = {name: [f'host = "{hosts["left" if name in LEFT else "right"]}"'] for name in VERDICTS}
    environ = {**ENVIRON, "PIPELINE_V6_ALERT_URLS": receiver.url}
    base = fleet_settings(tmp_path / "home", tables, **environ)
    feeds = Feeds(base, load_fleet(base), time.time())
    with fleet_set_up(base, tmp_path / "dagster", **environ) as deployment, deployment.instance() as instance:
        yield Trial(deployment, instance, feeds, hosts), feeds, deployment


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_each_executor_has_its_verdict_and_what_is_killed_heals(
    trial: tuple[Trial, Feeds, FleetDeployment], receiver: Receiver
) -> None:
    seen, feeds, deployment = trial
    deployment.start_control()
    for side in ("left", "right"):
        seen.start_worker(side)
    seen.wait("each executor has its verdict", lambda: seen.verdicts() == VERDICTS)

    # A worker and the daemon, in the middle of a run.
    last = feeds.write(1)
    killed = seen.kill_left_and_daemon()
    deployment.start_daemon()
    seen.start_worker("left")
    back_ts = time.time()
    seen.wait_for_part(last, list(VERDICTS))
    seen.assert_within_two_intervals(VERDICTS, last, back_ts)
    seen.wait("the run that was killed is tried again", lambda: seen.is_tried_again(killed))

    # A host goes away. The other goes on, and it catches up.
    deployment.kill("right")
    last = feeds.write(2)
    seen.wait_for_part(last, LEFT)
    seen.wait("runs wait for the host", seen.wait_on_right)
    assert not any(feeds.are_compared(last, [name]) for name in RIGHT)
    seen.start_worker("right")
    back_ts = time.time()
    backfill = launch_backfill(seen)
    seen.wait_for_part(last, RIGHT)
    seen.assert_within_two_intervals(RIGHT, last, back_ts)
    seen.wait("each executor has its verdict still", lambda: seen.verdicts() == VERDICTS)

    seen.wait("the backfill has ended", lambda: has_ended(seen.instance, backfill))
    assert_all_replayed(seen, backfill)
    seen.wait("the alerts", lambda: len(receiver.received) >= len(FAULTS))
    seen.wait("the status of the fleet", lambda: status_shows_all(seen))
    deployment.stop_processes()
    assert_each_slot_once(seen.instance)
    assert_one_alert_each(receiver)
    assert_nothing_lost_nothing_twice(load_fleet(seen.settings), feeds)


def replayed_months() -> list[str]:
    """This month and the one before: of any 33 days both have some."""
    now = time.time()
    return sorted({format_month(now), format_month(now - HISTORY_S)})[-2:]


def launch_backfill(seen: Trial) -> str:
    """What the UI does: the daemon launches a run for each partition."""
    keys = [dg.MultiPartitionKey({"executor": name, "month": f"{month}-01"}) for name, month in _replayed()]
    code = GrpcServerCodeLocationOrigin("127.0.0.1", seen.code_port, location_name=LOCATION)
    backfill = PartitionBackfill(
        backfill_id=uuid4().hex[:8],
        status=BulkActionStatus.REQUESTED,
        from_failure=False,
        tags={},
        backfill_timestamp=time.time(),
        partition_set_origin=RemotePartitionSetOrigin(
            repository_origin=RemoteRepositoryOrigin(code_location_origin=code, repository_name="__repository__"),
            partition_set_name="replay_results_job_partition_set",
        ),
        partition_names=keys,
    )
    seen.instance.add_backfill(backfill)
    return backfill.backfill_id


def _replayed() -> list[tuple[str, str]]:
    return list(product(REPLAYED, replayed_months()))


def has_ended(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    backfill = instance.get_backfill(backfill_id)
    return backfill is not None and backfill.status in BULK_ACTION_TERMINAL_STATUSES


def assert_all_replayed(seen: Trial, backfill_id: str) -> None:
    """Each executor and month has a run, on the queue of its host, and its rows for each configuration."""
    backfill = seen.instance.get_backfill(backfill_id)
    assert backfill is not None
    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS, backfill.error
    runs = runs_of(seen.instance, tags={"dagster/backfill": backfill_id})
    assert len(runs) == len(_replayed())
    fleet = load_fleet(seen.settings)
    for run in runs:
        tags = run.dagster_run.tags
        assert tags["dagster-celery/queue"] == fleet.executor(tags["dagster/partition/executor"]).queue
    table = open_table(replay_table(seen.settings), REPLAYS)
    query = "SELECT executor, month, configuration, stopped > 0 FROM replays WHERE rule IS NULL ORDER BY 1, 2, 3"
    rows = query_tables({"replay_results": table}, {"replays": REPLAY_VIEW}, query).rows
    expected = [(*each, name, name == "strict") for each in _replayed() for name in ("same", "strict")]
    assert rows == expected


def assert_each_slot_once(instance: dg.DagsterInstance) -> None:
    """No executor has two runs of a job in one interval, but for one that tries a killed one again."""
    for job_name in JOBS:
        tags = [run.dagster_run.tags for run in runs_of(instance, job_name=job_name)]
        slots = Counter((each[PARTITION_TAG], each[SLOT_TAG]) for each in tags if PARENT_TAG not in each)
        assert {name for name, _ in slots} == set(VERDICTS)
        assert set(slots.values()) == {1}, slots


def assert_one_alert_each(receiver: Receiver) -> None:
    """Each faulty executor is named by one message, and nothing else was sent."""
    subjects = sorted(title.partition(" on ")[0] for title in receiver.titles())
    expected = [f"pipeline v6: ERROR: compare_summary/{criterion} of {name}" for name, criterion in FAULTS.items()]
    assert subjects == sorted(expected)


def status_shows_all(seen: Trial) -> bool:
    """Whether exactly the faulty executors say no, and the others yes; the worst of them is the exit code."""
    job = build_defs(seen.settings).resolve_job_def("fleet_summary_job")
    assert job.execute_in_process(instance=seen.instance).success
    environ = {**ENVIRON, "PIPELINE_V6_FLEET": str(seen.settings.fleet_file)}
    outcome = pipeline_v6(seen.settings.home, "fleet", "status", "--json", **environ)
    rows = {row["name"]: (row["verdict"], row["exit_code"]) for row in json.loads(outcome.stdout)["executors"]}
    expected = {name: (verdict, int(name in FAULTS)) for name, verdict in VERDICTS.items()}
    return (outcome.exit_code, rows) == (1, expected)


def assert_nothing_lost_nothing_twice(fleet: Fleet, feeds: Feeds) -> None:
    """Our logs hold what one run by hand over all of the orders writes: each decision once, and compared once."""
    for part in feeds.parts:
        write_feed(feeds.clean, part)
    run_by_hand(feeds.clean)
    expected = decision_ids(feeds.clean)
    assert expected[0] == expected[1]
    for executor in fleet.executors.values():
        assert verify_logs(executor.settings).is_whole, executor.name
        assert decision_ids(executor.settings) == expected, executor.name


def decision_ids(settings: Settings) -> tuple[list[str], list[str]]:
    """What was decided, and what was compared without the revisions."""
    decided, diffs = (
        [json.loads(line) for line in path.read_bytes().splitlines()]
        for path in (settings.shadow_log, settings.compare_diffs)
    )
    compared = [row["decision_id"] for row in diffs if row.get("decision_id") and row.get("revision_of") is None]
    return sorted(row["decision_id"] for row in decided), sorted(compared)
