"""The compare stage: settle what can be settled, append its diffs, refresh the summary."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.compare.difference import diff_of, revise
from pipeline_v6_dagster.compare.settlement import Settled, Settler, Unexplained
from pipeline_v6_dagster.compare.summary import newest_states, summarise
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff, ShadowSide
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.live import LiveOrder, OrderEvent
from pipeline_v6_dagster.domain.quality import Drop, Rejection
from pipeline_v6_dagster.stages.compare_inputs import (
    ATTEMPTS,
    ORDERS,
    SHADOW_LOG,
    VETOES,
    CompareInputs,
    first_undecided_ts,
)
from pipeline_v6_dagster.stages.compare_log import (
    BlockEnd,
    Cursor,
    InputCounts,
    encode_block,
    kind_of,
    read_cursor,
    read_diffs_backward,
)
from pipeline_v6_dagster.stages.summary_file import write_summary
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.verdict.root_cause import root_cause_of
from pipeline_v6_dagster.verdict.status import judge, status_of

_REJECTIONS = frozenset(Rejection)
# Revisions, and decisions whose clock was behind, are older than the diffs around them. So many in a row are not.
_STRAY_DIFFS = 100


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


def open_compare_log(settings: Settings) -> JsonlLog:
    """The compare log."""
    return JsonlLog(settings.compare_diffs, kind_of)


def compare_policy(settings: Settings, limits: Limits) -> ComparePolicy:
    """What the settings and the universe say of a comparison."""
    return ComparePolicy(
        tolerance_s=settings.match_tolerance_s,
        upsize_tolerance_ratio=settings.upsize_tolerance_ratio,
        lot_steps={symbol: rules.lot_step for symbol, rules in limits.symbols.items() if rules.lot_step is not None},
    )


def run_compare(settings: Settings, limits: Limits, clock: Callable[[], float], *, rebuild: bool = False) -> CompareRun:
    """Compare what is new. With `rebuild`, everything again from the logs, in the place of the old compare log.

    Raises:
        BusyError, StorageError: the compare log cannot be written.
        DataError: the compare log holds what is not ours or is not understood, or the shadow log is another one
            than was compared so far.
    """
    with locked(settings.compare_diffs, settings.lock_timeout_s):
        log = open_compare_log(settings)
        if not rebuild:
            return _run(settings, limits, clock(), log)
        log.recover()  # Refuses to go on where the file is not ours to replace.
        fresh = JsonlLog(settings.compare_diffs.with_name(f".{settings.compare_diffs.name}.rebuild"), kind_of)
        fresh.remove()
        run = _run(settings, limits, clock(), fresh)
        log.replace_with(fresh)
        return run


def _run(settings: Settings, limits: Limits, now: float, log: JsonlLog) -> CompareRun:
    run = CompareRun(cut_bytes=log.recover())
    cursor = read_cursor(log) or Cursor()
    policy = compare_policy(settings, limits)
    stop_ts = first_undecided_ts(settings)
    run.waits_for_shadow = stop_ts is not None
    settler = Settler(policy, cursor.open)
    diffs: list[Diff] = []
    known = _KnownDiffs(log, policy)
    with CompareInputs(settings, log, cursor, now) as inputs:
        run.missing = inputs.missing
        for settled in _settle_all(settler, inputs, cursor, now, stop_ts):
            diff = known.diff_of(settled)
            if diff is not None:
                diff.root_cause = root_cause_of(diff)
                diffs.append(diff)
                known.add(diff)
                cursor.totals.add(diff)
        inputs.advance_cursor()
    _count_dropped(settler, cursor)
    run.diff_count = len(diffs)
    run.mismatch_kinds.update(diff.mismatch_kind for diff in diffs)
    run.open_decisions = len(cursor.open.decisions)
    run.summary = _summary(settings, limits, chain(reversed(diffs), read_diffs_backward(log)), cursor, now)
    run.summary["undecided_since_ts"] = stop_ts
    end = BlockEnd(ts=now, diff_count=len(diffs), heartbeat=not diffs, summary=run.summary, cursor=cursor)
    log.append(encode_block(diffs, end))
    write_summary(settings, log)
    return run


def _settle_all(
    settler: Settler, inputs: CompareInputs, cursor: Cursor, now: float, stop_ts: float | None
) -> Iterator[Settled | Unexplained]:
    for ts, record in inputs.records(stop_before=inf if stop_ts is None else stop_ts):
        yield from settler.settle(until=ts)
        if isinstance(record, ShadowSide):
            settler.add_decision(record)
            cursor.newest_decision_ts = record.as_of
            continue
        cursor.newest_live_ts = record.ts
        if isinstance(record, OrderEvent):
            settler.add_event(record)
        else:
            settler.add_veto(record)
    # Where both sides' logs are ahead of our clock, it is the clock that is behind.
    horizon = max(now, min(cursor.newest_decision_ts or 0.0, cursor.newest_live_ts or 0.0))
    until = horizon if stop_ts is None else min(horizon, stop_ts)
    yield from settler.settle(until)
    if stop_ts is None:
        yield from settler.settle_ahead(now)
    settler.forget(until)


def _count_dropped(settler: Settler, cursor: Cursor) -> None:
    for name, drop in ((ORDERS, Drop.UNMATCHED_ERROR), (VETOES, Drop.UNMATCHED_VETO)):
        if settler.dropped[drop]:
            counts = cursor.counts.setdefault(name, InputCounts())
            counts.unusable[drop] = counts.unusable.get(drop, 0) + settler.dropped[drop]


class _KnownDiffs:
    """The diffs that a late order may belong to: those of this run and of the compare log, by their ids."""

    def __init__(self, log: JsonlLog, policy: ComparePolicy) -> None:
        self._log = log
        self._policy = policy
        self._of_this_run: dict[str, Diff] = {}
        self._of_the_log: dict[str, Diff] | None = None

    def add(self, diff: Diff) -> None:
        """A diff of this run."""
        self._of_this_run.update((key, diff) for key in _keys(diff))

    def diff_of(self, settled: Settled | Unexplained) -> Diff | None:
        """The diff to write; a revision where an order is late for a settled decision; None where nothing changes."""
        if isinstance(settled, Unexplained) and settled.order.has_id:
            known = self._find(settled.order)
            if known is not None:
                return revise(known, settled.order, self._policy)
        return diff_of(settled, self._policy)

    def _find(self, order: LiveOrder) -> Diff | None:
        if self._of_the_log is None:
            # Orders come in the order of their times, so the first one asks for the most of the log.
            self._of_the_log = self._read_since(order.first_ts - self._policy.revision_horizon_s)
        keys = [f"i:{order.intent_id}"] * (order.intent_id is not None)
        keys += [f"a:{order.attempt_id}"] * (order.attempt_id is not None)
        for key in keys:
            diff = self._of_this_run.get(key) or self._of_the_log.get(key)
            if diff is not None and order.first_ts - diff.ts <= self._policy.revision_horizon_s:
                return diff
        return None

    def _read_since(self, oldest_ts: float) -> dict[str, Diff]:
        found: dict[str, Diff] = {}
        older = 0
        for diff in read_diffs_backward(self._log):
            older = older + 1 if diff.ts < oldest_ts - 2 * self._policy.tolerance_s else 0
            if older > _STRAY_DIFFS:
                break
            for key in _keys(diff):
                found.setdefault(key, diff)
        return found


def _keys(diff: Diff) -> Iterator[str]:
    """What finds a diff again. One without a decision is found by its order's, so that it is told once."""
    if diff.intent_id is not None:
        yield f"i:{diff.intent_id}"
    if diff.shadow is not None and diff.shadow.attempt_id is not None:
        yield f"a:{diff.shadow.attempt_id}"


