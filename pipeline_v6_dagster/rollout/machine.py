"""The state machine of the rollout: which event may come when and what it changes; the state is a fold of them."""

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import (
    PLACING,
    EpochKey,
    RolloutEvent,
    RolloutRecord,
    RolloutState,
    Stage,
)

# An approval that waits for a second one says nothing about the evidence of another day.
APPROVAL_VALID_S = 86_400.0

_FROM = {
    RolloutEvent.BEGIN: (
        frozenset({RolloutState.OFF, RolloutState.ROLLED_BACK}),
        "it has begun already; to start over, roll back first, with pipeline-v6 rollout rollback",
    ),
    RolloutEvent.APPROVE: (
        frozenset({RolloutState.OFF, RolloutState.SHADOW, RolloutState.ROLLED_BACK, RolloutState.CANARY}),
        "only a rollout below its last stage can move up",
    ),
    RolloutEvent.PAUSE: (PLACING, "v6 places no orders, so there is nothing to pause"),
    RolloutEvent.ROLLBACK: (
        frozenset({RolloutState.SHADOW, RolloutState.PAUSED}) | PLACING,
        "there is nothing to roll back",
    ),
    RolloutEvent.DOUBT: (PLACING, "v6 places no orders"),
    RolloutEvent.CLEAR: (PLACING, "v6 places no orders"),
}
# What needs no person: whatever takes exposure away, and the notes that lead to it.
AUTOMATIC = frozenset({RolloutEvent.PAUSE, RolloutEvent.ROLLBACK, RolloutEvent.DOUBT, RolloutEvent.CLEAR})
_ALIKE = frozenset({"Latin", "Greek", "Cyrillic"})
_NEVER_BY_HAND = frozenset({RolloutEvent.DOUBT, RolloutEvent.CLEAR})


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that waits for others: of whom, when (epoch s), for which stage, on the evidence of which epoch."""

    by: str
    ts: float
    target: Stage
    epoch: EpochKey | None


@dataclass(frozen=True, slots=True)
class Doubt:
    """The compare (epoch s) that found criteria broken which the stage needs."""

    compare_ts: float | None
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Where the rollout stands. Times in epoch s.

    `epoch` is the one whose PASS the stage rests on. `since_ts` is when `state` began, `served_before_s` how long the
    stage had placed orders before. `changed` is the newest record that changed what v6 may do, `newest` the newest.
    """

    sequence: int = 0
    state: RolloutState = RolloutState.OFF
    trading_state: TradingState = TradingState.ACTIVE
    stage: Stage | None = None
    epoch: EpochKey | None = None
    since_ts: float | None = None
    served_before_s: float = 0.0
    approvals: tuple[Approval, ...] = ()
    doubt: Doubt | None = None
    changed: RolloutRecord | None = None
    newest: RolloutRecord | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols in which v6 places orders."""
        return self.stage.symbols if self.stage is not None and self.state in PLACING else ()

    @property
    def notional_share(self) -> float:
        """The share (of 1) of the notional in `symbols` that v6 places."""
        return self.stage.notional_share if self.stage is not None and self.state in PLACING else 0.0

    def served_s(self, now: float) -> float:
        """Seconds for which the stage has placed orders up to `now` (epoch s)."""
        if self.state not in PLACING or self.since_ts is None:
            return self.served_before_s
        return self.served_before_s + max(0.0, now - self.since_ts)

    def standing_approvals(self, target: Stage, epoch: EpochKey | None, now: float) -> tuple[Approval, ...]:
        """The approvals of this step that still count at `now` (epoch s)."""
        return tuple(
            each
            for each in self.approvals
            if each.target == target and each.epoch == epoch and 0 <= now - each.ts <= APPROVAL_VALID_S
        )


def normal_name(name: str) -> str:
    """A person's name as names are told apart: without case, accents, signs, spaces and the order of its words."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    words = (("".join(filter(str.isalnum, word))) for word in plain.replace(",", " ").split())
    return "".join(sorted(words))


def alphabets(name: str) -> frozenset[str]:
    """The alphabets of a name among those that have letters which look alike: Latin, Greek, Cyrillic."""
    found = {unicodedata.name(letter, "").partition(" ")[0].title() for letter in name if letter.isalpha()}
    return _ALIKE & found


def why_illegal(rollout: Rollout, event: RolloutEvent, *, is_automatic: bool) -> str | None:
    """Why an event cannot come as things stand, and what is needed; None where it may."""
    if is_automatic and event not in AUTOMATIC:
        return "it takes a person"
    if not is_automatic and event in _NEVER_BY_HAND:
        return "it follows from the evidence and is recorded by compare"
    if event is RolloutEvent.RESUME:
        is_resumable = rollout.state is RolloutState.PAUSED or rollout.trading_state is not TradingState.ACTIVE
        return None if is_resumable else "nothing is paused, halted or reducing"
    if event in TRADING_STATES:
        is_so = rollout.trading_state is TRADING_STATES[event]
        return f"trading is {rollout.trading_state} already" if is_so else None
    allowed, needed = _FROM[event]
    if rollout.state in allowed:
        return None if event is not RolloutEvent.CLEAR or rollout.doubt is not None else "there is no doubt"
    if event is RolloutEvent.APPROVE:
        needed = {
            RolloutState.PAUSED: "it is paused; resume or roll back first",
            RolloutState.LIVE: "the last stage is reached",
        }.get(rollout.state, needed)
    return needed


