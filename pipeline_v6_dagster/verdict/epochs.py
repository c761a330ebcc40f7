"""Epochs: since when all decisions were made under one identity, and how often the evidence was restarted.

Decisions are observed in the order of the shadow log, and belong to an epoch by their number, never by their time: an
attempt from the far future, or the past, moves nothing. Where a time is needed it is a robust one: the newest time is
the latest of the newest nine as-of times that is at most a day ahead of their median, so that four wild ones in a row
do no harm; the beginning is the first decision's as-of time, corrected by the median where it is wild.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from statistics import median_low

from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import EpochFacts
from pipeline_v6_dagster.verdict.policy import DAY_S

# Restarts longer ago than this no longer make the test stricter.
RESTART_HORIZON_DAYS = 90
RECENT_TIMES = 9
MAX_AHEAD_S = DAY_S
_MAX_BEHIND_S = RESTART_HORIZON_DAYS * DAY_S


@lru_cache(maxsize=64)
def epoch_identity(config_hash: str | None, engine_version: str | None, settings_identity: str | None) -> str:
    """16 hex digits over what a decision was made under. What is missing is an identity of its own."""
    parts = (config_hash, engine_version, settings_identity)
    text = "\n".join("-" if part is None else f"+{part}" for part in parts)
    return sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Boundary:
    """An acknowledgement that begins an epoch: at `fixed_at` (epoch s), with decision `first_number`.

    It takes effect once `next_number` decisions have been observed, in a rebuild as in the run that recorded it.
    """

    first_number: int
    fixed_at: float
    next_number: int


@dataclass(slots=True, kw_only=True)
class EpochState:
    """The current epoch and the restarts before it, in bounded space, which msgspec can store.

    `next_number` is that of the decision to be observed next, `seen` how many the epoch has, `recent` the newest as-of
    times of the log. `counted` says of each day (since 1970) how many epochs ended on it that count for k,
    `uncounted` how many that do not. `boundaries` is how many acknowledgements have taken effect. `changed_ts` is the
    as-of time of the first decision under this identity, if there was another identity before.
    """

    identity: str | None = None
    first_number: int = 0
    since_ts: float | None = None
    is_since_exact: bool = False
    next_number: int = 0
    seen: int = 0
    recent: list[float] = field(default_factory=list)
    counted: dict[int, int] = field(default_factory=dict)
    uncounted: dict[int, int] = field(default_factory=dict)
    boundaries: int = 0
    changed_ts: float | None = None

    @property
    def newest_ts(self) -> float | None:
        """The robust time (epoch s) of the newest decisions; None before there is one."""
        if not self.recent:
            return None
        middle = median_low(self.recent)
        return max(ts for ts in self.recent if ts <= middle + MAX_AHEAD_S)

    def restarts(self) -> tuple[int, int]:
        """(restarts within 90 days before the epoch that count for k, those that do not)."""
        if self.since_ts is None:
            return 0, 0
        oldest = int(self.since_ts // DAY_S) - RESTART_HORIZON_DAYS
        found = (sum(n for day, n in days.items() if day >= oldest) for days in (self.counted, self.uncounted))
        return next(found), next(found)


class EpochTracker:
    """Follows `state`, which is changed in place, through the decisions of the shadow log.

    `boundaries` are all acknowledgements with a `--fixed-at`, in the order in which they were recorded.
    """

    def __init__(self, state: EpochState, min_days: float, boundaries: Sequence[Boundary] = ()) -> None:
        self.state = state
        self._min_duration_s = min_days * DAY_S / 2
        self._boundaries = boundaries

    def observe(self, number: int, as_of: float, identity: str) -> bool:
        """Follow the next decision of the log. Returns whether an epoch begins with it, or has begun since the last."""
        state = self.state
        began = self._apply_boundaries(number)
        if state.identity != identity:
            # The first decision after an acknowledgement may be of another identity: that is one restart, not two.
            if state.identity is not None and state.seen:
                self._end(is_acknowledged=False)
            if state.identity is not None:
                state.changed_ts = as_of
            if state.seen or state.identity is None:
                state.first_number, state.since_ts, state.is_since_exact = number, as_of, False
            state.identity, state.seen = identity, 0
            began = True
        state.next_number = number + 1
        state.seen += 1
        state.recent.append(as_of)
        if len(state.recent) > RECENT_TIMES:
            del state.recent[0]
        if state.seen <= RECENT_TIMES:
            self._correct_beginning()
        return began

    def finish(self) -> bool:
        """Apply acknowledgements up to the decision that comes next. Returns whether an epoch has begun."""
        return self._apply_boundaries(self.state.next_number)

    def can_begin_at(self, first_number: int) -> bool:
        """Whether an acknowledgement may begin an epoch there: not where the current one began later anyway."""
        return self.state.identity is not None and first_number >= self.state.first_number

    def _apply_boundaries(self, number: int) -> bool:
        state = self.state
        began = False
        while state.boundaries < len(self._boundaries):
            boundary = self._boundaries[state.boundaries]
            if boundary.next_number > number:
                break
            state.boundaries += 1
            if not self.can_begin_at(boundary.first_number):
                continue
            self._end(is_acknowledged=True)
            state.first_number, state.since_ts = boundary.first_number, boundary.fixed_at
            state.is_since_exact = True
            state.seen = max(0, state.next_number - boundary.first_number)
            began = True
        return began

    def _end(self, *, is_acknowledged: bool) -> None:
        state = self.state
        newest = state.newest_ts
        if newest is None or state.since_ts is None:
            return
        counts = is_acknowledged or newest - state.since_ts >= self._min_duration_s
        days = state.counted if counts else state.uncounted
        day = int(newest // DAY_S)
        days[day] = days.get(day, 0) + 1
        for known in (state.counted, state.uncounted):
            for old in [old for old in known if old < day - RESTART_HORIZON_DAYS]:
                del known[old]

    def _correct_beginning(self) -> None:
        """Replace a wild beginning by the median, while the epoch is so young that the median is about it."""
        state = self.state
        if state.is_since_exact or state.since_ts is None:
            return
        middle = median_low(state.recent[-state.seen :])
        if not middle - _MAX_BEHIND_S <= state.since_ts <= middle + MAX_AHEAD_S:
            if state.changed_ts == state.since_ts:
                state.changed_ts = middle
            state.since_ts = middle


def error_level(error_rate: float, k: int) -> float:
    """The level of the k-th epoch: error rate / (k (k + 1)). Over all k they add up to the error rate."""
    return error_rate / (k * (k + 1))


def epoch_facts(state: EpochState, error_rate: float) -> EpochFacts:
    """The epoch as the criteria need it."""
    counted, uncounted = state.restarts()
    return EpochFacts(
        identity=state.identity,
        since_ts=state.since_ts,
        newest_ts=state.newest_ts if state.seen else state.since_ts,
        k=counted + 1,
        level=error_level(error_rate, counted + 1),
        uncounted_restarts=uncounted,
    )


def begin_evidence(state: EpochState, scope: tuple[str, ...]) -> EpochEvidence:
    """Empty evidence for the epoch that has just begun."""
    return EpochEvidence(first_number=state.first_number, since_ts=state.since_ts, scope=scope)
