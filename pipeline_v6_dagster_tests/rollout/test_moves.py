"""What the evidence allows a person to do, and what it demands of whoever sees it first."""

from dataclasses import replace

import pytest

from pipeline_v6_dagster.domain.errors import RefusedError
from pipeline_v6_dagster.domain.rollout import (
    EpochKey,
    RolloutEvent,
    RolloutPlan,
    RolloutState,
    Stage,
    StagePlan,
)
from pipeline_v6_dagster.domain.verdict import CriterionGroup
from pipeline_v6_dagster.rollout.machine import Doubt, Rollout
from pipeline_v6_dagster.rollout.moves import (
    Move,
    approve,
    find_compare_gap,
    find_critical_move,
    find_downward_move,
    missing_for_next,
    resume,
)
from pipeline_v6_dagster_tests.rollout.evidence import EPOCH, GROUPS, HOUR_S, PLAN, T0, evidence, person

STAGE = Stage(name="one", symbols=("ETHUSDT",), notional_share=0.1, min_hours=24.0)
CANARY = Rollout(sequence=2, state=RolloutState.CANARY, stage=STAGE, epoch=EPOCH, since_ts=T0)
SHADOW = Rollout(sequence=1, state=RolloutState.SHADOW, since_ts=T0)
MAX_AGE_S = 2700.0


def test_the_first_stage_takes_a_pass_and_no_further_hours() -> None:
    assert missing_for_next(SHADOW, PLAN, evidence(), T0) == ()
    (missing,) = missing_for_next(SHADOW, PLAN, evidence(not_yet=("long_enough",)), T0)
    assert missing == "a PASS is needed, and the verdict is INCONCLUSIVE because of long_enough"


def test_a_shut_launch_gate_stands_in_the_way_of_a_pass() -> None:
    stale = replace(evidence(), gate_problems=("summary is 9,000 s old",))
    assert missing_for_next(SHADOW, PLAN, stale, T0) == ("summary is 9,000 s old",)


def test_the_next_stage_takes_the_hours_of_the_present_one() -> None:
    assert missing_for_next(CANARY, PLAN, evidence(), T0 + 24 * HOUR_S) == ()
    (missing,) = missing_for_next(CANARY, PLAN, evidence(), T0 + 23 * HOUR_S)
    assert missing == "stage one has lasted 23 h of 1 d"


def test_a_stage_that_names_a_symbol_without_a_pass_is_refused() -> None:
    plan = RolloutPlan((StagePlan(name="sol", symbols=("SOLUSDT",), notional_share=0.1, min_hours=0.0),))
    assert missing_for_next(SHADOW, plan, evidence(), T0) == ("the PASS does not cover SOLUSDT",)


def test_a_stage_that_left_the_plan_leads_nowhere() -> None:
    gone = replace(CANARY, stage=replace(STAGE, name="gone"))
    (missing,) = missing_for_next(gone, PLAN, evidence(), T0 + 99 * HOUR_S)
    assert "lists no stage after 'gone'" in missing


def test_a_refused_approval_says_all_that_is_missing() -> None:
    with pytest.raises(RefusedError) as caught:
        approve(CANARY, PLAN, person(T0 + HOUR_S), evidence("decisions_agree"))
    assert len(caught.value.needed) == 2
    assert str(caught.value).startswith("approve is refused: a PASS is needed, and the verdict is FAIL")


def test_a_resume_takes_the_pass_that_the_stage_rests_on() -> None:
    paused = replace(CANARY, state=RolloutState.PAUSED)
    assert resume(paused, person(T0), evidence()).state is RolloutState.CANARY
    with pytest.raises(RefusedError, match="a PASS is needed"):
        resume(paused, person(T0), evidence(not_yet=("coverage",)))
    with pytest.raises(RefusedError, match="on the evidence of another epoch"):
        resume(paused, person(T0), evidence(epoch=EpochKey("other", T0)))


@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if group is CriterionGroup.CRITICAL])
@pytest.mark.parametrize("state", [RolloutState.CANARY, RolloutState.LIVE, RolloutState.PAUSED])
def test_a_broken_critical_criterion_rolls_back_at_once(name: str, state: RolloutState) -> None:
    move = find_critical_move(replace(CANARY, state=state), evidence(name))
    assert move is not None
    assert (move.event, move.broken) == (RolloutEvent.ROLLBACK, (name,))


