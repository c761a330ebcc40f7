"""The state machine: which event may come when, what it changes, and that the history alone gives the state."""

from dataclasses import replace

import pytest

from pipeline_v6_dagster.domain.errors import DataError, RefusedError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutRecord, RolloutState, TradingStates
from pipeline_v6_dagster.rollout.machine import Rollout, apply, replay, why_illegal
from pipeline_v6_dagster.rollout.moves import Actor, approve, make_record, resume
from pipeline_v6_dagster_tests.rollout.evidence import HOUR_S, PLAN, T0, evidence, machine, person


class History:
    """A rollout that is taken step by step, and the lines that its steps leave."""

    def __init__(self) -> None:
        self.records: list[RolloutRecord] = []
        self.rollout = Rollout()

    def add(self, record: RolloutRecord) -> Rollout:
        self.records.append(record)
        self.rollout = apply(self.rollout, record)
        return self.rollout

    def event(self, event: RolloutEvent, actor: Actor) -> Rollout:
        return self.add(make_record(self.rollout, event, actor, evidence()))

    def approve(self, ts: float, by: str = "alice") -> Rollout:
        return self.add(approve(self.rollout, PLAN, person(ts, by), evidence()))


@pytest.fixture
def canary() -> History:
    """Begun at T0, in the first stage an hour later."""
    history = History()
    history.event(RolloutEvent.BEGIN, person(T0))
    history.approve(T0 + HOUR_S)
    return history


def test_a_rollout_that_was_never_begun_is_off_and_allows_nothing() -> None:
    assert replay([]) == Rollout()
    assert (Rollout().state, Rollout().symbols, Rollout().notional_share) == (RolloutState.OFF, (), 0.0)


@pytest.mark.parametrize("step_s", [HOUR_S, 24 * HOUR_S, 87_600 * HOUR_S])
def test_time_by_a_clock_that_was_ahead_is_not_served(canary: History, step_s: float) -> None:
    canary.event(RolloutEvent.PAUSE, machine(T0 + 2 * HOUR_S + step_s))
    canary.add(resume(canary.rollout, person(T0 + 2 * HOUR_S), evidence()))
    assert canary.rollout.served_s(T0 + 3 * HOUR_S) == HOUR_S


@pytest.mark.parametrize("step_s", [HOUR_S, 24 * HOUR_S, 87_600 * HOUR_S])
def test_a_clock_that_steps_back_serves_no_time(canary: History, step_s: float) -> None:
    assert canary.rollout.served_s(T0 + 2 * HOUR_S - step_s) <= HOUR_S
    canary.event(RolloutEvent.PAUSE, machine(T0 + 2 * HOUR_S - step_s))
    canary.add(resume(canary.rollout, person(T0 + 2 * HOUR_S), evidence()))
    assert canary.rollout.served_s(T0 + 3 * HOUR_S) == HOUR_S


def test_every_stage_is_a_canary_but_the_last_which_is_live(canary: History) -> None:
    assert (canary.rollout.state, canary.rollout.symbols) == (RolloutState.CANARY, ("ETHUSDT",))
    assert canary.approve(T0 + 25 * HOUR_S).state is RolloutState.CANARY
    last = canary.approve(T0 + 73 * HOUR_S)
    assert (last.state, last.symbols, last.notional_share) == (RolloutState.LIVE, ("BTCUSDT", "ETHUSDT"), 1.0)


def test_a_pause_allows_nothing_and_a_resume_returns_to_the_stage(canary: History) -> None:
    paused = canary.event(RolloutEvent.PAUSE, machine(T0 + 2 * HOUR_S))
    assert (paused.state, paused.symbols, paused.notional_share) == (RolloutState.PAUSED, (), 0.0)
    resumed = canary.add(resume(canary.rollout, person(T0 + 9 * HOUR_S), evidence()))
    assert (resumed.state, resumed.symbols) == (RolloutState.CANARY, ("ETHUSDT",))


def test_time_in_a_pause_is_not_served(canary: History) -> None:
    canary.event(RolloutEvent.PAUSE, machine(T0 + 2 * HOUR_S))
    canary.add(resume(canary.rollout, person(T0 + 9 * HOUR_S), evidence()))
    assert canary.rollout.served_s(T0 + 10 * HOUR_S) == 2 * HOUR_S


@pytest.mark.parametrize(("until_h", "served_h"), [(0.5, 0.0), (3, 2), (99, 25)])
def test_time_after_v6_went_off_by_itself_is_not_served(canary: History, until_h: float, served_h: float) -> None:
    paused = make_record(
        canary.rollout,
        RolloutEvent.PAUSE,
        machine(T0 + 26 * HOUR_S),
        evidence(),
        served_until_ts=T0 + until_h * HOUR_S,
    )
    canary.add(paused)
    canary.add(resume(canary.rollout, person(T0 + 30 * HOUR_S), evidence()))
    assert canary.rollout.served_s(T0 + 31 * HOUR_S) == (served_h + 1) * HOUR_S


def test_after_a_rollback_everything_starts_over(canary: History) -> None:
    rolled_back = canary.event(RolloutEvent.ROLLBACK, machine(T0 + 2 * HOUR_S))
    assert (rolled_back.state, rolled_back.stage, rolled_back.epoch) == (RolloutState.ROLLED_BACK, None, None)
    assert canary.event(RolloutEvent.BEGIN, person(T0 + 3 * HOUR_S)).state is RolloutState.SHADOW


