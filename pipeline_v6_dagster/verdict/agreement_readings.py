"""Readings of the agreement criteria: whether the two sides decide, size, route and pay alike."""

from math import isfinite

from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.verdict.betting import BlockBet, is_above, is_below, lower_bound, upper_bound
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts
from pipeline_v6_dagster.verdict.policy import (
    MAX_DIFFERENT_SIZES_RATIO,
    MAX_EXPOSURE_ADDED_RATIO,
    MIN_MEASURED,
    MIN_SLICE_DECISIONS,
    VerdictPolicy,
)
from pipeline_v6_dagster.verdict.quantiles import LogHistogram
from pipeline_v6_dagster.verdict.reading import Reading, count, holds_if, newest_ids, percent, share, unmeasured
from pipeline_v6_dagster.verdict.reading_diffs import UNITS_PER_USD
from pipeline_v6_dagster.verdict.slices import Slice


def _bound(bet: BlockBet, limit: float, level: float, hits: int, trials: int, what: str) -> Reading:
    """HOLDS where the upper bound is at most the limit, BROKEN where the lower one is above it."""
    limit_text = f"at most {percent(limit)}"
    if not trials:
        return unmeasured(limit_text, f"no {what} was measured")
    counts = bet.counts()
    low, high = lower_bound(counts, bet.length, level), upper_bound(counts, bet.length, level)
    state = CriterionState.NOT_YET
    if is_above(counts, bet.length, limit, level):
        state = CriterionState.BROKEN
    elif is_below(counts, bet.length, limit, level):
        state = CriterionState.HOLDS
    return Reading(
        state=state,
        measured=f"{percent(hits / trials, 2)}, at most {percent(high, 2)}",
        limit=limit_text,
        description=(
            f"{hits:,} of {count(trials, what)} {'differs' if hits == 1 else 'differ'} ({percent(hits / trials, 2)}; "
            f"bounds {percent(low, 2)} to {percent(high, 2)})"
        ),
        value=100 * hits / trials,
    )