TRADING_STATES = {RolloutEvent.HALT: TradingState.HALTED, RolloutEvent.REDUCE: TradingState.REDUCING}


def stage_state(stage: Stage) -> RolloutState:
    """The state in which a stage places orders."""
    return RolloutState.LIVE if stage.is_last else RolloutState.CANARY


def apply(rollout: Rollout, record: RolloutRecord) -> Rollout:
    """The rollout after a line of the history.

    Raises:
        DataError: the line cannot follow, or does not say what follows from it.
    """
    problem = why_illegal(rollout, record.event, is_automatic=record.is_automatic)
    if problem is None and record.sequence <= rollout.sequence:
        problem = f"its sequence does not exceed {rollout.sequence}"
    if problem is None and record.event is RolloutEvent.APPROVE and record.target is None:
        problem = "it names no stage"
    after = rollout if problem is not None else _after(rollout, record)
    if problem is None and (record.state, record.trading_state, record.stage) != (
        after.state,
        after.trading_state,
        after.stage,
    ):
        problem = _describe_contradiction(record, after)
    if problem is not None:
        raise DataError(f"line {record.sequence} of the rollout history ({record.event}) is not possible: {problem}")
    return after


def _describe_contradiction(record: RolloutRecord, after: Rollout) -> str:
    """What a line says, and what follows from the lines before it, where they differ first."""
    if record.state is not after.state:
        return f"it says {record.state}, but {after.state} follows"
    if record.trading_state is not after.trading_state:
        return f"it says that trading is {record.trading_state}, but {after.trading_state} follows"
    if record.stage is None or after.stage is None or record.stage.name != after.stage.name:
        said, follows = ("no stage" if each is None else f"stage {each.name}" for each in (record.stage, after.stage))
        return f"it says {said}, but {follows} follows"
    found, granted = asdict(record.stage), asdict(after.stage)
    differing = [name for name in found if found[name] != granted[name]]
    return "; ".join(
        f"it says {name} {found[name]} in stage {record.stage.name}, but {granted[name]} follows" for name in differing
    )


def replay(oldest_first: Iterable[RolloutRecord]) -> Rollout:
    """The rollout that the history adds up to; OFF without one.

    Raises:
        DataError: a line cannot follow the ones before it.
    """
    rollout = Rollout()
    for record in oldest_first:
        rollout = apply(rollout, record)
    return rollout


def outcome(rollout: Rollout, record: RolloutRecord) -> RolloutRecord:
    """The record of an event, completed by what v6 may do since."""
    after = _after(rollout, record)
    return replace(record, state=after.state, trading_state=after.trading_state, stage=after.stage)


def _after(rollout: Rollout, record: RolloutRecord) -> Rollout:
    """The effect of an event that is legal."""
    after = replace(rollout, sequence=record.sequence, newest=record)
    match record.event:
        case RolloutEvent.BEGIN:
            return _enter(after, record, RolloutState.SHADOW, None)
        case RolloutEvent.ROLLBACK:
            return _enter(after, record, RolloutState.ROLLED_BACK, None)
        case RolloutEvent.PAUSE:
            return _enter(after, record, RolloutState.PAUSED, rollout.stage)
        case RolloutEvent.APPROVE:
            return _approve(rollout, after, record)
        case RolloutEvent.RESUME if rollout.trading_state is not TradingState.ACTIVE:
            return replace(after, trading_state=TradingState.ACTIVE, changed=record)
        case RolloutEvent.RESUME:
            state = RolloutState.PAUSED if rollout.stage is None else stage_state(rollout.stage)
            return _enter(after, record, state, rollout.stage)
        case RolloutEvent.HALT | RolloutEvent.REDUCE:
            return replace(after, trading_state=TRADING_STATES[record.event], changed=record)
        case RolloutEvent.DOUBT:
            return replace(after, doubt=Doubt(record.compare_ts, record.broken))
        case RolloutEvent.CLEAR:
            return replace(after, doubt=None)


def _approve(rollout: Rollout, after: Rollout, record: RolloutRecord) -> Rollout:
    assert record.target is not None  # noqa: S101 -- `apply` and `outcome` are called with a target alone
    standing = rollout.standing_approvals(record.target, record.epoch, record.ts)
    others = tuple(each for each in standing if normal_name(each.by) != normal_name(record.by))
    approvals = (*others, Approval(record.by, record.ts, record.target, record.epoch))
    if len(approvals) < record.approvals_needed:
        return replace(after, approvals=approvals)
    entered = _enter(after, record, stage_state(record.target), record.target)
    return replace(entered, epoch=record.epoch)


def _enter(after: Rollout, record: RolloutRecord, state: RolloutState, stage: Stage | None) -> Rollout:
    """In another state: approvals and doubts of the one before no longer count, the time in a kept stage does.

    Not if the clock was ahead when that state began: nobody knows how long the stage has lasted.
    """
    is_kept = stage is not None and stage == after.stage
    is_since_known = after.since_ts is None or after.since_ts <= record.ts
    # The executor's file had expired before anybody could say so.
    until_ts = record.ts if record.served_until_ts is None else min(record.ts, record.served_until_ts)
    return replace(
        after,
        state=state,
        stage=stage,
        epoch=after.epoch if is_kept else None,
        since_ts=record.ts,
        served_before_s=after.served_s(until_ts) if is_kept and is_since_known else 0.0,
        approvals=(),
        doubt=None,
        changed=record,
    )
