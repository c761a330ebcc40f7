"""The status of every executor of a fleet, one row each, and the exit code of the worst.

An executor whose logs this machine sees is read from them. Of one on another host this machine knows what its runs
reported to Dagster, which the asset `fleet_summary` keeps in a file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from pipeline_v6_dagster.config.fleet import Executor, Fleet
from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, PipelineError, StorageError
from pipeline_v6_dagster.domain.summary import Status, Verdict
from pipeline_v6_dagster.stages.outputs.gate import find_chain_problems
from pipeline_v6_dagster.stages.outputs.status import (
    EXIT_AGAINST,
    EXIT_GREEN,
    EXIT_NO_DATA,
    EXIT_UNDECIDED,
    STALE_AFTER_INTERVALS,
    Report,
    read_status,
)
from pipeline_v6_dagster.storage.files import replace_file

# The worst first: an executor that nobody can judge is worse than one that is not judged yet.
_WORST_FIRST = (EXIT_AGAINST, EXIT_NO_DATA, EXIT_UNDECIDED, EXIT_GREEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorStatus:
    """One row: status and verdict of an executor as of `as_of_ts` (epoch s), and what `pipeline-v6 status` exits with.

    `answer` says in one line whether v6 may go live there. `problem` says why there is no status, or why it is old.
    """

    name: str
    host: str | None
    status: Status
    verdict: Verdict
    exit_code: int
    answer: str
    as_of_ts: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """All rows, in the order of the fleet file."""

    executors: tuple[ExecutorStatus, ...]

    @property
    def exit_code(self) -> int:
        """The worst: 1, then 3, then 2, then 0."""
        return min((each.exit_code for each in self.executors), key=_WORST_FIRST.index, default=EXIT_NO_DATA)


class FleetSummaryFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file of the asset `fleet_summary`."""

    generated_ts: float
    executors: tuple[ExecutorStatus, ...]


def read_fleet_status(base: Settings, fleet: Fleet, now: float, hostname: str) -> FleetStatus:
    """The status of all executors as of `now` (epoch s), as the machine `hostname` knows it. None stops the others.

    Raises:
        DataError: the fleet summary is not understood.
        StorageError: it cannot be read.
    """
    return FleetStatus(executors=tuple(row for row, _ in read_fleet_reports(base, fleet, now, hostname)))


def read_fleet_reports(
    base: Settings,
    fleet: Fleet,
    now: float,
    hostname: str,
    verify: Callable[[Settings], Sequence[str]] = find_chain_problems,
) -> Iterator[tuple[ExecutorStatus, Report | None]]:
    """The same, each row with the status that it comes from; None for one that was only reported.

    Raises:
        DataError: the fleet summary is not understood.
        StorageError: it cannot be read.
    """
    executors = fleet.executors.values()
    is_remote = any(not executor.is_on(hostname) for executor in executors)
    reported = _read_reported(base) if is_remote else {}
    for executor in executors:
        if executor.is_on(hostname):
            yield read_executor_report(executor, now, verify)
        else:
            yield judge_reported(executor, reported, now), None


def read_executor_report(
    executor: Executor, now: float, verify: Callable[[Settings], Sequence[str]] = find_chain_problems
) -> tuple[ExecutorStatus, Report | None]:
    """The row of an executor whose logs are here, with the status that it comes from; None where there is none."""
    if not executor.settings.home.is_dir():
        return _without_status(executor, f"{executor.settings.home}: is no folder that this machine can see"), None
    try:
        report = read_status(executor.settings, now, verify)
    except PipelineError as error:
        return _without_status(executor, str(error)), None
    return executor_status(executor.name, executor.host, report, now), report


def executor_status(name: str, host: str | None, report: Report, now: float) -> ExecutorStatus:
    """The row that a status as of `now` (epoch s) gives."""
    return ExecutorStatus(
        name=name,
        host=host,
        status=report.status,
        verdict=report.verdict,
        exit_code=report.exit_code,
        answer=report.answer,
        as_of_ts=now,
        problem="; ".join(report.stale) or None,
    )


def judge_reported(executor: Executor, reported: Mapping[str, ExecutorStatus], now: float) -> ExecutorStatus:
    """The row that the runs of an executor reported last; stale after three intervals, as its files would be."""
    row = reported.get(executor.name)
    if row is None or row.as_of_ts is None:
        where = "" if executor.host is None else f" on host {executor.host}"
        return _without_status(executor, f"its runs{where} have reported nothing yet")
    age_s = now - row.as_of_ts
    row = replace(row, host=executor.host)
    limit_s = STALE_AFTER_INTERVALS * executor.settings.compare_interval_s
    if abs(age_s) <= limit_s:
        return row
    when = f"{age_s:,.0f} s ago" if age_s > 0 else f"{-age_s:,.0f} s in the future"
    return replace(row, exit_code=EXIT_NO_DATA, problem=f"its newest report is from {when}, {limit_s:,.0f} s at most")


def encode_row(row: ExecutorStatus) -> str:
    """A row as `decode_row` reads it."""
    return msgspec.json.encode(row).decode()


def decode_row(text: str) -> ExecutorStatus | None:
    """The row; None where it is not understood, as that of another version may be."""
    try:
        return msgspec.json.decode(text, type=ExecutorStatus)
    except msgspec.DecodeError:
        return None


def write_fleet_summary(base: Settings, executors: Iterable[ExecutorStatus], now: float) -> None:
    """Replace the file by these rows as of `now` (epoch s).

    Raises:
        StorageError: it cannot be written.
    """
    content = FleetSummaryFile(generated_ts=now, executors=tuple(executors))
    replace_file(base.fleet_summary, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _read_reported(base: Settings) -> dict[str, ExecutorStatus]:
    path = base.fleet_summary
    try:
        content = msgspec.json.decode(read_regular(path), type=FleetSummaryFile)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not understood ({error}); delete it, the next fleet_summary writes it again"
        ) from None
    return {row.name: row for row in content.executors}


def _without_status(executor: Executor, problem: str) -> ExecutorStatus:
    return ExecutorStatus(
        name=executor.name,
        host=executor.host,
        status=Status.NO_DATA,
        verdict=Verdict.NO_DATA,
        exit_code=EXIT_NO_DATA,
        answer="v6 may not go live: its status is not known.",
        problem=problem,
    )