def _summary(
    settings: Settings, limits: Limits, newest_first: Iterable[Diff], cursor: Cursor, now: float
) -> dict[str, Any]:
    # What we write ourselves is no input; what the executor decides from is none of ours to count.
    not_an_input = ATTEMPTS if settings.shadow_source is ShadowSource.EXTERNAL else SHADOW_LOG
    summary = summarise(
        newest_states(newest_first, settings.compare_limit), settings.compare_limit, settings.min_sample
    )
    status = status_of(summary)
    judgement = judge(summary, status)
    content: dict[str, Any] = {"generated_ts": now}
    content.update(msgspec.to_builtins(summary))
    content["status"] = status.value
    content["verdict"] = judgement.verdict.value
    content["verdict_reasons"] = list(judgement.reasons)
    content["input_quality"] = {
        name: {
            "lines": counts.lines,
            "malformed_ratio": _malformed_ratio(counts),
            "unusable": dict(sorted(counts.unusable.items())),
            "is_position_lost": counts.is_position_lost,
        }
        for name, counts in sorted(cursor.counts.items())
        if name != not_an_input
    }
    content["newest_live_ts"] = cursor.newest_live_ts
    content["open_decisions"] = len(cursor.open.decisions)
    content["config_hash"] = limits.config_hash
    content["totals"] = msgspec.to_builtins(cursor.totals)
    return content


def _malformed_ratio(counts: InputCounts) -> float | None:
    if not counts.lines:
        return None
    return sum(count for kind, count in counts.unusable.items() if kind in _REJECTIONS) / counts.lines
