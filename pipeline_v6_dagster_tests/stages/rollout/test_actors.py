"""Two actors at once, each in a process of its own: one wins, the other says so, the history has one line for it."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import PipelineError
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutFile, RolloutRecord, RolloutState
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file, says_the_same
from pipeline_v6_dagster.logs.rollout_log import read_rollout, read_rollout_now
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.rollout.act import COMPARE, ROLLOUT_SENSOR
from pipeline_v6_dagster_tests.rollout.desk import Desk

# Its children begin where the test is, and end with it.
PROCESSES = multiprocessing.get_context("fork")
ROUNDS = 6
Action = Callable[[], RolloutRecord | None]
# The name of what came back, and what it says.
Answer = tuple[str, str]

pytestmark = pytest.mark.slow


def at_once(*actions: Action) -> list[Answer]:
    """What each process was answered: a line of the history, an error, or nothing."""
    barrier = PROCESSES.Barrier(len(actions))
    pipes = [PROCESSES.Pipe(duplex=False) for _ in actions]

    def run(number: int) -> None:
        barrier.wait(60)
        answer: RolloutRecord | PipelineError | None
        try:
            answer = actions[number]()
        except PipelineError as error:
            answer = error
        pipes[number][1].send((type(answer).__name__, str(answer)))

    processes = [PROCESSES.Process(target=run, args=(number,), daemon=True) for number in range(len(actions))]
    for process in processes:
        process.start()
    answers = []
    for receiver, _ in pipes:
        assert receiver.poll(120)
        answers.append(receiver.recv())
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return answers


def names(answers: list[Answer]) -> list[str]:
    return sorted(name for name, _ in answers)


def assert_whole(desk: Desk) -> None:
    found = read_rollout_file(desk.settings)
    assert isinstance(found, RolloutFile)
    assert says_the_same(read_rollout_now(desk.settings), found)
    assert verify_logs(desk.settings).is_whole


def test_of_two_approvals_one_is_recorded_and_the_other_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(ROUNDS):
        before = len(read_rollout(desk.settings)[0])
        answers = at_once(
            lambda: desk.act(RolloutEvent.APPROVE, "alice"), lambda: desk.act(RolloutEvent.APPROVE, "bob")
        )
        # Whoever comes a moment later asks for the stage above, the hours of which are missing.
        assert names(answers) in (["BusyError", "RolloutRecord"], ["RefusedError", "RolloutRecord"]), answers
        loser = next(text for name, text in answers if name != "RolloutRecord")
        assert "somebody else was first" in loser or "has lasted" in loser
        assert len(read_rollout(desk.settings)[0]) == before + 1, number
        assert (desk.rollout.state, desk.file.stage) == (RolloutState.CANARY, "one")
        assert_whole(desk)
        desk.act(RolloutEvent.ROLLBACK)


def test_of_compare_the_sensor_and_a_person_each_takes_away_once(tmp_path: Path) -> None:
    template = Desk(tmp_path / "template")
    template.begin_canary()
    template.trade(600, fault="opposite-side")
    template.compare()
    for number in range(ROUNDS):
        desk = template.copied(tmp_path / str(number))
        answers = at_once(*takers(desk))
        records = read_rollout(desk.settings)[0][2:]
        assert names(answers).count("RolloutRecord") == len(records), answers
        events = [record.event for record in records]
        assert events in (["rollback"], ["pause", "rollback"]), answers
        paused = answers[2]
        assert (paused[0] == "RolloutRecord") is ("pause" in events)
        assert paused[0] == "RolloutRecord" or "nothing to pause" in paused[1]
        assert desk.file.state == "rolled_back"
        assert_whole(desk)


def takers(desk: Desk) -> tuple[Action, ...]:
    """Compare, the sensor and a person, each of whom takes something away."""
    return (
        lambda: desk.look(COMPARE),
        lambda: desk.look(ROLLOUT_SENSOR),
        lambda: desk.act(RolloutEvent.PAUSE, "bob"),
    )
