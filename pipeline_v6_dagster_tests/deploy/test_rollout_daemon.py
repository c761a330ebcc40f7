"""The story of `demo --rollout` in the production set-up, with SIGKILL for all of it between fault and rollback."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline_v6_dagster.cli.demo_rollout import RolloutStory
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutFile, RolloutState
from pipeline_v6_dagster.logs.compare_log import BlockEnd, ends_backward, open_compare_log
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file
from pipeline_v6_dagster.logs.rollout_log import read_rollout, read_rollout_now
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deployment import deployed, with_constants
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.receiver import Receiver, receiving
from pipeline_v6_dagster_tests.rollout.desk import LENIENT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

HEARTBEAT_S = 20
# Three of them without a compare pause v6: more than a loaded machine needs to start again.
COMPARE_S = 60
# So long a loaded machine may take to start four processes, and again after they were killed.
PATIENCE_S = 300.0
HISTORY_S, ATTEMPTS_PER_S = 7200.0, 0.05
LIVE_ATTEMPTS_PER_S = 0.5


class Watcher:
    """Reads the executor's file all the time. `found` are the states that it said, `odd` what was no state at all."""

    def __init__(self, settings: Settings) -> None:
        self.found: list[RolloutFile] = []
        self.odd: list[bytes | None] = []
        self._settings = settings
        self._stop = threading.Event()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            found = read_rollout_file(self._settings)
            if isinstance(found, RolloutFile):
                self.found.append(found)
            elif found is not None or self.found:
                self.odd.append(found)

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(30)


def go_on(story: RolloutStory, what: str, is_so: Callable[[], bool]) -> None:
    """Let the story go on until `is_so()`; fail with `what` where it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s; {story.chapter.value}"
        story.step(time.time())
        time.sleep(0.3)


def first_with_broken(settings: Settings, criterion: str) -> BlockEnd:
    """The oldest compare that found a criterion broken."""
    ends = ends_backward(open_compare_log(settings))
    return [end for end in ends if criterion in end.summary.failed_criteria][-1]


def rollback_alerts(receiver: Receiver) -> list[str]:
    messages = [payload["message"] for _, _, payload in receiver.received]
    return [message for message in messages if "rollback by" in message]


def test_a_fault_of_v6_is_rolled_back_although_everything_was_killed_meanwhile(tmp_path: Path) -> None:
    settings, executor = simulated_home(
        tmp_path / "home", seconds=HISTORY_S, attempts_per_s=ATTEMPTS_PER_S, start_ts=time.time() - HISTORY_S
    )
    said: list[str] = []
    with receiving() as receiver:
        environ = LENIENT | {
            "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": str(HEARTBEAT_S),
            "PIPELINE_COMPARE_INTERVAL": str(COMPARE_S),
            "PIPELINE_V6_ALERT_URLS": receiver.url,
            # A run that was killed gives its slot back soon.
            "PIPELINE_V6_RUN_TIMEOUT": "30",
            **with_constants(tmp_path / "constants", **{"defs.run_slots.OVERDUE_GRACE_S": 10}),
        }
        # What `demo` does first: the history is compared before anybody looks.
        for command in ("shadow", "heartbeat", "compare"):
            assert pipeline_v6(settings.home, command, **environ).exit_code == 0
        with deployed(settings.home, tmp_path / "dagster", "sqlite", **environ) as deployment:
            deployment.wait_until_up()
            settings = deployment.settings
            story = RolloutStory(settings, executor, said.append, runs_stages=False)
            executor.trade_faster(LIVE_ATTEMPTS_PER_S)
            with Watcher(settings).watching() as watcher:
                go_on(story, "v6 has a fault", lambda: any(text.startswith("injected: ") for text in said))
                deployment.kill()
                assert read_rollout_now(settings).state is RolloutState.CANARY, said
                assert deployment.processes() == []
                deployment.start()
                go_on(story, "rolled back", lambda: read_rollout_now(settings).state is RolloutState.ROLLED_BACK)
                go_on(story, "an alert", lambda: bool(rollback_alerts(receiver)))
        assert deployment.processes() == []
    _assert_story(settings, said)
    _assert_file(watcher)
    assert len(rollback_alerts(receiver)) == 1
    assert verify_logs(settings).is_whole


def _assert_story(settings: Settings, said: list[str]) -> None:
    records, _ = read_rollout(settings)
    events = [record.event for record in records if record.event not in ("doubt", "clear")]
    # A machine that takes longer than three intervals to start again has its sensor pause first.
    assert [event for event in events if event != "pause"] == ["begin", "approve", "rollback"], said
    assert events[-1] == "rollback"
    approved, rollback = next(each for each in records if each.event == "approve"), records[-1]
    assert rollback.is_automatic
    assert "same_side" in rollback.broken
    broken = first_with_broken(settings, "same_side")
    assert rollback.compare_ts == broken.ts, "within one compare"
    # v6 placed orders in its symbol, within what it was let do, and none once it was rolled back.
    assert "within_rollout" not in broken.summary.failed_criteria
    rows = [json.loads(line) for line in settings.orders_executed.read_bytes().splitlines()]
    placed = [row for row in rows if row.get("placed_by") == "v6"]
    assert approved.stage is not None
    assert {row["symbol"] for row in placed} == set(approved.stage.symbols)
    assert len(approved.stage.symbols) == 1


def _assert_file(watcher: Watcher) -> None:
    assert watcher.odd == []
    sequences = [found.sequence for found in watcher.found]
    assert sequences == sorted(sequences)
    assert {"shadow", "canary", "rolled_back"} <= {found.state for found in watcher.found}
    assert watcher.found[-1].state == "rolled_back"
    assert all(bool(found.symbols) is (found.state in PLACING) for found in watcher.found)
    assert all(found.valid_until - found.generated_ts <= 3 * COMPARE_S for found in watcher.found if found.symbols)
