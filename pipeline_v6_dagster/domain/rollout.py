"""Rollout: what v6 may do, as the history records it and as the executor's file says it."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Self, TypeVar

from pipeline_v6_dagster.domain.limits import TradingState


class RolloutState(StrEnum):
    """How far v6 is. CANARY is every stage but the last, LIVE the last one; only these two let v6 place orders."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"


# The states in which v6 places orders.
PLACING = frozenset({RolloutState.CANARY, RolloutState.LIVE})


class RolloutEvent(StrEnum):
    """What a line of the history records.

    DOUBT notes that a compare found criteria broken that a stage needs, CLEAR that they hold again: neither changes
    what v6 may do.
    """

    BEGIN = "begin"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    ROLLBACK = "rollback"
    HALT = "halt"
    REDUCE = "reduce"
    DOUBT = "doubt"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class EpochKey:
    """Which epoch: its identity, and when it began (epoch s)."""

    identity: str | None
    since_ts: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage as it was granted: the symbols by name, and the share (of 1) of the notional that v6 places in them.

    `criteria` must hold while it lasts, besides the critical ones; None: all of them. `is_last` makes it LIVE.
    """

    name: str
    symbols: tuple[str, ...]
    notional_share: float
    min_hours: float
    criteria: tuple[str, ...] | None = None
    is_last: bool = False


class SymbolSelection(StrEnum):
    """The symbols of a planned stage that names none: chosen, when it is approved, among those that have passed."""

    MOST_TRADED = "most_traded"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """A stage as configured. `min_hours` must be served in it before the next one, paused time not counted."""

    name: str
    symbols: tuple[str, ...] | SymbolSelection
    notional_share: float
    min_hours: float
    criteria: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """The stages, lowest first, and how many different people must approve each step up."""

    stages: tuple[StagePlan, ...]
    approvals: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRecord:
    """A line of the history: what happened, who did it and why, on which evidence, and what v6 may do since.

    `ts` and `compare_ts` are epoch seconds; the latter is when the compare ran whose verdict the line rests on.
    `target` is the stage that an approval is for, `approvals_needed` how many different names it takes. `broken` names
    the criteria that a downward move or a doubt is about. `stage` is kept while paused, None before the first one and
    after a rollback. `served_until_ts` (epoch s) is when v6 had gone off by itself before a pause said so.
    """

    sequence: int
    ts: float
    event: RolloutEvent
    by: str
    why: str
    is_automatic: bool
    state: RolloutState
    trading_state: TradingState
    stage: Stage | None = None
    target: Stage | None = None
    approvals_needed: int = 1
    verdict: str | None = None
    epoch: EpochKey | None = None
    compare_ts: float | None = None
    compare_chain: str | None = None
    broken: tuple[str, ...] = ()
    served_until_ts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFile:
    """What the executor polls. `symbols` and `notional_share` are empty and 0 unless v6 may place orders.

    `sequence` is that of the newest change. After `valid_until` (epoch s) the executor treats v6 as off. `since_ts`
    and `by` tell since when what v6 may do is so, and who caused it.
    """

    state: RolloutState
    stage: str | None
    symbols: tuple[str, ...]
    notional_share: float
    trading_state: TradingState
    valid_until: float
    sequence: int
    reason: str
    since_ts: float
    by: str
    generated_ts: float


_Value = TypeVar("_Value")


class Timeline(Generic[_Value]):
    """What held when, by changes in their order; `first` held before all of them."""

    def __init__(self, first: _Value, changes: Iterable[tuple[float, _Value]]) -> None:
        self._times: list[float] = []
        self._values: list[_Value] = [first]
        for ts, value in changes:
            # A clock that stepped back must not put a change before the one that it follows.
            self._times.append(max(ts, self._times[-1]) if self._times else ts)
            self._values.append(value)

    def at(self, ts: float) -> _Value:
        """What held at `ts` (epoch s)."""
        return self._values[bisect_right(self._times, ts)]

    def between(self, first_ts: float, last_ts: float) -> Sequence[_Value]:
        """All that held at some time from `first_ts` to `last_ts` (epoch s), oldest first."""
        return self._values[bisect_right(self._times, first_ts) : bisect_right(self._times, last_ts) + 1]


class TradingStates(Timeline[TradingState]):
    """Which trading state held when, by the history; ACTIVE before its first line."""

    def __init__(self, changes: Iterable[tuple[float, TradingState]] = ()) -> None:
        super().__init__(TradingState.ACTIVE, changes)

    @classmethod
    def of(cls, oldest_first: Iterable[RolloutRecord], *later: tuple[float, TradingState]) -> Self:
        """The trading states that these lines of the history record, and `later` ones with their times (epoch s)."""
        return cls((*((record.ts, record.trading_state) for record in oldest_first), *later))


class RolloutPast(Timeline[RolloutRecord | None]):
    """Which line of the history said what v6 may do, when; None before the first: v6 was off."""

    def __init__(self, oldest_first: Iterable[RolloutRecord] = ()) -> None:
        super().__init__(None, ((record.ts, record) for record in oldest_first))
