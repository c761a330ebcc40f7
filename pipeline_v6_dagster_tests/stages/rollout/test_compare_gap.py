"""Where no compare comes, the executor turns v6 off by itself: whoever comes next pauses, and no time is served."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.errors import BusyError, RefusedError
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutRecord
from pipeline_v6_dagster.logs.compare_log import open_compare_log
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.rollout.act import COMPARE, act
from pipeline_v6_dagster.stages.rollout.downward import refresh_rollout
from pipeline_v6_dagster.stages.rollout.status import read_rollout_status
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster_tests.homes import fixed
from pipeline_v6_dagster_tests.rollout.desk import PLAN, Desk

LIMIT_S = 2700.0
GAP_S = 25 * 3600.0


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("template") / "home")
    first, *others = PLAN["stages"]
    desk.plan({"stages": [first | {"min_hours": 2}, *others]})
    desk.begin_canary()
    return desk


@pytest.fixture
def canary(template: Desk, tmp_path: Path) -> Desk:
    return template.copied(tmp_path / "home")


def heartbeat(desk: Desk) -> RolloutRecord | None:
    return refresh_rollout(desk.settings, desk.now)


def write_block(desk: Desk, *, rebuild: bool = False) -> None:
    """A compare that is killed before it follows its own evidence."""
    limits = load_configuration(desk.settings.risk_limits, desk.settings.pairs_universe).limits
    run_shadow(desk.settings, limits, fixed(desk.now))
    refresh_head(desk.settings, desk.now)
    run_compare(desk.settings, limits, fixed(desk.now), rebuild=rebuild)


def compare(desk: Desk) -> RolloutRecord | None:
    write_block(desk)
    return desk.follow()


def rebuild(desk: Desk) -> RolloutRecord | None:
    write_block(desk, rebuild=True)
    return desk.follow()


@pytest.mark.parametrize(("first", "by"), [(heartbeat, "heartbeat"), (compare, COMPARE), (rebuild, COMPARE)])
def test_whoever_comes_first_after_a_gap_pauses(
    canary: Desk, first: Callable[[Desk], RolloutRecord | None], by: str
) -> None:
    canary.trade(GAP_S)
    paused = first(canary)
    assert paused is not None
    assert (paused.event, paused.by, canary.file.state) == (RolloutEvent.PAUSE, by, "paused")
    assert "nothing shows that v6 still does what it should" in paused.why
    assert canary.rollout.served_s(canary.now) <= LIMIT_S
    assert heartbeat(canary) is None
    compare(canary)
    assert canary.act(RolloutEvent.RESUME).state == "canary"
    canary.trade(600)
    assert canary.tick() is None
    with pytest.raises(RefusedError, match=r"stage one has lasted .* of 2 h"):
        canary.act(RolloutEvent.APPROVE)


def test_a_block_of_a_killed_compare_hides_no_gap(canary: Desk) -> None:
    canary.trade(GAP_S)
    write_block(canary)
    canary.now += 60
    report = read_rollout_status(canary.settings, canary.now)
    assert report.exit_code == 1
    assert any("no compare came from" in text for text in report.problems)
    assert report.served_s == LIMIT_S
    paused = heartbeat(canary)
    assert paused is not None
    assert paused.served_until_ts == paused.ts - 60 - GAP_S + LIMIT_S


@pytest.mark.parametrize("event", [RolloutEvent.HALT, RolloutEvent.REDUCE])
def test_a_stop_after_a_gap_pauses_too(canary: Desk, event: RolloutEvent) -> None:
    canary.trade(GAP_S)
    write_block(canary)
    canary.act(event)
    assert (canary.file.state, canary.file.trading_state) == ("paused", canary.rollout.trading_state)
    assert canary.rollout.trading_state != "active"
    assert canary.rollout.served_s(canary.now) == LIMIT_S
    canary.act(RolloutEvent.RESUME)
    assert (canary.file.state, canary.file.trading_state) == ("paused", "active")


def test_a_halt_that_is_lifted_after_a_gap_leaves_a_pause(canary: Desk) -> None:
    canary.act(RolloutEvent.HALT)
    canary.trade(GAP_S)
    write_block(canary)
    canary.act(RolloutEvent.RESUME)
    assert (canary.file.state, canary.file.trading_state) == ("paused", "active")
    assert canary.rollout.served_s(canary.now) == LIMIT_S


def test_an_approval_after_a_gap_is_refused_and_leaves_a_pause(canary: Desk) -> None:
    canary.trade(GAP_S)
    write_block(canary)
    with pytest.raises(RefusedError, match="it is paused; resume or roll back first"):
        canary.act(RolloutEvent.APPROVE)
    assert canary.file.state == "paused"


def test_a_pause_by_hand_after_a_gap_serves_no_more(canary: Desk) -> None:
    canary.trade(GAP_S)
    canary.act(RolloutEvent.PAUSE)
    assert canary.rollout.served_s(canary.now) == LIMIT_S


def test_the_usual_intervals_pause_nothing_and_serve_all_the_time(canary: Desk) -> None:
    for _ in range(6):
        for _ in range(3):
            canary.trade(300)
            assert heartbeat(canary) is None
        assert compare(canary) is None
        assert heartbeat(canary) is None
    assert canary.rollout.served_s(canary.now) == 6 * 900
    assert rebuild(canary) is None
    canary.settings.rollout_state.unlink()
    assert heartbeat(canary) is None
    assert canary.file.state == "canary"


def test_the_first_compare_after_an_approval_pauses_nothing(canary: Desk) -> None:
    canary.act(RolloutEvent.ROLLBACK)
    canary.trade(GAP_S)
    canary.tick()
    canary.act(RolloutEvent.APPROVE)
    canary.trade(LIMIT_S)
    assert compare(canary) is None
    assert canary.file.state == "canary"


def test_a_gap_before_a_resume_pauses_nothing_again(canary: Desk) -> None:
    canary.act(RolloutEvent.PAUSE)
    canary.trade(GAP_S)
    canary.tick()
    canary.act(RolloutEvent.RESUME)
    canary.trade(600)
    assert canary.tick() is None


@pytest.mark.parametrize("step_s", [86_400.0, -3600.0, -86_400.0])
def test_a_clock_that_steps_breaks_nothing(canary: Desk, step_s: float) -> None:
    right = canary.now
    canary.now = right + step_s
    stepped = heartbeat(canary)
    assert stepped is not None
    assert stepped.event is RolloutEvent.PAUSE
    canary.now = right + 60
    heartbeat(canary)
    write_block(canary)
    canary.act(RolloutEvent.RESUME)
    assert heartbeat(canary) is None
    assert canary.rollout.served_s(canary.now) <= LIMIT_S


def test_a_clock_that_stepped_back_by_less_than_the_limit_pauses_nothing(canary: Desk) -> None:
    canary.now -= 1800
    assert heartbeat(canary) is None
    compare(canary)
    assert canary.file.state == "canary"


def test_a_compare_log_that_is_gone_pauses(canary: Desk) -> None:
    open_compare_log(canary.settings).remove()
    paused = heartbeat(canary)
    assert paused is not None
    assert "holds no compare" in paused.why
    with pytest.raises((RefusedError, BusyError)):
        act(canary.settings, RolloutEvent.APPROVE, "alice", "go", fixed(canary.now))