def decisions_agree(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """The bounds hold at every look and for mismatches that come in bursts."""
    level = facts.log.epoch.level
    reading = _bound(evidence.bet, policy.max_mismatch_ratio, level, evidence.mismatches, evidence.samples, "decision")
    if reading.state is CriterionState.HOLDS or not facts.window.mismatch_ids:
        return reading
    return _with_ids(reading, facts.window.mismatch_ids)


def still_agrees(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """A good past does not outweigh a bad present."""
    window = facts.window
    limit = f"at most {percent(policy.max_mismatch_ratio)}"
    ratio = share(window.mismatches, window.samples)
    if ratio is None:
        return unmeasured(limit, "no decision of this epoch has a known live outcome")
    is_good = ratio <= policy.max_mismatch_ratio
    few = window.samples < MIN_MEASURED
    return Reading(
        state=CriterionState.NOT_YET if few else holds_if(is_good),
        measured=percent(ratio, 2),
        limit=limit,
        description=f"{window.mismatches:,} of the newest {count(window.samples, 'decision')} disagree",
        value=100 * ratio,
        failing_ids=() if is_good else window.mismatch_ids,
    )


def every_slice_agrees(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """No symbol, side or route hides behind the rest."""
    limit = f"at most {percent(policy.max_mismatch_ratio)} in each"
    parts = {name: part for name, part in evidence.slices.by_name.items() if part.trials >= MIN_SLICE_DECISIONS}
    if not parts:
        return Reading(
            state=CriterionState.NOT_YET,
            measured="no slice",
            limit=limit,
            description=f"no slice has {MIN_SLICE_DECISIONS} decisions yet",
        )
    bad = [name for name, part in parts.items() if part.hits > policy.max_mismatch_ratio * part.trials]
    proven = [name for name in bad if _is_slice_broken(parts[name], policy)]
    worst = max(parts, key=lambda name: parts[name].hits / parts[name].trials)
    ratio = parts[worst].hits / parts[worst].trials
    state = CriterionState.BROKEN if proven else CriterionState.NOT_YET if bad else CriterionState.HOLDS
    named = ", ".join(f"{name} ({percent(parts[name].hits / parts[name].trials)})" for name in (proven or bad)[:5])
    return Reading(
        state=state,
        measured=f"{percent(ratio)} in the worst of {count(len(parts), 'slice')}",
        limit=limit,
        description=f"too many mismatches: {named}" if bad else f"the worst slice is {worst} with {percent(ratio)}",
        value=100 * ratio,
        failing_ids=newest_ids(facts.window.mismatch_ids) if bad else (),
    )


def _is_slice_broken(part: Slice, policy: VerdictPolicy) -> bool:
    """Each slice is another chance of a false alarm: the i-th is tested at the error rate / (i (i + 1))."""
    level = policy.error_rate / (part.ordinal * (part.ordinal + 1))
    return is_above(part.blocks.sealed, part.blocks.length, policy.max_mismatch_ratio, level)


def sizes_agree(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """The same bet over small blocks: an epoch has far fewer orders than decisions."""
    level = facts.log.epoch.level
    return _bound(
        evidence.size_bet,
        MAX_DIFFERENT_SIZES_RATIO,
        level,
        evidence.different_sizes,
        evidence.sized,
        "order size",
    )


def slippage_as_expected(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Median and 95th percentile of the absolute difference, to within 1 % of each."""
    limit = f"at most {policy.max_slippage_p50_bps:g} and {policy.max_slippage_p95_bps:g} bps"
    p50, p95 = evidence.slippage_bps.quantile(0.5), evidence.slippage_bps.quantile(0.95)
    if p50 is None or p95 is None:
        return unmeasured(limit, "no order of this epoch has a slippage to compare")
    is_good = p50 <= policy.max_slippage_p50_bps and p95 <= policy.max_slippage_p95_bps
    return Reading(
        state=_state(evidence.slippage_bps, is_good),
        measured=f"{p50:,.2f} and {p95:,.2f} bps",
        limit=limit,
        description=f"slippage differs by {p50:,.2f} bps in the median and {p95:,.2f} bps at the 95th percentile",
        value=p95,
    )


def orders_prompt(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """What v6 decides at one moment says nothing of an order that came much later."""
    limit = f"at most {policy.max_order_delay_s:g} s"
    p95 = evidence.delay_s.quantile(0.95)
    if p95 is None:
        return unmeasured(limit, "no order of this epoch was executed")
    return Reading(
        state=_state(evidence.delay_s, p95 <= policy.max_order_delay_s),
        measured=f"{p95:,.2f} s",
        limit=limit,
        description=f"95 % of orders follow their attempt within {p95:,.2f} s",
        value=p95,
    )


def routes_agree(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Where no limit is set, the share is shown and decides nothing."""
    most = policy.max_route_mismatch_ratio
    limit = "not set" if most is None else f"at most {percent(most)}"
    ratio = share(evidence.route_mismatches, evidence.routed)
    if ratio is None:
        return unmeasured(limit, "no order of this epoch says how it was routed", counts_against=most is not None)
    is_good = most is None or ratio <= most
    few = most is not None and evidence.routed < MIN_MEASURED
    return Reading(
        state=CriterionState.NOT_YET if few else holds_if(is_good),
        measured=percent(ratio),
        limit=limit,
        description=f"{evidence.route_mismatches:,} of {count(evidence.routed, 'order')} went another way than v6's",
        value=100 * ratio,
        counts_against=most is not None,
    )


def exposure_added(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """What v6 would have put on the market beyond live: the risk of switching over."""
    limit = f"at most {percent(MAX_EXPOSURE_ADDED_RATIO, 0)} of live's gross"
    ratio = share(evidence.added_units, evidence.live_units)
    if ratio is None:
        return unmeasured(limit, "no opening order of this epoch has a size in USD")
    usd = evidence.added_units / UNITS_PER_USD
    few = evidence.executed < MIN_MEASURED
    return Reading(
        state=CriterionState.NOT_YET if few else holds_if(ratio <= MAX_EXPOSURE_ADDED_RATIO),
        measured=f"{usd:,.2f} USD ({percent(ratio, 2)})",
        limit=limit,
        description=f"v6 would have placed {usd:,.2f} USD beyond live, {percent(ratio, 2)} of live's gross",
        value=100 * ratio,
    )


def _state(measured: LogHistogram, is_good: bool) -> CriterionState:
    return CriterionState.NOT_YET if measured.count < MIN_MEASURED else holds_if(is_good)


def _with_ids(reading: Reading, ids: tuple[str, ...]) -> Reading:
    return Reading(
        state=reading.state,
        measured=reading.measured,
        limit=reading.limit,
        description=reading.description,
        value=reading.value if reading.value is not None and isfinite(reading.value) else None,
        failing_ids=newest_ids(ids),
    )
