"""The compare stage: settle what can be settled, append its diffs, refresh the summary."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder, UnmatchedRow
from pipeline_v6_dagster.compare.settlement import OutcomeMatcher
from pipeline_v6_dagster.config.ignore_rules import load_ignore_rules
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.account_events import PositionsSnapshot
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff, ShadowSide
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.live import Arrival, OrderEvent, Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.logs.compare_log import (
    BlockEnd,
    Cursor,
    InputCounts,
    classify_line,
    encode_diff,
    encode_end,
    open_compare_log,
    read_cursor,
    read_diffs_backward,
)
from pipeline_v6_dagster.stages.compare.evidence import EvidenceKeeper
from pipeline_v6_dagster.stages.compare.identity import verdict_policy
from pipeline_v6_dagster.stages.compare.inputs import (
    METRICS,
    ORDERS,
    SHADOW_LOG,
    VETOES,
    CompareInputs,
    Decisions,
    Record,
)
from pipeline_v6_dagster.stages.compare.revisions import KnownDiffs
from pipeline_v6_dagster.stages.compare.rollout import RolloutWatch
from pipeline_v6_dagster.stages.compare.settled_diffs import cause_context, find_diff
from pipeline_v6_dagster.stages.compare.summary import SummaryContent, make_summary, write_summary
from pipeline_v6_dagster.stages.compare.undecided import find_undecided
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.jsonl_log import MAX_BYTES, JsonlLog
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.verdict.root_cause import explain

# Diffs per write and fsync: enough that the disk is not what one waits for, few enough to hold.
BLOCK_DIFFS = 4000
# Input rows after which a block ends even if nothing came of them, so that a run that is stopped has advanced.
BLOCK_ROWS = 50_000

_DROPPED_FROM = {
    IgnoredRow.UNMATCHED_ERROR: ORDERS,
    IgnoredRow.UNMATCHED_VETO: VETOES,
    IgnoredRow.REPEATED_VETO: VETOES,
    IgnoredRow.REPEATED_DECISION: SHADOW_LOG,
    IgnoredRow.UNMATCHED_ARRIVAL: METRICS,
}


@dataclass(slots=True, kw_only=True)
class CompareRun:
    """What one run did.

    `waits_for_shadow` tells that attempts without a decision held it up, `is_behind_records` that it began from
    nothing, so that only the run after it can record what the alert log lacks.
    """

    summary: Summary
    diff_count: int = 0
    mismatch_kinds: Counter[str] = field(default_factory=Counter)
    open_decisions: int = 0
    missing: list[Path] = field(default_factory=list)
    waits_for_shadow: bool = False
    cut_bytes: int = 0
    is_behind_records: bool = False


def compare_policy(settings: Settings, limits: Limits) -> ComparePolicy:
    """What the settings and the universe say of a comparison."""
    return ComparePolicy(
        tolerance_s=settings.match_tolerance_s,
        upsize_tolerance_ratio=settings.upsize_tolerance_ratio,
        lot_steps={symbol: rules.lot_step for symbol, rules in limits.symbols.items() if rules.lot_step is not None},
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
    with locked(settings.compare_diffs):
        key = read_chain_key(settings.chain_key_file)
        log = open_compare_log(settings, max_bytes, key=key)
        if not rebuild:
            return _run(settings, limits, clock, log, decisions)
        log.recover()  # Refuses to go on where the file is not ours to replace.
        fresh_path = settings.compare_diffs.with_name(f".{settings.compare_diffs.name}.rebuild")
        fresh = JsonlLog(fresh_path, classify_line, max_bytes, key=key)
        fresh.remove()
        run = _run(settings, limits, clock, fresh, decisions)
        if run.is_behind_records:
            run.summary = _run(settings, limits, clock, fresh, decisions).summary
        log.replace_with(fresh)
        return run


def _run(
    settings: Settings, limits: Limits, clock: Callable[[], float], log: JsonlLog, decisions: Decisions | None
) -> CompareRun:
    now = clock()
    cut_bytes = log.recover()
    cursor = read_cursor(log) or Cursor()
    policy = compare_policy(settings, limits)
    undecided = find_undecided(settings, decisions, cursor)
    stop_ts = undecided.first_ts
    known = KnownDiffs(log, policy.revision_horizon_s, 2 * policy.tolerance_s)
    repeated = known if settings.shadow_source is ShadowSource.EXTERNAL and decisions is None else None
    matcher = OutcomeMatcher(policy, cursor.open, known.has)
    rules = load_ignore_rules(settings.ignore_rules)
    keeper = EvidenceKeeper(settings, rules, verdict_policy(settings), cursor, log)
    keeper.start(now, keeps_records=decisions is None)
    rollout = RolloutWatch(settings)
    content = SummaryContent(
        settings=settings,
        config_hash=limits.config_hash,
        policy=policy,
        rules=rules,
        cursor=cursor,
        now=now,
        undecided_since_ts=stop_ts,
    )
    with known, CompareInputs(settings, log, cursor, now, limits.known_rows, decisions) as inputs:
        block = _Block(log, known, inputs, matcher, content)
        for settled in _settle_all(matcher, inputs, keeper, cursor, now, stop_ts, clock, repeated):
            if settled is None:
                block.end_if_full()
                continue
            diff, before = find_diff(settled, known, policy, matcher)
            if diff is None:
                continue
            rollout.judge(diff, before)
            explain(diff, cause_context(settled, before, keeper.changed_ts, policy))
            diff.ignored_by = next((rule.name for rule in rules if rule.holds_for(diff)), None)
            keeper.count(diff, before)
            block.add(diff)
        if decisions is None:
            keeper.record_losses(chain(undecided.losses(), inputs.losses()), now)
        keeper.finish()
        summary = block.end()
    write_summary(settings, log)
    return CompareRun(
        summary=summary,
        diff_count=block.mismatch_kinds.total(),
        mismatch_kinds=block.mismatch_kinds,
        open_decisions=len(cursor.open.decisions),
        missing=inputs.missing,
        waits_for_shadow=stop_ts is not None,
        cut_bytes=cut_bytes,
        is_behind_records=keeper.is_behind_records,
    )


class _Block:
    """The block that is being made: its diffs, and the newest ones of the blocks before it."""

    def __init__(
        self, log: JsonlLog, known: KnownDiffs, inputs: CompareInputs, matcher: OutcomeMatcher, content: SummaryContent
    ) -> None:
        self._log = log
        self._known = known
        self._inputs = inputs
        self._matcher = matcher
        self._content = content
        self._recent: deque[Diff] = deque()  # at least those of the block, which the log does not hold yet
        self._lines: list[bytes] = []
        self.mismatch_kinds: Counter[str] = Counter()

    def add(self, diff: Diff) -> None:
        """A diff that was settled."""
        self.mismatch_kinds[diff.mismatch_kind] += 1
        self._known.add(diff)
        self._recent.append(diff)
        self._lines.append(encode_diff(diff))

    def end_if_full(self) -> None:
        """Append the block if it has grown large."""
        if len(self._lines) >= BLOCK_DIFFS or self._inputs.row_count >= BLOCK_ROWS:
            self.end()

    def end(self) -> Summary:
        """Append the block, also if it holds no diff."""
        lines, recent, content = self._lines, self._recent, self._content
        self._inputs.advance_cursor()
        _count_dropped(self._matcher, content.cursor)
        # What is recent may be in the log already.
        older = islice(read_diffs_backward(self._log), max(0, len(recent) - len(lines)), None)
        summary = make_summary(content, chain(reversed(recent), older))
        end = BlockEnd(
            ts=content.now, diff_count=len(lines), heartbeat=not lines, summary=summary, cursor=content.cursor
        )
        self._log.append([*lines, encode_end(end)])
        lines.clear()
        self._known.end_block()
        while len(recent) > 2 * content.settings.compare_limit:
            recent.popleft()
        return summary


def _settle_all(
    matcher: OutcomeMatcher,
    inputs: CompareInputs,
    keeper: EvidenceKeeper,
    cursor: Cursor,
    now: float,
    stop_ts: float | None,
    clock: Callable[[], float],
    known: KnownDiffs | None,
) -> Iterator[Settled | UnmatchedOrder | UnmatchedRow | None]:
    """What is settled, in order. None follows a record that was processed whole, where a block may end.

    With `known`, decisions that have been compared already are dropped.
    """
    for ts, record in inputs.records(stop_before=stop_ts):
        is_due = matcher.is_due(ts) or inputs.row_count >= BLOCK_ROWS
        if is_due:
            yield from matcher.settle(until=ts)
        if type(record) is ShadowSide and known is not None and _is_repeated(record, known, cursor, now):
            matcher.dropped[IgnoredRow.REPEATED_DECISION] += 1
        else:
            if type(record) is OrderEvent:
                keeper.watch(record)
            elif type(record) is ShadowSide:
                keeper.observe(record)
            _add_record(matcher, cursor, record)
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


def _is_repeated(decision: ShadowSide, known: KnownDiffs, cursor: Cursor, now: float) -> bool:
    """Whether a decision is open or in the compare log already.

    Its time does not tell: some producers write when they logged the row.
    """
    newest_ts = cursor.newest_decision_ts if cursor.max_decision_ts is None else cursor.max_decision_ts
    newest_ts = decision.as_of if newest_ts is None else max(newest_ts, decision.as_of)
    decision_id = decision.decision_id
    if decision_id in cursor.open.decisions or known.has_decision(decision_id, min(newest_ts, now)):
        return True
    cursor.max_decision_ts = newest_ts
    return False


def _add_record(matcher: OutcomeMatcher, cursor: Cursor, record: Record) -> None:
    """Hand a record to the matcher."""
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


def _count_dropped(matcher: OutcomeMatcher, cursor: Cursor) -> None:
    for drop, name in _DROPPED_FROM.items():
        count = matcher.dropped.pop(drop, 0)
        if count:
            cursor.counts.setdefault(name, InputCounts()).add(0, {drop: count})
