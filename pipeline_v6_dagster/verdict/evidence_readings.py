"""Readings of the evidence criteria: whether logs, executor and ignore rules can carry a verdict at all."""

from math import isfinite

from pipeline_v6_dagster.domain.formatting import format_duration
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts, InputFacts
from pipeline_v6_dagster.verdict.policy import (
    DAY_S,
    MAX_AGE_S,
    MAX_AHEAD_S,
    MAX_FEE_RATIO,
    MAX_IGNORE_DAYS,
    MAX_IGNORED_RATIO,
    MAX_MALFORMED_RATIO,
    MAX_ONE_REASON_RATIO,
    MAX_PRICE_DISTANCE_RATIO,
    MAX_RETURNS_PER_HOUR,
    MAX_TIME_PAIR_RATIO,
    MIN_DENIED_KNOWN_RATIO,
    MIN_FILL_RATIO,
    MIN_KNOWN_OUTCOME_RATIO,
    MIN_MEASURED,
    MIN_NAV_RATIO,
    MIN_NEWEST_KNOWN_RATIO,
    MIN_SIZED_RATIO,
    MIN_SLICE_DECISIONS,
    VerdictPolicy,
)
from pipeline_v6_dagster.verdict.reading import Reading, count, holds_if, newest_ids, percent, share, unmeasured
from pipeline_v6_dagster.verdict.window import WindowEvidence

_LIVE_LIMITS_SHOWN = 5


def _problems(limit: str, problems: list[str], good: str, *, ids: tuple[str, ...] = ()) -> Reading:
    """Broken by any problem; holds if there is none."""
    return Reading(
        state=holds_if(not problems),
        measured=count(len(problems), "problem"),
        limit=limit,
        description="; ".join(problems) if problems else good,
        value=float(len(problems)),
        failing_ids=ids,
    )