def test_a_resume_lifts_a_halt_first_and_a_pause_only_then(canary: History) -> None:
    canary.event(RolloutEvent.PAUSE, machine(T0 + 2 * HOUR_S))
    halted = canary.event(RolloutEvent.HALT, person(T0 + 3 * HOUR_S))
    assert (halted.state, halted.trading_state) == (RolloutState.PAUSED, TradingState.HALTED)
    lifted = canary.add(resume(canary.rollout, person(T0 + 4 * HOUR_S), evidence("no_upsizes")))
    assert (lifted.state, lifted.trading_state) == (RolloutState.PAUSED, TradingState.ACTIVE)


def test_trading_can_be_halted_where_no_rollout_was_begun() -> None:
    history = History()
    assert history.event(RolloutEvent.HALT, person(T0)).trading_state is TradingState.HALTED
    assert history.rollout.state is RolloutState.OFF


def test_two_approvals_take_two_people_of_the_same_epoch_within_a_day() -> None:
    plan = replace(PLAN, approvals=2)
    history = History()
    history.event(RolloutEvent.BEGIN, person(T0))

    def approved(ts: float, by: str) -> RolloutState:
        return history.add(approve(history.rollout, plan, person(ts, by), evidence())).state

    assert approved(T0 + 1, "alice") is RolloutState.SHADOW
    with pytest.raises(RefusedError, match="ALICE  has approved this step already; it takes 2 different names"):
        approved(T0 + 2, "ALICE ")
    assert approved(T0 + 25 * HOUR_S, "bob") is RolloutState.SHADOW  # Hers is of another day.
    assert approved(T0 + 26 * HOUR_S, "alice") is RolloutState.CANARY
    assert history.rollout.approvals == ()


@pytest.mark.parametrize(
    ("event", "state", "needed"),
    [
        (RolloutEvent.BEGIN, RolloutState.CANARY, "roll back first"),
        (RolloutEvent.APPROVE, RolloutState.PAUSED, "resume or roll back first"),
        (RolloutEvent.APPROVE, RolloutState.LIVE, "the last stage is reached"),
        (RolloutEvent.PAUSE, RolloutState.SHADOW, "nothing to pause"),
        (RolloutEvent.PAUSE, RolloutState.PAUSED, "nothing to pause"),
        (RolloutEvent.RESUME, RolloutState.CANARY, "nothing is paused"),
        (RolloutEvent.ROLLBACK, RolloutState.OFF, "nothing to roll back"),
        (RolloutEvent.ROLLBACK, RolloutState.ROLLED_BACK, "nothing to roll back"),
        (RolloutEvent.CLEAR, RolloutState.CANARY, "follows from the evidence"),
    ],
)
def test_an_event_that_may_not_come_is_refused_with_what_is_needed(
    event: RolloutEvent, state: RolloutState, needed: str
) -> None:
    assert needed in str(why_illegal(Rollout(state=state), event, is_automatic=False))


@pytest.mark.parametrize("event", [RolloutEvent.BEGIN, RolloutEvent.APPROVE, RolloutEvent.RESUME, RolloutEvent.HALT])
def test_only_a_person_moves_up_or_halts(event: RolloutEvent) -> None:
    assert why_illegal(Rollout(state=RolloutState.PAUSED), event, is_automatic=True) == "it takes a person"


def test_replaying_the_history_gives_the_state(canary: History) -> None:
    canary.event(RolloutEvent.PAUSE, machine(T0 + 2 * HOUR_S))
    canary.event(RolloutEvent.REDUCE, person(T0 + 3 * HOUR_S))
    canary.event(RolloutEvent.ROLLBACK, person(T0 + 4 * HOUR_S))
    assert replay(canary.records) == canary.rollout


def test_a_line_that_cannot_follow_or_says_something_else_is_an_error(canary: History) -> None:
    begin, first = canary.records
    forged = replace(first, state=RolloutState.LIVE)
    for lines in ([begin, begin], [begin, forged], [begin, replace(first, sequence=1)]):
        with pytest.raises(DataError, match="is not possible"):
            replay(lines)


def test_a_trading_state_holds_from_its_line_on_also_if_the_clock_stepped_back(canary: History) -> None:
    canary.event(RolloutEvent.HALT, person(T0 + 2 * HOUR_S))
    canary.add(resume(canary.rollout, person(T0 + HOUR_S), evidence()))
    states = TradingStates.of(canary.records)
    assert states.at(T0 - 1) is TradingState.ACTIVE
    assert states.at(T0 + 1.5 * HOUR_S) is TradingState.ACTIVE
    assert states.at(T0 + 2 * HOUR_S) is TradingState.ACTIVE  # The resume follows the halt at once.
    canary.event(RolloutEvent.HALT, person(T0 + 3 * HOUR_S))
    assert TradingStates.of(canary.records).at(T0 + 4 * HOUR_S) is TradingState.HALTED


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"state": RolloutState.LIVE}, "it says live, but canary follows"),
        ({"trading_state": TradingState.HALTED}, "it says that trading is halted, but active follows"),
        ({"stage": None}, "it says no stage, but stage one follows"),
    ],
)
def test_a_line_that_contradicts_the_ones_before_says_in_what(
    canary: History, change: dict[str, object], text: str
) -> None:
    first, approved = canary.records
    with pytest.raises(DataError, match=text):
        replay([first, replace(approved, **change)])  # type: ignore[arg-type]  # one field each


def test_a_line_with_another_stage_says_in_what_it_differs(canary: History) -> None:
    first, approved = canary.records
    assert approved.stage is not None
    with pytest.raises(DataError, match="it says stage two, but stage one follows"):
        replay([first, replace(approved, stage=replace(approved.stage, name="two"))])
    with pytest.raises(DataError, match=r"it says notional_share 1.0 in stage one, but 0.1 follows"):
        replay([first, replace(approved, stage=replace(approved.stage, notional_share=1.0))])
