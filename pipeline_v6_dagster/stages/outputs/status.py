"""The verdict for a launch gate: what the evidence says as of now, what changed, what to do next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.summary import Status, Summary, Verdict
from pipeline_v6_dagster.domain.verdict import Criterion
from pipeline_v6_dagster.logs.compare_log import open_compare_log, read_summaries_backward
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.acknowledge import list_acknowledgements
from pipeline_v6_dagster.stages.outputs.gate import Gate, find_chain_problems, read_gate
from pipeline_v6_dagster.stages.outputs.next_steps import answer_question, choose_steps, describe_changes
from pipeline_v6_dagster.stages.outputs.rollout_stand import RolloutStand, read_rollout_stand
from pipeline_v6_dagster.verdict.reach import Reach

# A head or summary that three intervals did not refresh has nobody who refreshes it.
STALE_AFTER_INTERVALS = 3

# After a rebuild the newest block may hold everything; then the run before it is not worth the time.
_MOST_LINES_BACK = 20_000

EXIT_GREEN = 0
EXIT_AGAINST = 1
EXIT_UNDECIDED = 2
EXIT_NO_DATA = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `status` says. `stale` names what is too old, with its age; `exit_code` is for a gate.

    `answer` says in one line whether v6 may go live. `changes` is what the newest run says differently from the one
    before it (`previous_ts`, epoch s), `to_do` the next steps, `acknowledged` who answers for what, `reach` when a PASS
    becomes possible, `rollout` what v6 may do (None if no rollout was begun).
    """

    exit_code: int
    status: Status
    verdict: Verdict
    answer: str
    reasons: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    failed_criteria: tuple[str, ...]
    passed_symbols: tuple[str, ...]
    not_covered: tuple[str, ...]
    stale: tuple[str, ...]
    summary: Summary | None
    changes: tuple[str, ...] = ()
    previous_ts: float | None = None
    to_do: tuple[str, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    reach: Reach | None = None
    rollout: RolloutStand | None = None


class ChainReader:
    """The findings of the hash chains for one who asks repeatedly: the logs are read again once a file of ours changed.

    Whatever changed, all is read: a chain that is followed from its newest verified line on does not see an edit before
    it. Between two runs nothing changes.
    """

    def __init__(self) -> None:
        self._seen: tuple[tuple[object, ...], ...] | None = None
        self._findings: Sequence[str] = ()

    def __call__(self, settings: Settings) -> Sequence[str]:
        """What is wrong with the chains, as `gate.find_chain_problems` says it.

        Raises:
            StorageError: a log cannot be read.
        """
        seen = _stat_our_files(settings)  # Before reading: what changes meanwhile is read the next time.
        if seen != self._seen:
            self._findings = find_chain_problems(settings)
            self._seen = seen
        return self._findings


def _stat_our_files(settings: Settings) -> tuple[tuple[object, ...], ...]:
    found = []
    for folder in {settings.shadow_log.parent, settings.compare_diffs.parent, settings.shadow_head.parent}:
        for path in folder.glob("pipeline_v6_*"):
            try:
                stat = path.stat()
            except OSError:
                continue  # Gone since it was listed; a log that cannot be read is an error of its verification.
            found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


def read_status(
    settings: Settings, now: float, verify: Callable[[Settings], Sequence[str]] = find_chain_problems
) -> Report:
    """The verdict as of `now` (epoch s), from the compare log. `verify` gives the findings of the hash chains.

    Raises:
        DataError: the head is not understood.
        StorageError: a file of ours cannot be read.
    """
    return build_report(settings, read_gate(settings, now, verify), now)


def build_report(settings: Settings, gate: Gate, now: float) -> Report:
    """The same from the verdict as of `now` (epoch s).

    Raises:
        DataError: the head is not understood.
        StorageError: a file of ours cannot be read.
    """
    summary = gate.end.summary if gate.end is not None else None
    decision = gate.decision
    status = Status.NO_DATA if summary is None else summary.status
    stale = () if summary is None else tuple(find_stale(settings, summary, now))
    steps = choose_steps(status, decision.verdict, stale, gate.criteria)
    previous = None if summary is None else _before(settings, summary)
    standing = list_acknowledgements(settings, now, None if gate.end is None else gate.end.cursor)
    return Report(
        exit_code=_exit_code(gate, status, stale),
        status=status,
        verdict=decision.verdict,
        answer=answer_question(status, decision.verdict, stale, steps),
        reasons=_reasons(settings, gate),
        criteria=gate.criteria,
        failed_criteria=decision.failed_criteria,
        passed_symbols=decision.passed_symbols,
        not_covered=decision.not_covered,
        stale=stale,
        summary=summary,
        changes=() if summary is None else describe_changes(previous, summary),
        previous_ts=None if previous is None else previous.generated_ts,
        to_do=steps,
        acknowledged=tuple(standing),
        reach=gate.reach,
        rollout=read_rollout_stand(settings),
    )


def _reasons(settings: Settings, gate: Gate) -> tuple[str, ...]:
    if gate.end is None and gate.problem is None:
        return (f"{settings.compare_diffs}: not there yet; run pipeline-v6 shadow, heartbeat and compare",)
    return gate.decision.reasons


def _before(settings: Settings, summary: Summary) -> Summary | None:
    """The summary of the run before; None if there is none, or where it is too far up to look for."""
    try:
        for earlier in read_summaries_backward(open_compare_log(settings), _MOST_LINES_BACK):
            if earlier.generated_ts < summary.generated_ts:
                return earlier
    except DataError:
        return None  # An earlier block that is not understood is a finding of `logs_intact` if it was changed.
    return None


def _exit_code(gate: Gate, status: Status, stale: tuple[str, ...]) -> int:
    verdict = gate.decision.verdict
    if gate.problem is not None:
        return EXIT_UNDECIDED
    if stale or status is Status.NO_DATA:
        return EXIT_NO_DATA
    if status is Status.WARMUP:
        return EXIT_UNDECIDED
    if status in (Status.RED, Status.AMBER) or verdict is Verdict.FAIL:
        return EXIT_AGAINST
    return EXIT_GREEN if verdict is Verdict.PASS else EXIT_UNDECIDED


def find_stale(settings: Settings, summary: Summary, now: float) -> list[str]:
    """What is too old at `now` (epoch s) to decide by, each in a sentence with its age.

    Raises:
        DataError: the head is not understood.
        StorageError: the head cannot be read.
    """
    stale = []
    head_ts = _read_state(settings.shadow_head)
    for name, generated_ts, interval_s in (
        ("summary", summary.generated_ts, settings.compare_interval_s),
        ("head", head_ts, settings.heartbeat_interval_s),
    ):
        if generated_ts is None:
            stale.append(f"{name} is missing; run pipeline-v6 heartbeat")
            continue
        age_s = now - generated_ts
        if age_s > STALE_AFTER_INTERVALS * interval_s:
            stale.append(f"{name} is {age_s:,.0f} s old, {STALE_AFTER_INTERVALS * interval_s:,.0f} s at most")
        elif age_s < -STALE_AFTER_INTERVALS * interval_s:
            stale.append(f"{name} was written {-age_s:,.0f} s in the future; check this machine's clock")
    # As the comparison found it: what came since is decided in a minute, and how old the summary is stands above.
    undecided_ts = summary.undecided_since_ts
    undecided_s = 0.0 if undecided_ts is None else summary.generated_ts - undecided_ts
    if undecided_s > STALE_AFTER_INTERVALS * settings.heartbeat_interval_s:
        stale.append(f"attempts had waited {undecided_s:,.0f} s for a decision; run pipeline-v6 shadow")
    return stale


class _State(msgspec.Struct):
    generated_ts: float


def _read_state(path: Path) -> float | None:
    """When a state file was written (epoch s); None if there is none."""
    try:
        return msgspec.json.decode(read_regular(path), type=_State).generated_ts
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not understood ({error}); delete it, the next run writes it again") from None