def logs_intact(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading | None:
    """As of the moment of asking."""
    if facts.now is None:
        return None
    problems = list(facts.now.chain_problems)
    if facts.now.is_summary_in_log is False:
        problems.append("the summary file is not the one in the compare log")
    if not problems and facts.now.is_summary_in_log is None:
        return unmeasured("0 problems", "the summary file was not compared with the compare log")
    return _problems("0 problems", problems, "the hash chains are whole and the summary is the one in the log")


def inputs_whole(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Nothing of an input is gone unread, and no rotation of it is out of reach."""
    if not facts.log.inputs:
        return unmeasured("0 problems", "no input was read")
    problems = []
    for one in facts.log.inputs:
        if one.lost_bytes:
            problems.append(f"{one.name}: {one.lost_bytes:,} bytes were lost before they were read")
        if one.is_missing:
            problems.append(f"{one.name} was read and is not there any more, nor is a rotation of it")
        if one.is_replaced:
            problems.append(f"{one.name} shrank, was edited or was replaced, or a rotation of it is damaged")
        problems += [
            f"{one.name}: {path} looks like a rotation and cannot be read" for path in one.unreadable_rotations
        ]
    return _problems("0 problems", problems, "all inputs were read without a gap")


def inputs_usable(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """The worst input counts: good lines of one log do not make up for bad ones of another."""
    limit = f"{percent(MAX_MALFORMED_RATIO, 0)} malformed lines, 0 unused rows with a quantity, 0 implausible orders"
    read = [one for one in facts.log.inputs if one.lines]
    if not read:
        return unmeasured(limit, "no line of any input was read")
    worst = max(read, key=_malformed)
    ratio = _malformed(worst)
    if not isfinite(ratio):
        return unmeasured(limit, f"the share of malformed lines of {worst.name} is not known")
    dropped = sum(one.dropped_order_rows for one in read)
    failing = evidence.failing_orders.get("inputs_usable")
    implausible = 0 if failing is None else failing.count
    problems = []
    if ratio > MAX_MALFORMED_RATIO:
        problems.append(f"{percent(ratio)} of the newest lines of {worst.name} are malformed")
    if dropped:
        problems.append(f"{count(dropped, 'row')} with the quantity of an order could not be used")
    if implausible:
        problems.append(
            f"{count(implausible, 'order')} executed more than {percent(MAX_PRICE_DISTANCE_RATIO, 0)} away from the "
            f"attempt's price and the market, or with a fee above {percent(MAX_FEE_RATIO, 0)}"
        )
    return Reading(
        state=holds_if(not problems),
        measured=f"{percent(ratio)} malformed, {dropped:,} unused, {implausible:,} implausible",
        limit=limit,
        description="; ".join(problems) or f"at most {percent(ratio)} of the newest lines of an input are malformed",
        value=100 * ratio,
        failing_ids=() if failing is None else newest_ids(failing.ids),
    )


def _malformed(one: InputFacts) -> float:
    return float("inf") if one.recent_malformed_ratio is None else one.recent_malformed_ratio


def inputs_fresh(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading | None:
    """As of the moment of asking. An input that exists and has no usable row is as good as stale."""
    if facts.now is None:
        return None
    limit = f"{MAX_AGE_S / 3600:.0f} h old, none ahead of the clock"
    newest = facts.now.newest_row_ts
    if not newest or not isfinite(facts.now.now):
        return unmeasured(limit, "no input has a row")
    problems = []
    oldest = 0.0
    for name, ts in sorted(newest.items()):
        age = None if ts is None or not isfinite(ts) else facts.now.now - ts
        if age is None:
            problems.append(f"{name} has no usable row")
            continue
        oldest = max(oldest, age)
        if age > MAX_AGE_S:
            problems.append(f"the newest row of {name} is {format_duration(age)} old")
        elif age < -MAX_AHEAD_S:
            problems.append(f"the newest row of {name} is {-age / 60:,.1f} min ahead of this machine's clock")
    return Reading(
        state=holds_if(not problems),
        measured=format_duration(oldest),
        limit=limit,
        description="; ".join(problems) or f"the newest row of each input is at most {format_duration(oldest)} old",
        value=oldest,
    )


def one_executor(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Two executors that write into one log make every pairing doubtful."""
    limit = f"0 order ids acked twice, {MAX_RETURNS_PER_HOUR} returns an hour"
    ids, returns = facts.log.twice_acked_ids, facts.log.returns_per_hour
    if ids is None or returns is None:
        return unmeasured(limit, "it is not known which processes wrote the order log")
    problems = []
    if ids:
        problems.append(f"{count(len(ids), 'order id')} acked by two processes")
    if returns > MAX_RETURNS_PER_HOUR:
        problems.append(f"a log returned {returns:,} times within an hour to a process that wrote before another")
    return Reading(
        state=holds_if(not problems),
        measured=f"{count(len(ids), 'order id')}, {count(returns, 'return')} an hour",
        limit=limit,
        description="; ".join(problems) or "one process at a time writes the order log",
        value=float(returns),
        failing_ids=newest_ids(ids),
    )


def limits_understood(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading | None:
    """As of the moment of asking.

    Limits that live applied otherwise are said and break nothing: where they matter, the decisions disagree.
    """
    if facts.now is None:
        return None
    keys, live = facts.now.unread_keys, facts.now.live_limits
    if keys is None:
        return unmeasured("0 unread keys", "the limits or the universe could not be read")
    description = f"not understood: {', '.join(keys[:10])}" if keys else "every key of limits and universe is read"
    measured = count(len(keys), "unread key")
    if live:
        others = len(live) - _LIVE_LIMITS_SHOWN
        more = f"; {others:,} more in pipeline-v6 doctor" if others > 0 else ""
        description += f"; but {'; '.join(live[:_LIVE_LIMITS_SHOWN])}{more}"
        measured += f", {count(len(live), 'differing limit')} of live"
    return Reading(
        state=holds_if(not keys),
        measured=measured,
        limit="0 unread keys",
        description=description,
        value=float(len(keys)),
    )


def epoch_is_current(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading | None:
    """As of the moment of asking: what was measured must be what would go live."""
    if facts.now is None:
        return None
    of_now, of_epoch = facts.now.identity, facts.log.epoch.identity
    limit = of_epoch or "an epoch"
    if of_now is None or of_epoch is None:
        return unmeasured(limit, "there is no epoch yet" if of_epoch is None else "the configuration cannot be read")
    is_same = of_now == of_epoch
    changed = "configuration, engines or settings changed, and no decision was made under them yet"
    return Reading(
        state=holds_if(is_same),
        measured=of_now,
        limit=limit,
        description="the epoch's configuration, engines and settings are those of now" if is_same else changed,
        value=float(is_same),
    )


def gates_alive(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Two sides that refuse everything agree on everything."""
    window = facts.window
    total = window.gate_decisions
    limit = f"less than {percent(MAX_ONE_REASON_RATIO, 0)} of decisions vetoed for one reason"
    if total < MIN_MEASURED:
        return Reading(
            state=CriterionState.NOT_YET,
            measured=count(total, "decision"),
            limit=limit,
            description=f"{count(total, 'decision')} in this epoch, {MIN_MEASURED} needed",
        )
    problems = []
    for side, reason, number in (
        ("v6", window.v6_reason, window.v6_reason_count),
        ("live", window.live_reason, window.live_reason_count),
    ):
        if number >= MAX_ONE_REASON_RATIO * total:
            problems.append(f"{side} vetoes {number:,} of the newest {total:,} decisions for {reason}")
    if window.filled_orders == 0:
        problems.append("live fills nothing")
    if window.nav_known < MIN_NAV_RATIO * total:
        problems.append(f"the NAV is known for {window.nav_known:,} of the newest {total:,} decisions")
    elif window.nav_values < 2:
        problems.append("the NAV never changes")
    most = max(window.v6_reason_count, window.live_reason_count) / total
    return Reading(
        state=holds_if(not problems),
        measured=f"{percent(most)} for one reason, {count(window.filled_orders, 'order')} filled",
        limit=limit,
        description="; ".join(problems) or "both sides trade, and the NAV moves",
        value=100 * most,
    )


def coverage(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """How much of the evidence has two sides that can be compared."""
    known = share(evidence.decisions - evidence.unresolved, evidence.decisions)
    sized = share(evidence.executed - evidence.unsized, evidence.executed)
    by_time = share(evidence.paired_by_time, evidence.matched)
    limit = (
        f"at least {percent(MIN_KNOWN_OUTCOME_RATIO, 0)} of outcomes and {percent(MIN_SIZED_RATIO, 0)} of sizes known, "
        f"at most {percent(MAX_TIME_PAIR_RATIO, 0)} of pairs by time"
    )
    if known is None or sized is None:
        return unmeasured(limit, "no order of this epoch was executed")
    problems = []
    if known < MIN_KNOWN_OUTCOME_RATIO:
        problems.append(f"{percent(1 - known)} of decisions have no known live outcome")
    problems += _open_outcomes(evidence, facts.window)
    if sized < MIN_SIZED_RATIO:
        problems.append(f"{percent(1 - sized)} of executed orders have no size to compare")
    if by_time is not None and by_time > MAX_TIME_PAIR_RATIO:
        problems.append(f"{percent(by_time)} of pairs were made by time alone")
    return Reading(
        state=holds_if(not problems),
        measured=f"{percent(known)} of outcomes, {percent(sized)} of sizes, {percent(by_time or 0.0)} by time",
        limit=limit,
        description="; ".join(problems) or f"{percent(known)} of decisions have a known live outcome",
        value=100 * known,
    )


def _open_outcomes(evidence: EpochEvidence, window: WindowEvidence) -> list[str]:
    """Where outcomes are unknown that the rest of the epoch hides."""
    problems = []
    newest = share(window.samples, window.decisions)
    if newest is not None and window.decisions >= MIN_MEASURED and newest < MIN_NEWEST_KNOWN_RATIO:
        problems.append(f"{percent(1 - newest)} of the newest {window.decisions:,} have none")
    denied = share(evidence.denied - evidence.denied_unresolved, evidence.denied)
    if denied is not None and evidence.denied >= MIN_SLICE_DECISIONS and denied < MIN_DENIED_KNOWN_RATIO:
        problems.append(f"what live did is unknown for {percent(1 - denied)} of the decisions that v6 denied")
    return problems


def fills(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """An executor that hardly fills says little of what v6 would do to the market."""
    limit = f"at least {percent(MIN_FILL_RATIO, 0)}"
    ratio = share(evidence.filled_units, evidence.asked_units)
    if ratio is None:
        return unmeasured(limit, "no order of this epoch has a quantity in USD")
    return Reading(
        state=holds_if(ratio >= MIN_FILL_RATIO),
        measured=percent(ratio),
        limit=limit,
        description=f"live executed {percent(ratio)} of the USD that its intents asked for",
        value=100 * ratio,
    )


def little_ignored(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> Reading:
    """Expiry is measured from the newest decision, so that the same logs always read the same."""
    limit = f"{percent(MAX_IGNORED_RATIO, 0)} of decisions, for {MAX_IGNORE_DAYS} days"
    ratio = share(evidence.ignored, evidence.ignored + evidence.decisions)
    newest = facts.log.epoch.newest_ts
    if ratio is None or (newest is None and facts.log.ignore_rules):
        return unmeasured(limit, "no decision of this epoch is settled")
    problems = [f"ignore rules hide {percent(ratio)} of decisions"] if ratio > MAX_IGNORED_RATIO else []
    # A rule may be written on a day without a decision yet.
    latest = None if newest is None else newest + (MAX_IGNORE_DAYS + 1) * DAY_S
    for rule in facts.log.ignore_rules:
        if latest is not None and not rule.expires_ts <= latest:
            problems.append(f"rule {rule.name} expires in more than {MAX_IGNORE_DAYS} days")
    return Reading(
        state=holds_if(not problems),
        measured=f"{percent(ratio, 2)} ({evidence.ignored:,})",
        limit=limit,
        description="; ".join(problems) or f"ignore rules hide {percent(ratio, 2)} of decisions",
        value=100 * ratio,
    )
