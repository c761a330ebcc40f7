"""A stop works whatever is wrong with the history, and outlives whatever runs next."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import BusyError, DataError, PipelineError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutEvent
from pipeline_v6_dagster.logs.rollout_log import read_rollout
from pipeline_v6_dagster.simulator.rollout_reader import RolloutReader
from pipeline_v6_dagster.stages.rollout.act import act
from pipeline_v6_dagster.stages.rollout.unrecorded_stop import UnrecordedStop
from pipeline_v6_dagster.storage import lock
from pipeline_v6_dagster_tests.homes import fixed
from pipeline_v6_dagster_tests.rollout.desk import Desk


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("template") / "home")
    desk.begin_canary()
    return desk


@pytest.fixture
def canary(template: Desk, tmp_path: Path) -> Desk:
    return template.copied(tmp_path / "home")


def append_garbage(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"garbage\n")


def change_a_byte(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"event":"begin"', b'"event":"begun"'))


def contradict(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"state":"canary"', b'"state":"live"'))


def put_a_folder_in_its_place(log: Path) -> None:
    log.rename(log.with_name("away.jsonl"))
    log.mkdir()


DAMAGES = [append_garbage, change_a_byte, contradict, put_a_folder_in_its_place]
damaged = pytest.mark.parametrize("damage", DAMAGES)


def stop(desk: Desk, event: RolloutEvent, by: str = "ben") -> UnrecordedStop:
    done = act(desk.settings, event, by, "incident", fixed(desk.now))
    assert isinstance(done, UnrecordedStop)
    return done


def beat_and_compare(desk: Desk) -> None:
    """What cron runs next: it fails as long as the history is damaged."""
    desk.trade(600)
    for _ in range(2):
        with pytest.raises(PipelineError):
            desk.tick()


def move_away(desk: Desk) -> None:
    """What docs/rollout.md tells a person to do."""
    log = desk.settings.rollout_log
    log.rename(log.with_name("pipeline_v6_damaged.jsonl"))


@damaged
@pytest.mark.parametrize(
    ("event", "trading_state"),
    [
        (RolloutEvent.HALT, TradingState.HALTED),
        (RolloutEvent.REDUCE, TradingState.REDUCING),
        (RolloutEvent.PAUSE, TradingState.ACTIVE),
        (RolloutEvent.ROLLBACK, TradingState.ACTIVE),
    ],
)
def test_a_stop_is_in_effect_although_the_history_is_damaged(
    canary: Desk, damage: Callable[[Path], None], event: RolloutEvent, trading_state: TradingState
) -> None:
    reader = RolloutReader(canary.settings.rollout_state, lambda: canary.now)
    assert reader.read()[0] == {"BTCUSDT"}
    damage(canary.settings.rollout_log)
    done = stop(canary, event)
    assert done.problem
    assert done.file == canary.file
    assert (canary.file.state, canary.file.symbols, canary.file.trading_state) == ("off", (), trading_state)
    assert (canary.file.by, canary.file.since_ts) == ("ben", canary.now)
    assert reader.read() == (frozenset(), 0.0)
    assert reader.trading_state == trading_state


@damaged
def test_it_outlives_heartbeat_and_compare_and_is_lifted_by_a_resume_alone(
    canary: Desk, damage: Callable[[Path], None]
) -> None:
    damage(canary.settings.rollout_log)
    stop(canary, RolloutEvent.HALT)
    beat_and_compare(canary)
    assert (canary.file.state, canary.file.trading_state, canary.file.by) == ("off", "halted", "ben")
    with pytest.raises(PipelineError):
        canary.act(RolloutEvent.RESUME)
    assert canary.file.trading_state == "halted"
    move_away(canary)
    canary.tick()
    assert (canary.rollout.state, canary.rollout.trading_state) == ("off", "halted")
    (recorded,) = read_rollout(canary.settings)[0]
    assert (recorded.event, recorded.by) == ("halt", "ben")
    assert "incident" in recorded.why
    canary.act(RolloutEvent.RESUME)
    assert (canary.file.state, canary.file.trading_state) == ("off", "active")


@pytest.mark.parametrize("event", [RolloutEvent.HALT, RolloutEvent.PAUSE, RolloutEvent.ROLLBACK])
@pytest.mark.parametrize("is_file_lost", [False, True])
def test_a_history_that_is_repaired_gives_nothing_back(canary: Desk, event: RolloutEvent, is_file_lost: bool) -> None:
    whole = canary.settings.rollout_log.read_bytes()
    append_garbage(canary.settings.rollout_log)
    if is_file_lost:
        canary.settings.rollout_state.unlink()
    stop(canary, event)
    canary.settings.rollout_log.write_bytes(whole)
    canary.tick()
    assert canary.rollout.state not in PLACING
    assert (canary.file.symbols, canary.file.trading_state == "halted") == ((), event is RolloutEvent.HALT)


def test_a_stop_makes_no_halt_more_lenient(canary: Desk) -> None:
    canary.act(RolloutEvent.HALT)
    append_garbage(canary.settings.rollout_log)
    for event in (RolloutEvent.REDUCE, RolloutEvent.PAUSE):
        stop(canary, event)
        assert canary.file.trading_state == "halted"
    canary.settings.rollout_state.unlink()
    stop(canary, RolloutEvent.PAUSE)
    assert canary.file.trading_state == "halted"


def test_where_nothing_tells_of_a_halt_a_pause_leaves_no_file(canary: Desk) -> None:
    put_a_folder_in_its_place(canary.settings.rollout_log)
    canary.settings.rollout_state.unlink()
    with pytest.raises(PipelineError):
        act(canary.settings, RolloutEvent.PAUSE, "ben", "incident", fixed(canary.now))
    assert not canary.settings.rollout_state.exists()
    stop(canary, RolloutEvent.HALT)
    assert canary.file.trading_state == "halted"


@pytest.mark.parametrize("sequence", [2**50 - 1, 2**64])
def test_an_absurd_sequence_stops_no_stop(canary: Desk, sequence: int) -> None:
    file = canary.settings.rollout_state
    file.write_bytes(file.read_bytes().replace(b'"sequence": 2', b'"sequence": %d' % sequence))
    append_garbage(canary.settings.rollout_log)
    stop(canary, RolloutEvent.HALT)
    with pytest.raises(DataError):
        canary.tick()
    assert canary.file.trading_state == "halted"


def test_a_compare_log_that_cannot_be_read_stops_no_halt(canary: Desk) -> None:
    log = canary.settings.compare_diffs
    log.rename(log.with_name("away.jsonl"))
    log.mkdir()
    canary.act(RolloutEvent.HALT)
    assert (canary.file.trading_state, canary.rollout.trading_state) == ("halted", "halted")
    assert canary.file.valid_until <= canary.now


def test_whoever_holds_the_lock_is_waited_for(canary: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCK_TIMEOUT_S", 0.05)
    with lock.locked(canary.settings.rollout_log), pytest.raises(BusyError):
        act(canary.settings, RolloutEvent.HALT, "ben", "incident", fixed(canary.now))


def test_a_lock_that_cannot_be_made_stops_no_halt(canary: Desk) -> None:
    lock_file = canary.settings.rollout_log.with_name(f".{canary.settings.rollout_log.name}.lock")
    lock_file.unlink(missing_ok=True)
    lock_file.mkdir()
    stop(canary, RolloutEvent.HALT)
    assert canary.file.trading_state == "halted"
    shutil.rmtree(lock_file)
    canary.tick()
    assert (canary.rollout.state, canary.rollout.trading_state) == ("rolled_back", "halted")
