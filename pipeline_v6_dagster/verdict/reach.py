"""What stands between the desk and a PASS, and on which date one becomes possible at the desk's own rates.

A date says when a PASS is possible, not that it will come: it takes decisions and orders to arrive as often as in the
epoch so far and, where mismatches have to be outweighed, to agree.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

from pipeline_v6_dagster.domain.verdict import Criterion, CriterionState
from pipeline_v6_dagster.verdict.betting import BlockBet, clean_blocks_needed, growth_per_block
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts
from pipeline_v6_dagster.verdict.policy import (
    DAY_S,
    GATE_WINDOW,
    MAX_DIFFERENT_SIZES_RATIO,
    MAX_EXPOSURE_ADDED_RATIO,
    MAX_IGNORED_RATIO,
    MAX_UNEXPLAINED_REDUCING_RATIO,
    MIN_DAYS_WITH_DECISIONS_RATIO,
    MIN_FILL_RATIO,
    MIN_KNOWN_OUTCOME_RATIO,
    MIN_MEASURED,
    MIN_SIZED_RATIO,
    MIN_SLICE_DECISIONS,
    VerdictPolicy,
)
from pipeline_v6_dagster.verdict.reading import count, percent
from pipeline_v6_dagster.verdict.reading_diffs import UNITS_PER_USD
from pipeline_v6_dagster.verdict.sufficiency import covered_symbols, days_with_decisions, elapsed_days

# Rates of a shorter epoch say nothing.
_MIN_DAYS_OF_RATE = 1 / 24
# Beyond this a date is no help, and a clock may not be able to show it.
_MAX_DAYS = 3650.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one criterion still needs. `days` is how long that takes from the newest decision on, at the present rates.

    None where waiting alone does not help (`is_blocked`), or where the epoch is too young to know its rates.
    """

    name: str
    missing: str
    days: float | None = None
    is_blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """All steps to a PASS. `possible_ts` (epoch s) is the first date on which one is possible.

    None where it is not known, or where waiting alone never gets there: `blockers` names the criteria that say so.
    """

    steps: tuple[Step, ...]
    possible_ts: float | None
    blockers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Context:
    evidence: EpochEvidence
    facts: Facts
    policy: VerdictPolicy
    elapsed: float | None

    def days_for(self, missing: float, seen: float) -> float | None:
        """Days until `missing` more have come, where `seen` came since the epoch began; None where nobody can say."""
        if missing <= 0:
            return 0.0
        if self.elapsed is None or self.elapsed < _MIN_DAYS_OF_RATE or seen <= 0:
            return None
        days = missing * self.elapsed / seen
        return days if isfinite(days) and days <= _MAX_DAYS else None

    def step(self, one: Criterion, missing: str, needed: float, seen: float) -> Step:
        """A step that waiting for `needed` more takes; blocked where that would take forever."""
        days = self.days_for(needed, seen)
        is_known = self.elapsed is not None and self.elapsed >= _MIN_DAYS_OF_RATE
        return Step(name=one.name, missing=missing, days=days, is_blocked=days is None and is_known)


