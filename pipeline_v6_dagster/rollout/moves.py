"""Which moves the evidence allows, for a person to make, and which it demands, whoever sees it first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from pipeline_v6_dagster.domain.errors import RefusedError
from pipeline_v6_dagster.domain.formatting import format_duration, format_time
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import (
    PLACING,
    EpochKey,
    RolloutEvent,
    RolloutPlan,
    RolloutRecord,
    RolloutState,
    Stage,
    StagePlan,
    SymbolSelection,
)
from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.rollout.machine import Rollout, normal_name, outcome, why_illegal

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvidence:
    """What a move rests on: the verdict as of a moment, and the compare that it comes from.

    `executed_by_symbol` counts executed orders in the epoch. `gate_problems` say why the launch gate is shut although
    the verdict may be PASS: a red or amber light, a stale file. `compare_ts` (epoch s) and `compare_chain` name the
    block of the compare log; None if there is none. `compares_before_ts` are the times (epoch s) of those before it,
    newest first, back to one that the executor's file has followed.
    """

    verdict: Verdict
    epoch: EpochKey | None
    criteria: tuple[Criterion, ...]
    passed_symbols: tuple[str, ...]
    executed_by_symbol: Mapping[str, int]
    compare_ts: float | None
    compare_chain: str | None = None
    gate_problems: tuple[str, ...] = ()
    compares_before_ts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """An event that the evidence demands, why, and which criteria are broken.

    `served_until_ts` (epoch s) is when v6 went off by itself; None if it has not.
    """

    event: RolloutEvent
    why: str
    broken: tuple[str, ...] = ()
    served_until_ts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, when (epoch s) and why."""

    by: str
    why: str
    ts: float
    is_automatic: bool = False


def next_stage(rollout: Rollout, plan: RolloutPlan, evidence: RolloutEvidence) -> Stage | None:
    """The stage above the present one, its symbols chosen among those that have passed; None if there is none."""
    place = 0
    if rollout.stage is not None:
        names = [stage.name for stage in plan.stages]
        if rollout.stage.name not in names:
            return None
        place = names.index(rollout.stage.name) + 1
    if place == len(plan.stages):
        return None
    planned = plan.stages[place]
    return Stage(
        name=planned.name,
        symbols=_choose_symbols(planned, evidence),
        notional_share=planned.notional_share,
        min_hours=planned.min_hours,
        criteria=planned.criteria,
        is_last=place == len(plan.stages) - 1,
    )


def _choose_symbols(planned: StagePlan, evidence: RolloutEvidence) -> tuple[str, ...]:
    if planned.symbols is SymbolSelection.ALL:
        return evidence.passed_symbols
    if planned.symbols is SymbolSelection.MOST_TRADED:
        executed = evidence.executed_by_symbol
        return tuple(sorted(evidence.passed_symbols, key=lambda name: (-executed.get(name, 0), name))[:1])
    return tuple(planned.symbols)


def missing_for_next(rollout: Rollout, plan: RolloutPlan, evidence: RolloutEvidence, now: float) -> tuple[str, ...]:
    """What stands between the present stage and the next one at `now` (epoch s), besides the approvals."""
    problem = why_illegal(rollout, RolloutEvent.APPROVE, is_automatic=False)
    if problem is not None:
        return (problem,)
    missing = list(_missing_evidence(evidence))
    target = next_stage(rollout, plan, evidence)
    if target is None:
        name = "-" if rollout.stage is None else rollout.stage.name
        return (f"config/rollout.json lists no stage after {name!r}; add one, or roll back and start over",)
    if evidence.verdict is Verdict.PASS:
        not_passed = [name for name in target.symbols if name not in evidence.passed_symbols]
        missing += [f"the PASS does not cover {', '.join(not_passed)}"] if not_passed else []
        missing += [] if target.symbols else ["no symbol has passed"]
    if rollout.stage is not None:
        needed_s = rollout.stage.min_hours * _HOUR_S
        served_s = rollout.served_s(now)
        if served_s < needed_s:
            missing.append(
                f"stage {rollout.stage.name} has lasted {format_duration(served_s)} of {format_duration(needed_s)}"
            )
    if rollout.trading_state is not TradingState.ACTIVE:
        missing.append(f"trading is {rollout.trading_state}; resume it first, with pipeline-v6 rollout resume")
    return tuple(missing)


