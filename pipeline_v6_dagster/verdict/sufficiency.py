"""Readings of the sufficiency criteria: whether there is enough evidence, for long enough, of each symbol."""

from math import isfinite

from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.verdict.evidence_state import OTHER_SYMBOLS, EpochEvidence
from pipeline_v6_dagster.verdict.facts import EpochFacts, Facts
from pipeline_v6_dagster.verdict.policy import DAY_S, MIN_DAYS_WITH_DECISIONS_RATIO, VerdictPolicy
from pipeline_v6_dagster.verdict.reading import Reading, count, percent, unmeasured


def elapsed_days(epoch: EpochFacts) -> float | None:
    """Days from the beginning of the epoch to its newest decision; None before there is one."""
    if epoch.since_ts is None or epoch.newest_ts is None:
        return None
    days = (epoch.newest_ts - epoch.since_ts) / DAY_S
    return max(0.0, days) if isfinite(days) else None


def days_with_decisions(evidence: EpochEvidence, epoch: EpochFacts) -> tuple[int, int]:
    """(UTC days of the epoch with a decision, UTC days of the epoch), both ends included."""
    if epoch.since_ts is None or epoch.newest_ts is None or elapsed_days(epoch) is None:
        return 0, 0
    last_ts = max(epoch.newest_ts, epoch.since_ts)
    days = int(last_ts // DAY_S - epoch.since_ts // DAY_S) + 1
    return evidence.days.count(epoch.since_ts, last_ts), days


def long_enough(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Enough days, and not just a burst at each end of them."""
    limit = f"{policy.min_days:g} days, decisions on {percent(MIN_DAYS_WITH_DECISIONS_RATIO, 0)} of them"
    elapsed = elapsed_days(facts.log.epoch)
    if elapsed is None:
        return unmeasured(limit, "the epoch has no decision yet")
    active, days = days_with_decisions(evidence, facts.log.epoch)
    is_long = elapsed >= policy.min_days and active >= MIN_DAYS_WITH_DECISIONS_RATIO * days
    return Reading(
        state=CriterionState.HOLDS if is_long else CriterionState.NOT_YET,
        measured=f"{elapsed:,.1f} days, decisions on {active:,} of {days:,}",
        limit=limit,
        description=f"the epoch has lasted {elapsed:,.1f} days, with decisions on {active:,} of {days:,} UTC days",
        value=elapsed,
    )


def orders_enough(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Executed orders of decisions in scope."""
    return Reading(
        state=CriterionState.HOLDS if evidence.executed >= policy.min_orders else CriterionState.NOT_YET,
        measured=count(evidence.executed, "order"),
        limit=f"at least {policy.min_orders:,}",
        description=f"live executed {count(evidence.executed, 'order')} of {policy.min_orders:,} needed",
        value=float(evidence.executed),
    )


def symbols_in_scope(evidence: EpochEvidence, policy: VerdictPolicy) -> tuple[str, ...]:
    """Those that the settings name, else all that are attempted; sorted."""
    attempted = (name for name, symbol in evidence.symbols.items() if symbol.decisions > 0)
    return tuple(sorted(policy.symbols or attempted))


def covered_symbols(evidence: EpochEvidence, policy: VerdictPolicy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the symbols in scope with enough executed orders, those without)."""
    covered: list[str] = []
    missing: list[str] = []
    for name in symbols_in_scope(evidence, policy):
        symbol = evidence.symbols.get(name)
        is_covered = symbol is not None and symbol.executed >= policy.min_orders_per_symbol and name != OTHER_SYMBOLS
        (covered if is_covered else missing).append(name)
    return tuple(covered), tuple(missing)


def symbols_covered(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """A PASS is for symbols, so each of them needs orders of its own."""
    covered, missing = covered_symbols(evidence, policy)
    limit = f"at least {count(policy.min_orders_per_symbol, 'executed order')} of each symbol"
    total = len(covered) + len(missing)
    if total == 0:
        return unmeasured(limit, "no symbol was attempted in this epoch")
    few = ", ".join(missing[:10]) + (f" and {len(missing) - 10:,} more" if len(missing) > 10 else "")
    return Reading(
        state=CriterionState.NOT_YET if missing else CriterionState.HOLDS,
        measured=f"{len(covered):,} of {count(total, 'symbol')}",
        limit=limit,
        description=f"too few executed orders of {few}" if missing else f"all of {count(total, 'symbol')} have enough",
        value=float(len(covered)),
    )