def reach(criteria: Sequence[Criterion], evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reach:
    """The steps to a PASS from where `criteria` stand."""
    context = _Context(evidence, facts, policy, elapsed_days(facts.log.epoch))
    steps = tuple(
        _STEPS.get(one.name, _by_person)(one, context)
        for one in criteria
        if one.counts_against and one.state is not CriterionState.HOLDS
    )
    blockers = tuple(step.name for step in steps if step.is_blocked)
    newest = facts.log.epoch.newest_ts
    possible_ts = None
    if not blockers and newest is not None and all(step.days is not None for step in steps):
        possible_ts = newest + max((step.days or 0.0 for step in steps), default=0.0) * DAY_S
    return Reach(steps=steps, possible_ts=possible_ts, blockers=blockers)


def _by_person(one: Criterion, context: _Context) -> Step:
    if one.state is CriterionState.BROKEN:
        return Step(name=one.name, missing=one.to_do, is_blocked=True)
    return context.step(one, "a first decision", 1, context.evidence.decisions)


def _orders_explained(one: Criterion, context: _Context) -> Step:
    evidence = context.evidence
    if one.state is not CriterionState.BROKEN or evidence.count_failing(one.name):
        return _by_person(one, context)
    orders = evidence.executed + evidence.live_only
    needed = ceil(evidence.reducing / MAX_UNEXPLAINED_REDUCING_RATIO) - orders
    return context.step(one, f"{count(needed, 'live order')} that a decision explains", needed, orders)


def _gates_alive(one: Criterion, context: _Context) -> Step:
    seen = context.evidence.decisions
    if one.state is CriterionState.NOT_YET:
        needed = MIN_MEASURED - context.facts.window.gate_decisions
        return context.step(one, count(needed, "decision"), needed, seen)
    return Step(name=one.name, missing=f"{one.to_do} It holds at most {GATE_WINDOW} decisions later.", is_blocked=True)


def _coverage(one: Criterion, context: _Context) -> Step:
    evidence = context.evidence
    if one.state is not CriterionState.BROKEN:
        return context.step(one, "an executed order", 1, evidence.executed)
    outcomes = ceil(evidence.unresolved / (1 - MIN_KNOWN_OUTCOME_RATIO)) - evidence.decisions
    sizes = ceil(evidence.unsized / (1 - MIN_SIZED_RATIO)) - evidence.executed
    pairs = 2 * evidence.paired_by_time - evidence.matched
    needed = max(outcomes, sizes, pairs)
    return context.step(one, f"{count(needed, 'decision')} with outcome, size and id", needed, evidence.executed)


def _fills(one: Criterion, context: _Context) -> Step:
    evidence = context.evidence
    if not evidence.asked_units:
        return context.step(one, "an order with a size in USD", 1, evidence.executed)
    # An order that fills adds as much to both sides.
    needed = (MIN_FILL_RATIO * evidence.asked_units - evidence.filled_units) / (1 - MIN_FILL_RATIO)
    missing = f"{needed / UNITS_PER_USD:,.2f} USD of orders that fill"
    return context.step(one, missing, needed, evidence.asked_units)


def _little_ignored(one: Criterion, context: _Context) -> Step:
    evidence = context.evidence
    needed = ceil(evidence.ignored / MAX_IGNORED_RATIO) - evidence.ignored - evidence.decisions
    if needed <= 0 and one.state is CriterionState.BROKEN:
        return _by_person(one, context)
    needed = max(needed, 1)
    return context.step(one, f"{count(needed, 'decision')} that no rule hides", needed, evidence.decisions)


def _bet(one: Criterion, context: _Context, bet: BlockBet, limit: float, hits: int, seen: int, noun: str) -> Step:
    if seen and growth_per_block(hits / seen, bet.length, limit) <= 0:
        missing = f"fewer mismatches: at {percent(hits / seen, 2)} the bound never reaches {percent(limit)}"
        return Step(name=one.name, missing=missing, is_blocked=True)
    blocks = clean_blocks_needed(bet.counts(), bet.length, limit, context.facts.log.epoch.level)
    if blocks is None:
        return _by_person(one, context)
    needed = max(1, blocks * bet.length - bet.trials % bet.length)
    return context.step(one, f"{count(needed, noun)} without a mismatch", needed, seen)


def _decisions_agree(one: Criterion, context: _Context) -> Step:
    evidence, limit = context.evidence, context.policy.max_mismatch_ratio
    return _bet(one, context, evidence.bet, limit, evidence.mismatches, evidence.samples, "decision")


def _sizes_agree(one: Criterion, context: _Context) -> Step:
    evidence = context.evidence
    hits, seen = evidence.different_sizes, evidence.sized
    return _bet(one, context, evidence.size_bet, MAX_DIFFERENT_SIZES_RATIO, hits, seen, "sized order")


def _still_agrees(one: Criterion, context: _Context) -> Step:
    """In a window that still grows mismatches are diluted, in a full one they leave after at most its length."""
    window, policy = context.facts.window, context.policy
    if policy.max_mismatch_ratio <= 0:
        return _by_person(one, context)
    diluted = ceil(window.mismatches / policy.max_mismatch_ratio) - window.samples
    needed = max(min(diluted, policy.compare_limit), MIN_MEASURED - window.samples, 1)
    return context.step(one, f"{count(needed, 'decision')} without a mismatch", needed, context.evidence.samples)


def _every_slice_agrees(one: Criterion, context: _Context) -> Step:
    evidence, limit = context.evidence, context.policy.max_mismatch_ratio
    if limit <= 0:
        return _by_person(one, context)
    bad = [
        (name, ceil(part.hits / limit) - part.trials, part.trials)
        for name, part in evidence.slices.by_name.items()
        if part.trials >= MIN_SLICE_DECISIONS and part.hits > limit * part.trials
    ]
    if not bad:
        return context.step(one, count(MIN_SLICE_DECISIONS, "decision"), MIN_SLICE_DECISIONS, evidence.samples)
    return _slowest(
        context.step(one, f"{name}: {count(needed, 'decision')} without a mismatch", needed, seen)
        for name, needed, seen in bad
    )


def _few(measured: Callable[[EpochEvidence], int]) -> Callable[[Criterion, _Context], Step]:
    """A quantile or a share that needs enough orders first; broken ones get no better by waiting."""

    def step(one: Criterion, context: _Context) -> Step:
        if one.state is CriterionState.BROKEN:
            return _by_person(one, context)
        seen = measured(context.evidence)
        needed = max(1, MIN_MEASURED - seen)
        return context.step(one, f"{count(needed, 'more order')} to measure", needed, seen)

    return step


def _exposure_added(one: Criterion, context: _Context) -> Step:
    evidence = context.evidence
    needed = evidence.added_units / MAX_EXPOSURE_ADDED_RATIO - evidence.live_units
    if needed <= 0:
        orders = max(1, MIN_MEASURED - evidence.executed)
        return context.step(one, count(orders, "order"), orders, evidence.executed)
    missing = f"{needed / UNITS_PER_USD:,.2f} USD of live orders to which v6 adds nothing"
    return context.step(one, missing, needed, evidence.live_units)


def _long_enough(one: Criterion, context: _Context) -> Step:
    if context.elapsed is None:
        return context.step(one, "a first decision", 1, 0)
    active, days = days_with_decisions(context.evidence, context.facts.log.epoch)
    share = MIN_DAYS_WITH_DECISIONS_RATIO
    idle = max(0, ceil((share * days - active) / (1 - share)))
    needed = max(context.policy.min_days - context.elapsed, float(idle))
    return Step(name=one.name, missing=f"{needed:,.1f} more days", days=needed)


def _orders_enough(one: Criterion, context: _Context) -> Step:
    seen = context.evidence.executed
    needed = context.policy.min_orders - seen
    return context.step(one, f"{count(needed, 'more executed order')}", needed, seen)


def _symbols_covered(one: Criterion, context: _Context) -> Step:
    _, missing = covered_symbols(context.evidence, context.policy)
    if not missing:
        return context.step(one, "a first decision", 1, 0)
    steps = []
    for name in missing:
        symbol = context.evidence.symbols.get(name)
        seen = 0 if symbol is None else symbol.executed
        needed = context.policy.min_orders_per_symbol - seen
        text = f"{name}: {count(needed, 'more executed order')}, or leave it out of PIPELINE_VERDICT_SYMBOLS"
        steps.append(context.step(one, text, needed, seen))
    return _slowest(steps)


def _slowest(steps: Iterable[Step]) -> Step:
    """The blocked one, else that of unknown length, else the longest."""
    return max(steps, key=lambda step: (step.is_blocked, step.days is None, step.days or 0.0, step.missing))


_STEPS: dict[str, Callable[[Criterion, _Context], Step]] = {
    "orders_explained": _orders_explained,
    "gates_alive": _gates_alive,
    "coverage": _coverage,
    "fills": _fills,
    "little_ignored": _little_ignored,
    "decisions_agree": _decisions_agree,
    "sizes_agree": _sizes_agree,
    "still_agrees": _still_agrees,
    "every_slice_agrees": _every_slice_agrees,
    "slippage_as_expected": _few(lambda evidence: evidence.slippage_bps.count),
    "orders_prompt": _few(lambda evidence: evidence.delay_s.count),
    "routes_agree": _few(lambda evidence: evidence.routed),
    "exposure_added": _exposure_added,
    "long_enough": _long_enough,
    "orders_enough": _orders_enough,
    "symbols_covered": _symbols_covered,
}
