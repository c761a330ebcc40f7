"""The verdict for a launch gate: what the newest summary says, whether it is still true, what is new in it."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.logs.compare_log import newest_summary, open_compare_log, read_summaries_backward
from pipeline_v6_dagster.stages.outputs.next_steps import changes_between, what_to_do

# A head or summary that three intervals did not refresh has nobody who refreshes it.
STALE_AFTER_INTERVALS = 3

# After a rebuild the newest block may hold everything; then the run before it is not worth the time.
_MOST_LINES_BACK = 20_000

EXIT_GREEN = 0
EXIT_AGAINST = 1
EXIT_UNDECIDED = 2
EXIT_NO_DATA = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What `status` says. `stale` names what is too old, with its age; `exit_code` is for a gate.

    `changes` is what the newest run says otherwise than the one before it (`previous_ts`), `to_do` the next steps.
    """

    exit_code: int
    status: Status
    verdict: Verdict
    reasons: tuple[str, ...]
    stale: tuple[str, ...]
    summary: Summary | None
    changes: tuple[str, ...] = ()
    previous_ts: float | None = None
    to_do: tuple[str, ...] = ()


def read_status(settings: Settings, now: float) -> Report:
    """Read the newest summary and head. A lost summary file is read from the compare log instead.

    Raises:
        DataError, StorageError: a file of ours cannot be read.
    """
    summary = _read_state(settings.compare_summary) or newest_summary(open_compare_log(settings))
    if summary is None:
        reason = f"{settings.compare_summary}: not there yet; run pipeline-v6 shadow, heartbeat and compare"
        steps = what_to_do(Status.NO_DATA, Verdict.NO_DATA, (), None)
        return Report(EXIT_NO_DATA, Status.NO_DATA, Verdict.NO_DATA, (reason,), (), None, to_do=steps)
    try:
        status, verdict = Status(summary.status), Verdict(summary.verdict)
        reasons = tuple(map(str, summary.verdict_reasons))
        stale = tuple(_stale(settings, summary, _read_state(settings.shadow_head), now))
        steps = what_to_do(status, verdict, stale, summary)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{settings.compare_summary}: not understood ({error!r}); run pipeline-v6 compare") from None
    exit_code = EXIT_NO_DATA if stale else _exit_code(status, verdict)
    previous = _before(settings, summary)
    changes = changes_between(previous, summary)
    previous_ts = float(previous["generated_ts"]) if previous is not None else None
    return Report(exit_code, status, verdict, reasons, stale, summary, changes, previous_ts, steps)


def _before(settings: Settings, summary: Summary) -> dict[str, Any] | None:
    """The summary of the run before; None where there is none, or where it is too far up to look for."""
    for earlier in read_summaries_backward(open_compare_log(settings), _MOST_LINES_BACK):
        if earlier.get("generated_ts", inf) < summary.generated_ts:
            return earlier
    return None


def _exit_code(status: Status, verdict: Verdict) -> int:
    if status is Status.NO_DATA:
        return EXIT_NO_DATA
    if status is Status.WARMUP:
        return EXIT_UNDECIDED
    if status in (Status.RED, Status.AMBER) or verdict is Verdict.FAIL:
        return EXIT_AGAINST
    return EXIT_GREEN if verdict is Verdict.PASS else EXIT_UNDECIDED


def _stale(settings: Settings, summary: Summary, head: dict[str, Any] | None, now: float) -> list[str]:
    stale = []
    for name, state, interval_s in (
        ("summary", summary, settings.compare_interval_s),
        ("head", head, settings.heartbeat_interval_s),
    ):
        if state is None:
            stale.append(f"{name} is missing; run pipeline-v6 heartbeat")
            continue
        age_s = now - float(state["generated_ts"])
        if age_s > STALE_AFTER_INTERVALS * interval_s:
            stale.append(f"{name} is {age_s:.0f} s old, {STALE_AFTER_INTERVALS * interval_s:.0f} s at most")
        elif age_s < -STALE_AFTER_INTERVALS * interval_s:
            stale.append(f"{name} was written {-age_s:.0f} s in the future; see to this machine's clock")
    # As the comparison found it: what came since is decided in a minute, and how old the summary is stands above.
    undecided_ts = summary.undecided_since_ts
    undecided_s = 0.0 if undecided_ts is None else float(summary.generated_ts) - float(undecided_ts)
    if undecided_s > STALE_AFTER_INTERVALS * settings.heartbeat_interval_s:
        stale.append(f"attempts had waited {undecided_s:.0f} s for a decision; run pipeline-v6 shadow")
    return stale


def _read_state(path: Path) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not understood ({error}); delete it, the next run writes it again") from None
