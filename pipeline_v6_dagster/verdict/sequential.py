"""The sequential test of the veto mismatch rate: how often shadow and live may disagree before it is no accident.

Wald's probability ratio (1945) of the unacceptable to the acceptable rate, over the decisions since the configuration
changed. It may be looked at after every decision: at the unacceptable rate the ratio of the acceptable one is a
martingale that starts at 1, so it ever reaches 1 / false_pass_ratio with at most that probability (Ville 1939), and
the other way round. So there is no overshoot to correct for and no last look.

Once it has passed, the ratio falls no lower (as in Page 1954), so that a long good past cannot outweigh a change for
the worse: from there the whole way between the bounds leads to a FAIL, half of it takes the PASS back.
"""

from math import ceil, log

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
from pipeline_v6_dagster.domain.verdict import SequentialOutcome, SequentialPlan, SequentialReport, SequentialState
from pipeline_v6_dagster.verdict.interval import exact_interval

CONFIDENCE = 0.95


class SequentialTest:
    """A test of `plan` on `state`, which is changed in place: a test of that state goes on where this one stopped."""

    def __init__(self, plan: SequentialPlan, state: SequentialState) -> None:
        self.state = state
        self._plan = plan
        self._mismatch_step = log(plan.unacceptable_ratio / plan.acceptable_ratio)
        self._clean_step = log((1 - plan.unacceptable_ratio) / (1 - plan.acceptable_ratio))
        self._pass_at = log(plan.false_pass_ratio)
        self._fail_at = -log(plan.false_fail_ratio)

    def start(self, diff: Diff) -> None:
        """Start anew where the diff is of another configuration, unless it is an older one."""
        state = self.state
        if diff.decision_id is None or diff.revision_of is not None:
            return
        config_hash = _config_hash(diff)
        if state.since_ts is not None and (config_hash == state.config_hash or diff.ts < state.since_ts):
            return
        state.is_first = state.since_ts is None
        state.config_hash, state.since_ts = config_hash, diff.ts
        state.decisions, state.mismatches, state.log_ratio, state.is_accepted = 0, 0, 0.0, False

    def add(self, diff: Diff) -> None:
        """A decision that was settled. Of an older configuration it does not count."""
        self.start(diff)
        if is_evidence(diff) and _config_hash(diff) == self.state.config_hash:
            self._count(diff, 1)

    def revise(self, before: Diff, after: Diff) -> None:
        """A decision of which more is known now. What it was counted as is taken back."""
        if self.state.since_ts is None or _config_hash(after) != self.state.config_hash:
            return
        if is_evidence(before):
            self._count(before, -1)
        if is_evidence(after):
            self._count(after, 1)

    def _count(self, diff: Diff, sign: int) -> None:
        state = self.state
        state.decisions += sign
        state.mismatches += sign * (diff.veto_mismatch is True)
        state.log_ratio += sign * (self._mismatch_step if diff.veto_mismatch else self._clean_step)
        if state.log_ratio <= self._pass_at:
            state.is_accepted = True
        elif state.log_ratio > 0:
            state.is_accepted = False
        if state.is_accepted:
            state.log_ratio = max(state.log_ratio, self._pass_at)

    @property
    def changed_ts(self) -> float | None:
        """As-of time of the first decision under this configuration; None where no other came before it."""
        return None if self.state.is_first else self.state.since_ts

    @property
    def outcome(self) -> SequentialOutcome:
        """What the decisions so far say."""
        if self.state.log_ratio >= self._fail_at:
            return SequentialOutcome.REJECTED
        return SequentialOutcome.ACCEPTED if self.state.is_accepted else SequentialOutcome.UNDECIDED

    def report(self) -> SequentialReport:
        """The test as the summary shows it."""
        state, plan = self.state, self._plan
        interval = exact_interval(state.mismatches, state.decisions, CONFIDENCE)
        missing = 0 if state.is_accepted else ceil((self._pass_at - state.log_ratio) / self._clean_step)
        return SequentialReport(
            outcome=self.outcome,
            config_hash=state.config_hash,
            since_ts=state.since_ts,
            decisions=state.decisions,
            mismatches=state.mismatches,
            mismatch_pct=100 * state.mismatches / state.decisions if state.decisions else None,
            interval_95_pct=None if interval is None else (100 * interval[0], 100 * interval[1]),
            log_ratio=state.log_ratio,
            pass_at=self._pass_at,
            fail_at=self._fail_at,
            clean_decisions_needed=missing,
            acceptable_pct=100 * plan.acceptable_ratio,
            unacceptable_pct=100 * plan.unacceptable_ratio,
        )


def is_evidence(diff: Diff) -> bool:
    """Whether a diff speaks for or against v6. That nobody knows what live did never speaks for it."""
    if diff.decision_id is None or diff.veto_mismatch is None or diff.ignored_by is not None:
        return False
    return diff.veto_mismatch or diff.live_outcome is not LiveOutcome.UNRESOLVED


def _config_hash(diff: Diff) -> str | None:
    return diff.shadow.config_hash if diff.shadow is not None else None