def _missing_evidence(evidence: RolloutEvidence) -> tuple[str, ...]:
    if evidence.verdict is Verdict.PASS:
        return evidence.gate_problems
    against = [each.name for each in evidence.criteria if each.counts_against and each.state != CriterionState.HOLDS]
    because = f" because of {', '.join(against)}" if against else ""
    return (f"a PASS is needed, and the verdict is {evidence.verdict}{because}", *evidence.gate_problems)


def missing_for_resume(rollout: Rollout, evidence: RolloutEvidence) -> tuple[str, ...]:
    """What a paused rollout needs to place orders again: the PASS that its stage rests on."""
    if rollout.state is not RolloutState.PAUSED or rollout.trading_state is not TradingState.ACTIVE:
        return ()
    missing = list(_missing_evidence(evidence))
    if evidence.epoch != rollout.epoch:
        missing.append(
            "the stage was approved on the evidence of another epoch; roll back, then approve the first stage"
        )
    if rollout.stage is not None and evidence.verdict is Verdict.PASS:
        not_passed = [name for name in rollout.stage.symbols if name not in evidence.passed_symbols]
        missing += [f"the PASS does not cover {', '.join(not_passed)}"] if not_passed else []
    return tuple(missing)


def make_record(
    rollout: Rollout, event: RolloutEvent, actor: Actor, evidence: RolloutEvidence, **details: object
) -> RolloutRecord:
    """The line of the history that this event is, if it may come.

    Raises:
        RefusedError: it may not come, with what is needed.
    """
    problem = why_illegal(rollout, event, is_automatic=actor.is_automatic)
    if problem is not None:
        raise RefusedError(event, [problem])
    draft = RolloutRecord(
        sequence=rollout.sequence + 1,
        ts=actor.ts,
        event=event,
        by=actor.by,
        why=actor.why,
        is_automatic=actor.is_automatic,
        state=rollout.state,
        trading_state=rollout.trading_state,
        verdict=evidence.verdict.value,
        epoch=evidence.epoch,
        compare_ts=evidence.compare_ts,
        compare_chain=evidence.compare_chain,
        **details,  # type: ignore[arg-type]  # the named fields of a record that only some events have
    )
    return outcome(rollout, draft)


def approve(rollout: Rollout, plan: RolloutPlan, actor: Actor, evidence: RolloutEvidence) -> RolloutRecord:
    """The line that an approval is. With fewer approvals than the plan asks for, v6 may do no more than before.

    Raises:
        RefusedError: with all that is missing.
    """
    missing = list(missing_for_next(rollout, plan, evidence, actor.ts))
    target = next_stage(rollout, plan, evidence)
    if target is not None and not missing:
        standing = rollout.standing_approvals(target, evidence.epoch, actor.ts)
        if any(normal_name(each.by) == normal_name(actor.by) for each in standing):
            missing.append(f"{actor.by} has approved this step already; it takes {plan.approvals} different names")
    if missing or target is None:
        raise RefusedError(RolloutEvent.APPROVE, missing)
    return make_record(rollout, RolloutEvent.APPROVE, actor, evidence, target=target, approvals_needed=plan.approvals)


def resume(rollout: Rollout, actor: Actor, evidence: RolloutEvidence) -> RolloutRecord:
    """The line that lifts a halt or a reduction; if there is none, the one that ends a pause.

    Raises:
        RefusedError: with all that is missing.
    """
    missing = missing_for_resume(rollout, evidence)
    if missing:
        raise RefusedError(RolloutEvent.RESUME, missing)
    return make_record(rollout, RolloutEvent.RESUME, actor, evidence)


