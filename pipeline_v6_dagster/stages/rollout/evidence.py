"""What a move of the rollout rests on: the newest summary of the compare log, or the verdict as of now."""

from collections.abc import Callable, Sequence
from math import inf

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.rollout import PLACING, EpochKey, RolloutFile
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.domain.verdict import Criterion
from pipeline_v6_dagster.logs.compare_log import BlockEnd, compare_times_backward, ends_backward, open_compare_log
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file
from pipeline_v6_dagster.rollout.moves import RolloutEvidence
from pipeline_v6_dagster.stages.outputs.gate import Gate, find_chain_problems, read_gate
from pipeline_v6_dagster.stages.outputs.status import STALE_AFTER_INTERVALS, find_stale

NO_EVIDENCE = RolloutEvidence(
    verdict=Verdict.NO_DATA,
    epoch=None,
    criteria=(),
    passed_symbols=(),
    executed_by_symbol={},
    compare_ts=None,
)
_SHUT = (Status.RED, Status.AMBER, Status.WARMUP)


def max_compare_age_s(settings: Settings) -> float:
    """How old (s) the newest compare may be while v6 places orders."""
    return STALE_AFTER_INTERVALS * settings.compare_interval_s


def read_stored_evidence(settings: Settings) -> RolloutEvidence:
    """What the newest summary in the compare log says, without the criteria that only the present can tell.

    Raises:
        StorageError: the compare log cannot be read.
    """
    try:
        end = next(ends_backward(open_compare_log(settings)), None)
    except DataError:
        return NO_EVIDENCE  # What is wrong with it is for `logs_intact` to say.
    if end is None:
        return NO_EVIDENCE
    summary = end.summary
    return _evidence(settings, end, summary.verdict, summary.criteria, summary.passed_symbols)


def read_evidence(
    settings: Settings, now: float, verify: Callable[[Settings], Sequence[str]] = find_chain_problems
) -> RolloutEvidence:
    """The verdict as of `now` (epoch s). `verify` gives the findings of the hash chains.

    Raises:
        DataError: the head is not understood.
        StorageError: a log of ours cannot be read.
    """
    return gate_evidence(settings, read_gate(settings, now, verify), now)


def gate_evidence(settings: Settings, gate: Gate, now: float) -> RolloutEvidence:
    """The verdict that the launch gate has read as of `now` (epoch s).

    Raises:
        DataError: the head is not understood.
        StorageError: a file of ours cannot be read.
    """
    decision = gate.decision
    problems = [] if gate.problem is None else [gate.problem]
    if gate.end is not None:
        status = gate.end.summary.status
        problems += find_stale(settings, gate.end.summary, now)
        problems += [f"the status is {status}; a step up needs green"] if status in _SHUT else []
    return _evidence(
        settings, gate.end, decision.verdict, gate.criteria, decision.passed_symbols, gate_problems=tuple(problems)
    )


def _evidence(
    settings: Settings,
    end: BlockEnd | None,
    verdict: Verdict,
    criteria: tuple[Criterion, ...],
    passed_symbols: tuple[str, ...],
    gate_problems: tuple[str, ...] = (),
) -> RolloutEvidence:
    link = None if end is None else open_compare_log(settings).newest_link()
    return RolloutEvidence(
        verdict=verdict,
        epoch=None if end is None else EpochKey(end.cursor.epoch.identity, end.cursor.epoch.since_ts),
        criteria=criteria,
        passed_symbols=passed_symbols,
        executed_by_symbol={}
        if end is None
        else {name: symbol.executed for name, symbol in end.cursor.evidence.symbols.items()},
        compare_ts=None if end is None else end.ts,
        compare_chain=None if link is None else str(link),
        gate_problems=gate_problems,
        compares_before_ts=() if end is None else _compares_before(settings, end.ts),
    )


def _compares_before(settings: Settings, newest_ts: float) -> tuple[float, ...]:
    """When the compares before the newest one came, newest first, back to the last that the executor's file followed.

    A file is written only after the gaps up to then were seen. Without one, the compare before the newest is enough.
    If the log begins later, as after a rebuild, the time of the file stands for the compares that are gone.
    """
    found = read_rollout_file(settings)
    is_followed = isinstance(found, RolloutFile) and found.state in PLACING
    followed_ts = found.generated_ts if isinstance(found, RolloutFile) and is_followed else inf
    times: list[float] = []
    for ts in compare_times_backward(open_compare_log(settings)):
        if ts == newest_ts:
            continue  # Blocks of one run.
        times.append(ts)
        if ts <= followed_ts:
            return tuple(times)
    if followed_ts < newest_ts:
        times.append(followed_ts)
    return tuple(times)
