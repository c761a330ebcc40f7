"""The rollout under verdicts, times, approvals, kills and several actors, against a model of what it may allow."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline_v6_dagster.domain.errors import RefusedError
from pipeline_v6_dagster.domain.rollout import EpochKey, RolloutEvent, RolloutFile, RolloutState
from pipeline_v6_dagster.domain.verdict import CriterionGroup
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import (
    RolloutEvidence,
    approve,
    find_critical_move,
    find_downward_move,
    make_record,
    resume,
)
from pipeline_v6_dagster.simulator.rollout_reader import RolloutReader
from pipeline_v6_dagster.stages.rollout.state import RolloutDesk, rollout_desk
from pipeline_v6_dagster_tests.homes import make_settings
from pipeline_v6_dagster_tests.rollout.evidence import EPOCH, GROUPS, HOUR_S, PLAN, T0, evidence, machine, person
from pipeline_v6_dagster_tests.storage.dying import dying

# A desk that is well most of the time: else nothing would ever go live.
BROKEN = st.one_of(
    st.just(()), st.just(()), st.lists(st.sampled_from(sorted(GROUPS)), min_size=1, max_size=2, unique=True).map(tuple)
)
PEOPLE = st.sampled_from(["alice", "bob"])
EVENTS = st.sampled_from([RolloutEvent.PAUSE, RolloutEvent.ROLLBACK, RolloutEvent.HALT, RolloutEvent.REDUCE])
MAX_AGE_S = 2700.0
STAGES = [stage.name for stage in PLAN.stages]
SHARES = {stage.name: stage.notional_share for stage in PLAN.stages}
CRITICAL = {name for name, group in GROUPS.items() if group is CriterionGroup.CRITICAL}


class RolloutModel(RuleBasedStateMachine):
    """A real history and a real file. The model keeps only what a person on the desk would have written down.

    `granted` is how many stages up the approvals since the last rollback reach, `told` what it was when the file was
    written last: a kill may leave the file behind the history. `was_compared` tells that a compare came to its end
    since the evidence changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="rollout-model-"))
        self.settings = make_settings(self.folder)
        self.now = T0
        self.granted = self.told = 0
        self.approved_in: EpochKey | None = None
        self.evidence: RolloutEvidence = evidence()
        self.broken: tuple[str, ...] = ()
        self.epoch = EPOCH
        self.was_compared = True
        self.reader = RolloutReader(self.settings.rollout_state, lambda: self.now)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self._person(lambda desk: make_record(desk.rollout, RolloutEvent.BEGIN, person(self.now), self.evidence))

    # What happens to the desk.

    @rule(hours=st.sampled_from([0.1, 1.0, 30.0, 60.0]))
    def time_passes(self, hours: float) -> None:
        self.now += hours * HOUR_S

    @rule()
    def another_epoch_begins(self) -> None:
        self.epoch = EpochKey("f" * 16, self.now)
        self.was_compared = False

    # Who acts.

    @rule(broken=BROKEN)
    def compare(self, broken: tuple[str, ...]) -> None:
        self.broken = broken
        self.evidence = evidence(*self.broken, compare_ts=self.now, epoch=self.epoch)
        self._follow()
        self.was_compared = True

    @rule()
    def sensor(self) -> None:
        self._follow()

    @rule(broken=BROKEN, at=st.integers(min_value=0, max_value=14))
    def compare_is_killed(self, broken: tuple[str, ...], at: int) -> None:
        self.broken = broken
        self.evidence = evidence(*self.broken, compare_ts=self.now, epoch=self.epoch)
        with dying(at) as death:
            self._follow()
        self.was_compared = death.place is None
        if self.rollout.stage is None:
            self.granted = 0

    @rule(by=PEOPLE, hours=st.sampled_from([0.0, 30.0, 60.0]))
    def a_person_wants_more(self, by: str, hours: float) -> None:
        """After a while, in which compare has run."""
        self.now += hours * HOUR_S
        if hours:
            self.compare(self.broken)
        if not hours and self.rollout.state in (RolloutState.OFF, RolloutState.ROLLED_BACK):
            self._person(lambda desk: make_record(desk.rollout, RolloutEvent.BEGIN, person(self.now), self.evidence))
            return

        def act(desk: RolloutDesk) -> object:
            return approve(desk.rollout, PLAN, person(self.now, by), self.evidence)

        if self._person(act):
            self.granted = self.told = self.granted + 1
            self.approved_in = self.evidence.epoch
            assert not self.evidence.gate_problems
            assert self.evidence.verdict == "PASS"

    @rule(by=PEOPLE)
    def resume(self, by: str) -> None:
        before = self.rollout
        if self._person(lambda desk: resume(desk.rollout, person(self.now, by), self.evidence)):
            is_up = before.state is RolloutState.PAUSED and self.rollout.state is not RolloutState.PAUSED
            assert not is_up or self.evidence.verdict == "PASS"

    @rule(event=EVENTS, by=PEOPLE)
    def takes_away(self, event: RolloutEvent, by: str) -> None:
        if self._person(lambda desk: make_record(desk.rollout, event, person(self.now, by), self.evidence)):
            self.granted = 0 if event is RolloutEvent.ROLLBACK else self.granted
            self.told = self.granted

    @rule(event=st.sampled_from([RolloutEvent.BEGIN, RolloutEvent.RESUME, RolloutEvent.HALT, RolloutEvent.APPROVE]))
    def a_machine_wants_what_takes_a_person(self, event: RolloutEvent) -> None:
        before = self.rollout
        with suppress(RefusedError), rollout_desk(self.settings, self.now) as desk:
            desk.append(make_record(desk.rollout, event, machine(self.now), self.evidence), self.now)
        assert self.rollout == before

    @precondition(lambda self: self.settings.rollout_state.exists())
    @rule()
    def the_file_is_lost(self) -> None:
        self.settings.rollout_state.unlink()
        assert self.reader.read() == (frozenset(), 0.0)

    @rule()
    def heartbeat(self) -> None:
        with rollout_desk(self.settings, self.now) as desk:
            desk.write_file(self.now)
        self.told = self.granted

    # What must hold, whatever happened.

    @invariant()
    def nothing_exceeds_the_approvals_and_the_evidence(self) -> None:
        found = read_rollout_file(self.settings)
        if isinstance(found, RolloutFile):
            granted = max(self.granted, self.told)
            assert found.notional_share <= max((SHARES[name] for name in STAGES[:granted]), default=0.0)
            assert len(found.symbols) <= (0, 1, 2, 2)[granted]
            assert not found.symbols or found.state in ("canary", "live")
        if self.was_compared and self.rollout.state in (RolloutState.CANARY, RolloutState.LIVE):
            assert not CRITICAL & set(self.broken)
            assert self.approved_in == self.epoch

    @invariant()
    def every_broken_critical_criterion_ends_in_rolled_back_within_one_compare(self) -> None:
        if self.was_compared and CRITICAL & set(self.broken):
            assert self.rollout.stage is None
            found = read_rollout_file(self.settings)
            assert found is None or (isinstance(found, RolloutFile) and not found.symbols)

    @invariant()
    def the_file_is_whole_and_never_ahead_of_the_history(self) -> None:
        found = read_rollout_file(self.settings)
        assert not isinstance(found, bytes)
        if isinstance(found, RolloutFile):
            assert found.sequence <= self.rollout.sequence

    # How it is done.

    @property
    def rollout(self) -> Rollout:
        return read_rollout_now(self.settings)

    def _person(self, make: Callable[[RolloutDesk], object]) -> bool:
        """What a person asks for; whether it was done."""
        try:
            with rollout_desk(self.settings, self.now) as desk:
                record = make(desk)
                desk.append(record, self.now)  # type: ignore[arg-type]
        except RefusedError:
            return False
        return True

    def _follow(self) -> None:
        """What compare does: first what is critical, then everything."""
        with rollout_desk(self.settings, self.now) as desk:
            for move in (
                find_critical_move(desk.rollout, self.evidence),
                find_downward_move(desk.rollout, self.evidence, self.now, MAX_AGE_S),
            ):
                if move is not None:
                    actor = machine(self.now)
                    desk.append(
                        make_record(desk.rollout, move.event, actor, self.evidence, broken=move.broken), self.now
                    )
                    break
            else:
                desk.write_file(self.now)
            self.granted = 0 if desk.rollout.stage is None else self.granted
            self.told = self.granted


TestRollout = RolloutModel.TestCase
TestRollout.settings = settings(max_examples=40, stateful_step_count=40)
