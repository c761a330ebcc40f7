"""The shadow stage: decide every new attempt, append the decisions to the shadow log."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.decision import ShadowDecision
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.logs.decision_ids import DecisionIds
from pipeline_v6_dagster.logs.shadow_log import Source, encode_decision, follow_attempts, open_shadow_log
from pipeline_v6_dagster.shadow.pipeline import Engines, run_pipeline_v6_shadow
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.merge_by_time import Timed
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc
from pipeline_v6_dagster.stages.shadow.account_state import AccountHistory
from pipeline_v6_dagster.stages.shadow.engines import load_engines
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.follow import Follower, Line
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.storage.log_files import line_digest

# Decisions per write and fsync: enough that the disk is not what one waits for, few enough to hold.
BLOCK_ROWS = 2000
_NONE: Mapping[str, int] = {}  # Nothing is ever put in.


@dataclass(slots=True, kw_only=True)
class ShadowRun:
    """What one run did. `rejected` counts unusable lines by kind; `cut_bytes` is a torn end that was removed.

    `lost_inputs` are the live logs in which the place to go on from was not found.
    """

    decided: int = 0
    allowed: int = 0
    denied: int = 0
    deny_reasons: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    is_log_missing: bool = False
    is_offset_lost: bool = False
    lost_bytes: int = 0
    cut_bytes: int = 0
    lost_inputs: tuple[str, ...] = ()


class Decided(NamedTuple):
    """One attempt decided, where it was read, and the checkpoint of the rolling state where its row carries one."""

    decision_id: str
    decision: ShadowDecision
    source: Source
    checkpoint: bytes | None


@relaxed_gc()
def run_shadow(settings: Settings, limits: Limits, clock: Callable[[], float]) -> ShadowRun:
    """Decide every attempt that has no decision yet. Run again at once it does nothing.

    Raises:
        BusyError, StorageError: the shadow log cannot be written.
        ConfigError: an engine of the desk's own cannot be loaded.
        DataError: the shadow log is written by the executor, or holds what is not ours.
    """
    if settings.shadow_source is ShadowSource.EXTERNAL:
        raise DataError(
            f"{settings.shadow_log}: written by the executor, as PIPELINE_V6_SHADOW_SOURCE=external says;"
            " unset it to let this project decide"
        )
    run = ShadowRun()
    engines = load_engines(settings, limits)
    with locked(settings.shadow_log):
        log = open_shadow_log(settings, key=read_chain_key(settings.chain_key_file))
        run.cut_bytes = log.recover()
        with follow_attempts(settings, log) as follower:
            run.is_log_missing = follower.is_missing
            logged_ts = clock()
            block: list[bytes] = []
            for decided in decide(settings, log, follower, limits, engines, run, unwritten=BLOCK_ROWS):
                block.append(
                    encode_decision(
                        decided.decision,
                        decision_id=decided.decision_id,
                        source=decided.source,
                        config_hash=limits.config_hash,
                        engine_version=engines.version,
                        logged_ts=logged_ts,
                        checkpoint=decided.checkpoint,
                    )
                )
                if len(block) == BLOCK_ROWS:
                    log.append(block)
                    block = []
            log.append(block)
            run.rejected.update(follower.rejected)
            run.is_offset_lost = follower.is_offset_lost
            run.lost_bytes = follower.lost_bytes
    return run


def decide(
    settings: Settings,
    log: JsonlLog,
    follower: Follower,
    limits: Limits,
    engines: Engines,
    run: ShadowRun,
    *,
    unwritten: int | None = None,
) -> Generator[Decided]:
    """Decide what `follower` reads, after what stands in `log`. Counts in `run`, writes nothing.

    The caller appends the decisions to `log` after at most `unwritten` of them; None: never.
    """
    lines = follower.lines()
    first = next(lines, None)
    if first is None:
        return  # The live logs are read only for an attempt.
    with AccountHistory(settings, limits, engines.version, log) as history:
        ids = DecisionIds(log, unwritten)
        yield from _decide_each(follower, chain((first,), lines), history, limits, engines, run, ids)
        run.lost_inputs = history.lost


def _decide_each(
    follower: Follower,
    lines: Iterator[Line],
    history: AccountHistory,
    limits: Limits,
    engines: Engines,
    run: ShadowRun,
    ids: DecisionIds,
) -> Iterator[Decided]:
    log_name, account = follower.path.name, history.account
    lost_bytes = follower.lost_bytes if follower.is_offset_lost else None
    unused: Counter[str] = Counter()
    for _, attempt, line, skipped in history.bring_to(_attempts(follower, lines, unused)):
        checkpoint = history.checkpoint()
        decision = run_pipeline_v6_shadow(attempt, account, limits, engines)
        risk = decision.risk_decision
        run.decided += 1
        if skipped:
            run.rejected.update(skipped)
        if risk.allowed:
            run.allowed += 1
        else:
            run.denied += 1
            run.deny_reasons.update(risk.reasons)
        decision_id, newest_ts = ids.name(line.raw, attempt.as_of)
        source = Source(
            log=log_name,
            head=line.head,
            start=line.start,
            end=line.end,
            skipped=skipped,
            lost_bytes=lost_bytes,
            digest=line_digest(line.head, line.start, line.raw),
            newest_ts=newest_ts,
        )
        lost_bytes = None
        yield Decided(decision_id, decision, source, checkpoint)
    run.rejected.update(unused)


def _attempts(follower: Follower, lines: Iterator[Line], unused: Counter[str]) -> Iterator[Timed]:
    """[as-of time, attempt, its line, the unusable lines before it by kind]; `unused` are those before the next."""
    for line in lines:
        attempt = parse_attempt(line.raw)
        if not isinstance(attempt, Attempt):
            unused[attempt.kind] += 1
            continue
        if follower.rejected:
            unused.update(follower.rejected)
            follower.rejected.clear()
        yield [attempt.as_of, attempt, line, dict(unused) if unused else _NONE]
        unused.clear()