def find_critical_move(rollout: Rollout, evidence: RolloutEvidence) -> Move | None:
    """The rollback that a broken critical criterion demands. The summary of a compare is enough to know it."""
    if rollout.state not in PLACING and rollout.state is not RolloutState.PAUSED:
        return None
    broken = _broken(evidence, lambda each: each.group is CriterionGroup.CRITICAL)
    if not broken:
        return None
    return Move(RolloutEvent.ROLLBACK, f"critical: {_describe(evidence, broken)}", broken)


def find_compare_gap(rollout: Rollout, evidence: RolloutEvidence, now: float, max_compare_age_s: float) -> Move | None:
    """The pause that follows if no compare came for `max_compare_age_s` (s) while v6 was to place orders, up to `now`.

    The executor's file had expired meanwhile: a compare that has come since does not make up for it. A compare that is
    as far in the future counts as none.
    """
    if rollout.state not in PLACING:
        return None
    if evidence.compare_ts is None:
        why = "the compare log holds no compare that could support the stage"
        return Move(RolloutEvent.PAUSE, why, served_until_ts=rollout.since_ts)
    since_ts = -inf if rollout.since_ts is None else rollout.since_ts
    needed = f"without one every {format_duration(max_compare_age_s)} nothing shows that v6 still does what it should"
    oldest_first = (evidence.compare_ts, *evidence.compares_before_ts)[::-1]
    for before_ts, ts in pairwise(oldest_first):
        if ts > since_ts and ts - before_ts > max_compare_age_s:
            return Move(
                RolloutEvent.PAUSE,
                f"no compare came from {format_time(before_ts)} to {format_time(ts)}; {needed}",
                served_until_ts=before_ts + max_compare_age_s,
            )
    if abs(now - evidence.compare_ts) <= max_compare_age_s:
        return None
    return Move(
        RolloutEvent.PAUSE,
        f"the newest compare is of {format_time(evidence.compare_ts)}; {needed}",
        served_until_ts=evidence.compare_ts + max_compare_age_s,
    )


def find_downward_move(
    rollout: Rollout, evidence: RolloutEvidence, now: float, max_compare_age_s: float
) -> Move | None:
    """What the evidence as of `now` (epoch s) demands: a rollback, a pause, a doubt, or that a doubt is cleared.

    The criteria are to be complete, with those that only the present can tell. `max_compare_age_s` as in
    `find_compare_gap`.
    """
    critical = find_critical_move(rollout, evidence)
    stage = rollout.stage
    if critical is not None or rollout.state not in PLACING or stage is None:
        return critical
    gap = find_compare_gap(rollout, evidence, now, max_compare_age_s)
    if gap is not None:
        return gap
    if evidence.epoch != rollout.epoch:
        return Move(RolloutEvent.PAUSE, "the epoch whose PASS the stage rests on has ended")
    broken = _broken(evidence, lambda each: stage.criteria is None or each.name in stage.criteria)
    is_other_compare = rollout.doubt is not None and rollout.doubt.compare_ts != evidence.compare_ts
    if not broken:
        return Move(RolloutEvent.CLEAR, "the criteria hold again") if is_other_compare else None
    if rollout.doubt is None:
        return Move(RolloutEvent.DOUBT, _describe(evidence, broken), broken)
    if not is_other_compare:
        return None
    return Move(RolloutEvent.PAUSE, f"broken in two consecutive compares: {_describe(evidence, broken)}", broken)


def _broken(evidence: RolloutEvidence, is_asked: Callable[[Criterion], bool]) -> tuple[str, ...]:
    return tuple(
        each.name
        for each in evidence.criteria
        if each.state is CriterionState.BROKEN and each.counts_against and is_asked(each)
    )


def _describe(evidence: RolloutEvidence, names: tuple[str, ...]) -> str:
    return "; ".join(f"{each.name}: {each.description}" for each in evidence.criteria if each.name in names)