@pytest.mark.parametrize("state", [RolloutState.OFF, RolloutState.SHADOW, RolloutState.ROLLED_BACK])
def test_where_v6_has_no_stage_there_is_nothing_to_take_away(state: RolloutState) -> None:
    rollout = replace(CANARY, state=state, stage=None)
    assert find_downward_move(rollout, evidence("no_upsizes", "coverage"), T0, MAX_AGE_S) is None


@pytest.mark.parametrize("name", ["inputs_fresh", "decisions_agree"])
def test_other_criteria_pause_when_two_consecutive_compares_find_them_broken(name: str) -> None:
    first = find_downward_move(CANARY, evidence(name, compare_ts=T0), T0, MAX_AGE_S)
    assert first is not None
    assert first.event is RolloutEvent.DOUBT
    doubted = replace(CANARY, doubt=Doubt(T0, (name,)))
    assert find_downward_move(doubted, evidence(name, compare_ts=T0), T0, MAX_AGE_S) is None
    second = find_downward_move(doubted, evidence(name, compare_ts=T0 + 900), T0 + 900, MAX_AGE_S)
    assert second is not None
    assert second.event is RolloutEvent.PAUSE
    cleared = find_downward_move(doubted, evidence(compare_ts=T0 + 900), T0 + 900, MAX_AGE_S)
    assert cleared is not None
    assert cleared.event is RolloutEvent.CLEAR
    assert find_downward_move(doubted, evidence(compare_ts=T0), T0, MAX_AGE_S) is None


def test_a_criterion_that_the_stage_does_not_need_does_not_pause() -> None:
    lenient = replace(CANARY, stage=replace(STAGE, criteria=("coverage",)))
    assert find_downward_move(lenient, evidence("inputs_fresh"), T0, MAX_AGE_S) is None
    assert find_downward_move(lenient, evidence("coverage"), T0, MAX_AGE_S) is not None


@pytest.mark.parametrize("compare_ts", [None, T0 - MAX_AGE_S - 1, T0 + MAX_AGE_S + 1])
def test_without_a_recent_compare_v6_pauses(compare_ts: float | None) -> None:
    move = find_downward_move(CANARY, evidence(compare_ts=compare_ts), T0, MAX_AGE_S)
    assert move is not None
    assert move.event is RolloutEvent.PAUSE


def gap_of(*newest_first: float, now: float, rollout: Rollout = CANARY) -> Move | None:
    found = replace(evidence(compare_ts=newest_first[0]), compares_before_ts=newest_first[1:])
    return find_compare_gap(rollout, found, now, MAX_AGE_S)


def test_a_compare_that_has_come_since_does_not_make_up_for_a_gap() -> None:
    move = gap_of(T0 + 25 * HOUR_S, T0 + 60, T0 - 900, now=T0 + 25 * HOUR_S)
    assert move is not None
    assert (move.event, move.served_until_ts) == (RolloutEvent.PAUSE, T0 + 60 + MAX_AGE_S)
    assert "no compare came from" in move.why


def test_of_several_gaps_the_oldest_ends_the_time_served() -> None:
    move = gap_of(T0 + 50 * HOUR_S, T0 + 25 * HOUR_S, T0 + 60, now=T0 + 60 * HOUR_S)
    assert move is not None
    assert move.served_until_ts == T0 + 60 + MAX_AGE_S


@pytest.mark.parametrize(
    "newest_first",
    [
        (T0 - 60,),
        (T0 - 60, T0 - 25 * HOUR_S),  # Before the approval, v6 was off anyway.
        (T0 + 900, T0 - 900),
        (T0 + 2700, T0),
        (T0, T0 + HOUR_S),  # The clock was ahead and stepped back.
    ],
)
def test_no_gap_is_seen_at_the_usual_intervals(newest_first: tuple[float, ...]) -> None:
    assert gap_of(*newest_first, now=newest_first[0]) is None


def test_where_v6_places_no_orders_no_compare_is_missed() -> None:
    assert gap_of(T0, now=T0 + 99 * HOUR_S, rollout=replace(CANARY, state=RolloutState.PAUSED)) is None
    assert gap_of(T0, now=T0 + 99 * HOUR_S, rollout=SHADOW) is None


def test_the_end_of_the_epoch_pauses_at_once() -> None:
    move = find_downward_move(CANARY, evidence(epoch=EpochKey("other", T0)), T0, MAX_AGE_S)
    assert move is not None
    assert (move.event, move.why) == (RolloutEvent.PAUSE, "the epoch whose PASS the stage rests on has ended")


def test_what_is_not_yet_decided_takes_nothing_away() -> None:
    assert find_downward_move(CANARY, evidence(not_yet=("decisions_agree",)), T0, MAX_AGE_S) is None
