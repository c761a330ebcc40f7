"""Where the rollout stands: what v6 may do, since when, by whom, whether the evidence supports it, what comes next."""

from dataclasses import dataclass

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ConfigError, DataError, StorageError
from pipeline_v6_dagster.domain.formatting import format_percent, format_time
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import PLACING, EpochKey, RolloutFile, RolloutPlan, RolloutState, Stage
from pipeline_v6_dagster.domain.verdict import CriterionGroup, CriterionState
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file, says_the_same
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import (
    RolloutEvidence,
    find_compare_gap,
    find_downward_move,
    missing_for_next,
    missing_for_resume,
    next_stage,
)
from pipeline_v6_dagster.stages.rollout.act import read_plan
from pipeline_v6_dagster.stages.rollout.evidence import max_compare_age_s, read_evidence

EXIT_WITHIN = 0
EXIT_BEYOND = 1
EXIT_PLAN = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What comes next: a stage, or the return to one. `needs` is empty where only the approvals are missing."""

    step: str
    stage: Stage | None
    needs: tuple[str, ...]
    approvals_needed: int
    approved_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutReport:
    """What `rollout status` says. Times in epoch s.

    `problems` say what the file or the stage allows beyond the history and the evidence; `notes` what else a desk
    should know, as that the executor's file has expired. `verdict` and `epoch` are as of now. `plan_problems` say why
    config/rollout.json cannot be used: there is no next step then. If the history cannot be used, v6 is off, and the
    rest is what the executor's file says.
    """

    state: RolloutState
    stage: str | None
    symbols: tuple[str, ...]
    notional_share: float
    trading_state: TradingState
    sequence: int
    since_ts: float | None
    by: str | None
    reason: str | None
    verdict: str
    epoch: EpochKey | None
    stage_epoch: EpochKey | None
    served_s: float
    doubted: tuple[str, ...]
    valid_until: float | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    plan_problems: tuple[str, ...]
    next_step: NextStep | None

    @property
    def exit_code(self) -> int:
        """1 where more is allowed than is supported, else 65 where config/rollout.json cannot be used."""
        if self.problems:
            return EXIT_BEYOND
        return EXIT_PLAN if self.plan_problems else EXIT_WITHIN


def read_rollout_status(settings: Settings, now: float, evidence: RolloutEvidence | None = None) -> RolloutReport:
    """Where the rollout stands at `now` (epoch s). Without `evidence` the verdict as of now is read.

    Raises:
        DataError: the head is not understood.
        StorageError: a file of ours, other than the history of the rollout, cannot be read.
    """
    if evidence is None:
        evidence = read_evidence(settings, now)
    found = read_rollout_file(settings)
    rollout, problems = _read_history(settings, found)
    plan, plan_problems = _read_plan(settings)
    is_usable = not problems
    problems += _problems(settings, rollout, found, evidence, now)
    gap = find_compare_gap(rollout, evidence, now, max_compare_age_s(settings))
    served_ts = now if gap is None or gap.served_until_ts is None else min(now, gap.served_until_ts)
    since_ts, by, reason = _last_change(rollout, found, is_usable=is_usable)
    return RolloutReport(
        state=rollout.state,
        stage=None if rollout.stage is None else rollout.stage.name,
        symbols=rollout.symbols,
        notional_share=rollout.notional_share,
        trading_state=rollout.trading_state,
        sequence=rollout.sequence if is_usable or not isinstance(found, RolloutFile) else found.sequence,
        since_ts=since_ts,
        by=by,
        reason=reason,
        verdict=evidence.verdict.value,
        epoch=evidence.epoch,
        stage_epoch=rollout.epoch,
        served_s=rollout.served_s(served_ts) if rollout.stage is not None else 0.0,
        doubted=() if rollout.doubt is None else rollout.doubt.broken,
        valid_until=found.valid_until if isinstance(found, RolloutFile) else None,
        problems=tuple(problems),
        notes=tuple(_notes(rollout, found, evidence, now)) if is_usable else (),
        plan_problems=plan_problems,
        next_step=_next_step(rollout, plan, evidence, now) if plan is not None and is_usable else None,
    )


def _read_history(settings: Settings, found: RolloutFile | bytes | None) -> tuple[Rollout, list[str]]:
    """The rollout by its history, and what is wrong with that."""
    try:
        return read_rollout_now(settings), []
    except (DataError, StorageError) as error:
        trading_state = found.trading_state if isinstance(found, RolloutFile) else TradingState.ACTIVE
        return Rollout(trading_state=trading_state), [str(error)]


def _last_change(
    rollout: Rollout, found: RolloutFile | bytes | None, *, is_usable: bool
) -> tuple[float | None, str | None, str | None]:
    """Since when it stands so, by whom and why. A stop that the history could not record stands in the file alone."""
    if rollout.changed is not None:
        return rollout.changed.ts, rollout.changed.by, rollout.changed.why
    if not is_usable and isinstance(found, RolloutFile):
        return found.since_ts, found.by, found.reason
    return None, None, None


def _read_plan(settings: Settings) -> tuple[RolloutPlan | None, tuple[str, ...]]:
    """The stages as configured, and why they cannot be used."""
    try:
        return read_plan(settings), ()
    except ConfigError as error:
        return None, tuple(map(str, error.problems))
    except StorageError as error:
        return None, (str(error),)


def _problems(
    settings: Settings,
    rollout: Rollout,
    found: RolloutFile | bytes | None,
    evidence: RolloutEvidence,
    now: float,
) -> list[str]:
    """What is allowed beyond what is supported."""
    path = settings.rollout_state
    problems = []
    if isinstance(found, bytes):
        problems.append(f"{path} is not what the pipeline writes; run pipeline-v6 heartbeat to replace it")
    elif found is not None and not says_the_same(rollout, found):
        problems.append(
            f"{path} says {found.state} with {format_percent(found.notional_share)} of {len(found.symbols)} symbols and"
            f" trading {found.trading_state}, the history says {rollout.state}; run pipeline-v6 heartbeat to write it"
            " again"
        )
    move = find_downward_move(rollout, evidence, now, max_compare_age_s(settings))
    if move is not None and move.broken:
        problems.append(f"v6 is in {rollout.state}, and broken is {move.why}")
    elif move is not None and rollout.doubt is None:
        problems.append(f"v6 is in {rollout.state}, and {move.why}")
    elif rollout.doubt is not None and move is None:
        problems.append(
            f"v6 is in {rollout.state}, and the newest compare found {', '.join(rollout.doubt.broken)} broken"
        )
    return problems


def _notes(rollout: Rollout, found: RolloutFile | bytes | None, evidence: RolloutEvidence, now: float) -> list[str]:
    notes = []
    if found is None and rollout.sequence:
        notes.append("the executor's file is missing, so v6 is off; run pipeline-v6 heartbeat to write it again")
    if isinstance(found, RolloutFile) and found.valid_until < now:
        notes.append(
            f"the executor's file was valid until {format_time(found.valid_until)}, so v6 is off; run pipeline-v6"
            " heartbeat"
        )
    if rollout.state in PLACING and evidence.verdict != "PASS":
        notes.append(f"the verdict is {evidence.verdict}: v6 keeps its stage and cannot move up")
    critical = [
        each.name
        for each in evidence.criteria
        if each.group is CriterionGroup.CRITICAL and each.state is CriterionState.BROKEN
    ]
    if critical and rollout.state is RolloutState.ROLLED_BACK:
        notes.append(
            f"this epoch keeps {', '.join(critical)} broken; once the cause is gone, pipeline-v6 acknowledge with"
            " --fixed-at begins another one"
        )
    return notes


def _next_step(rollout: Rollout, plan: RolloutPlan, evidence: RolloutEvidence, now: float) -> NextStep | None:
    """What a person can do next to move up; None where there is nothing above."""
    if rollout.trading_state is not TradingState.ACTIVE:
        return NextStep(step="resume", stage=rollout.stage, needs=(), approvals_needed=1, approved_by=())
    if rollout.state is RolloutState.PAUSED:
        needs = missing_for_resume(rollout, evidence)
        return NextStep(step="resume", stage=rollout.stage, needs=needs, approvals_needed=1, approved_by=())
    if rollout.state is RolloutState.LIVE:
        return None
    target = next_stage(rollout, plan, evidence)
    standing = () if target is None else rollout.standing_approvals(target, evidence.epoch, now)
    return NextStep(
        step="approve",
        stage=target,
        needs=missing_for_next(rollout, plan, evidence, now),
        approvals_needed=plan.approvals,
        approved_by=tuple(each.by for each in standing),
    )
