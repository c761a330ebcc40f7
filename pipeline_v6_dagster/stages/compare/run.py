"""The compare stage: settle what can be settled, append its diffs, refresh the summary."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.compare.revision import revise, revise_by_row
from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder, UnmatchedRow
from pipeline_v6_dagster.compare.settlement import OutcomeMatcher
from pipeline_v6_dagster.config.ignore_rules import load_ignore_rules
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.account_events import PositionsSnapshot
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff, ShadowSide
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.live import Arrival, OrderEvent, Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow
from pipeline_v6_dagster.logs.compare_log import (
    BlockEnd,
    Cursor,
    InputCounts,
    encode_diff,
    encode_end,
    kind_of,
    open_compare_log,
    read_cursor,
    read_diffs_backward,
)
from pipeline_v6_dagster.stages.compare.inputs import (
    METRICS,
    ORDERS,
    SHADOW_LOG,
    VETOES,
    CompareInputs,
    Decisions,
    first_undecided_ts,
)
from pipeline_v6_dagster.stages.compare.revisions import KnownDiffs
from pipeline_v6_dagster.stages.compare.summary import make_summary, verdict_policy, write_summary
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc
from pipeline_v6_dagster.storage.jsonl_log import MAX_BYTES, JsonlLog
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.verdict.root_cause import CauseContext, explain
from pipeline_v6_dagster.verdict.sequential import SequentialTest

# Diffs per write and fsync: enough that the disk is not what one waits for, few enough to hold.
BLOCK_DIFFS = 4000

_DROPPED_FROM = {
    IgnoredRow.UNMATCHED_ERROR: ORDERS,
    IgnoredRow.UNMATCHED_VETO: VETOES,
    IgnoredRow.REPEATED_VETO: VETOES,
    IgnoredRow.REPEATED_DECISION: SHADOW_LOG,
    IgnoredRow.UNMATCHED_ARRIVAL: METRICS,
}


@dataclass(slots=True)
class CompareRun:
    """What one run did. `waits_for_shadow` tells that attempts without a decision held it up."""

    diff_count: int = 0
    mismatch_kinds: Counter[str] = field(default_factory=Counter)
    open_decisions: int = 0
    missing: list[Path] = field(default_factory=list)
    waits_for_shadow: bool = False
    cut_bytes: int = 0
    summary: dict[str, Any] = field(default_factory=dict)


def compare_policy(settings: Settings, limits: Limits) -> ComparePolicy:
    """What the settings and the universe say of a comparison."""
    return ComparePolicy(
        tolerance_s=settings.match_tolerance_s,
        upsize_tolerance_ratio=settings.upsize_tolerance_ratio,
        lot_steps={symbol: rules.lot_step for symbol, rules in limits.symbols.items() if rules.lot_step is not None},
        order_lead_s=settings.order_lead_s,
        settle_grace_s=settings.settle_grace_s,
        revision_horizon_s=settings.revision_horizon_s,
        arrival_grace_s=settings.arrival_grace_s,
    )


@relaxed_gc()
def run_compare(
    settings: Settings,
    limits: Limits,
    clock: Callable[[], float],
    *,
    rebuild: bool = False,
    decisions: Decisions | None = None,
    max_bytes: int = MAX_BYTES,
) -> CompareRun:
    """Compare what is new. With `rebuild`, everything again from the logs, in the place of the old compare log.

    `decisions` stand in the place of the shadow log, which is not looked at then. The compare log is rotated at
    `max_bytes`.

    Raises:
        BusyError, StorageError: the compare log cannot be written.
        DataError: the compare log holds what is not ours or is not understood, or the shadow log is another one
            than was compared so far.
    """
    with locked(settings.compare_diffs, settings.lock_timeout_s):
        log = open_compare_log(settings, max_bytes)
        if not rebuild:
            return _run(settings, limits, clock, log, decisions)
        log.recover()  # Refuses to go on where the file is not ours to replace.
        fresh_path = settings.compare_diffs.with_name(f".{settings.compare_diffs.name}.rebuild")
        fresh = JsonlLog(fresh_path, kind_of, max_bytes)
        fresh.remove()
        run = _run(settings, limits, clock, fresh, decisions)
        log.replace_with(fresh)
        return run


def _run(
    settings: Settings, limits: Limits, clock: Callable[[], float], log: JsonlLog, decisions: Decisions | None
) -> CompareRun:
    now = clock()
    run = CompareRun(cut_bytes=log.recover())
    cursor = read_cursor(log) or Cursor()
    policy = compare_policy(settings, limits)
    stop_ts = first_undecided_ts(settings, decisions)
    run.waits_for_shadow = stop_ts is not None
    known = KnownDiffs(log, policy.revision_horizon_s, 2 * policy.tolerance_s)
    matcher = OutcomeMatcher(policy, cursor.open, known.has)
    rules = load_ignore_rules(settings.ignore_rules)
    test = SequentialTest(verdict_policy(settings).plan, cursor.test)
    recent: deque[Diff] = deque()  # at least those of the block, which the log does not hold yet
    block: list[bytes] = []

    def end_block() -> None:
        inputs.advance_cursor()
        _count_dropped(matcher, cursor)
        # What is recent may be in the log already.
        older = islice(read_diffs_backward(log), max(0, len(recent) - len(block)), None)
        newest_first = chain(reversed(recent), older)
        run.summary = make_summary(settings, limits.config_hash, policy, newest_first, cursor, test, now)
        run.summary["undecided_since_ts"] = stop_ts
        end = BlockEnd(ts=now, diff_count=len(block), heartbeat=not block, summary=run.summary, cursor=cursor)
        log.append([*block, encode_end(end)])
        block.clear()
        known.end_block()
        while len(recent) > 2 * settings.compare_limit:
            recent.popleft()

    with CompareInputs(settings, log, cursor, now, decisions) as inputs:
        run.missing = inputs.missing
        for settled in _settle_all(matcher, inputs, cursor, now, stop_ts, clock):
            if settled is None:
                if len(block) >= BLOCK_DIFFS:
                    end_block()
                continue
            diff, before = _diff_of(settled, known, policy, matcher)
            if diff is None:
                continue
            test.start(diff)
            explain(diff, _circumstances(settled, before, test.changed_ts, policy))
            diff.ignored_by = next((rule.name for rule in rules if rule.holds_for(diff)), None)
            if before is None:
                cursor.totals.add(diff)
                test.add(diff)
            else:
                cursor.totals.revise(before, diff)
                test.revise(before, diff)
            known.add(diff)
            recent.append(diff)
            block.append(encode_diff(diff))
            run.diff_count += 1
            run.mismatch_kinds[diff.mismatch_kind] += 1
        run.open_decisions = len(cursor.open.decisions)
        end_block()
    write_summary(settings, log)
    return run


def _settle_all(
    matcher: OutcomeMatcher,
    inputs: CompareInputs,
    cursor: Cursor,
    now: float,
    stop_ts: float | None,
    clock: Callable[[], float],
) -> Iterator[Settled | UnmatchedOrder | UnmatchedRow | None]:
    """What is settled, in order. None stands after a record that was dealt with whole, where a block may end."""
    for ts, record in inputs.records(stop_before=stop_ts):
        is_due = matcher.is_due(ts)
        if is_due:
            yield from matcher.settle(until=ts)
        if type(record) is OrderEvent:
            cursor.newest_live_ts = record.ts
            matcher.add_event(record)
        elif type(record) is ShadowSide:
            cursor.newest_decision_ts = record.as_of
            matcher.add_decision(record)
        elif type(record) is Veto:
            cursor.newest_live_ts = record.ts
            matcher.add_veto(record)
        elif type(record) is Arrival:
            matcher.add_arrival(record)
        elif type(record) is PositionsSnapshot:
            matcher.add_positions(record.ts, record.positions)
        if is_due:
            yield None
    # Where both sides' logs are ahead of our clock, it is the clock that is behind.
    horizon = max(now, min(cursor.newest_decision_ts or 0.0, cursor.newest_live_ts or 0.0))
    until = horizon if stop_ts is None else min(horizon, stop_ts)
    yield from matcher.settle(until)
    if stop_ts is None:
        # What was logged while this run was reading is not ahead of its clock.
        yield from matcher.settle_ahead(clock())
    matcher.forget(until)


def _diff_of(
    settled: Settled | UnmatchedOrder | UnmatchedRow, known: KnownDiffs, policy: ComparePolicy, matcher: OutcomeMatcher
) -> tuple[Diff | None, Diff | None]:
    """(the diff to write, the one that it replaces). Late live evidence that changes nothing gives no diff."""
    if isinstance(settled, UnmatchedRow):
        row = settled.row
        before = known.find(row.intent_id, own_attempt_id(row.attempt_id), row.ts)
        diff = None if before is None else revise_by_row(before, row, policy)
        if diff is None:
            matcher.dropped[IgnoredRow.UNMATCHED_VETO if isinstance(row, Veto) else IgnoredRow.UNMATCHED_ERROR] += 1
        return diff, before
    if isinstance(settled, UnmatchedOrder) and settled.order.has_id:
        order = settled.order
        before = known.find(order.intent_id, order.attempt_id, order.first_ts)
        if before is not None:
            return revise(before, order, policy), before
    if isinstance(settled, UnmatchedOrder) and settled.retries is not None:
        retried = settled.retries
        before = known.find(retried.intent_id, retried.attempt_id, settled.order.first_ts)
        if before is not None and before.decision_id == retried.decision_id:
            diff = revise(before, settled.order, policy, is_retry=True)
            if diff is not None:
                diff.retries = retried.decision_id
            return diff, before
    return compare_sides(settled, policy), None


def _circumstances(
    settled: Settled | UnmatchedOrder | UnmatchedRow,
    before: Diff | None,
    changed_ts: float | None,
    policy: ComparePolicy,
) -> CauseContext:
    return CauseContext(
        exchange=settled.exchange if isinstance(settled, Settled) else None,
        shares_intent=isinstance(settled, Settled) and settled.shares_intent,
        config_changed_ts=changed_ts,
        config_settles_s=policy.tolerance_s,
        before=before,
    )


def _count_dropped(matcher: OutcomeMatcher, cursor: Cursor) -> None:
    for drop, name in _DROPPED_FROM.items():
        count = matcher.dropped.pop(drop, 0)
        if count:
            cursor.counts.setdefault(name, InputCounts()).add(0, {drop: count})
