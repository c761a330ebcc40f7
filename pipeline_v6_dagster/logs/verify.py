"""The verify stage: whether our own logs are what this project wrote, and as long as it has shown them to be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.errors import BusyError, DataError, StorageError
from pipeline_v6_dagster.logs.compare_log import (
    encode_summary_file,
    open_compare_log,
    read_cursor,
    read_summaries_backward,
)
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file, says_the_same
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.logs.shadow_head import is_head_of_log, read_head
from pipeline_v6_dagster.storage.chain import Link, link_from
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.follow import Follower, LogOffset
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.storage.verification import Verification, verify_log


@dataclass(slots=True, kw_only=True)
class LogReport:
    """What was found in one log, by its asset key.

    `findings` are lines to read, of which there may be more: `finding_count`. `newest` is the link of its last line
    as text, to be given to the next verification; null where the log is empty. `lines` were read, of which
    `first_line` is the number of the first in the life of the log.
    """

    name: str
    path: Path
    lines: int
    first_line: int | None
    newest: str | None
    torn_bytes: int
    finding_count: int
    findings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class VerifyReport:
    """What was found in all our logs. `not_ours` are those that the executor writes."""

    logs: list[LogReport] = field(default_factory=list)
    not_ours: list[Path] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether no line was changed, removed, inserted or moved."""
        return not any(log.finding_count for log in self.logs)


def verify_logs(settings: Settings, verified: Mapping[str, str] | None = None) -> VerifyReport:
    """Follow the chain of each of our logs, and check that the head, the summary and the cursor agree with it.

    With `verified`, the `newest` of each log by name as an earlier report gave it, only what was written since is
    read. It takes a lock only to check a second time where something is wrong, which a writer at work may explain.

    Raises:
        StorageError: a log cannot be read.
    """
    report = VerifyReport()
    known = {name: link_from(text) for name, text in (verified or {}).items()}
    if settings.shadow_source is ShadowSource.EXTERNAL:
        report.not_ours.append(settings.shadow_log)
    else:
        report.logs.append(_verify_shadow_log(settings, known.get("shadow_log")))
    report.logs.append(_verify_compare_log(settings, known.get("compare_diffs")))
    outbox = settings.alert_outbox
    after = known.get("alerts")
    key = read_chain_key(settings.chain_key_file)

    def look() -> tuple[Verification, list[str]]:
        is_gone = not outbox.exists() and _has_records(settings)
        return verify_log(outbox, after=after, key=key), ["removed: the compare log rests on records in it"] * is_gone

    report.logs.append(_check_twice("alerts", outbox, settings, look))
    if settings.rollout_log.exists() or settings.rollout_state.exists():
        report.logs.append(_verify_rollout(settings, known.get("rollout")))
    return report


def _verify_shadow_log(settings: Settings, after: Link | None) -> LogReport:
    key = read_chain_key(settings.chain_key_file)

    def check() -> tuple[Verification, list[str]]:
        seen, head_findings = _check_head(settings)  # Before the log, which only grows.
        compared = _compared_offset(settings)
        found = verify_log(settings.shadow_log, after=after, witness=seen, key=key)
        if compared is None:
            return found, head_findings
        with Follower(settings.shadow_log, compared, with_archives=True) as follower:
            next(follower.lines(), None)
            is_gone = follower.is_offset_lost or follower.is_missing
        removed = ["removed: the row that was compared last is not there"] * is_gone
        return found, [*removed, *head_findings]

    return _check_twice("shadow_log", settings.shadow_log, settings, check)


def _verify_compare_log(settings: Settings, after: Link | None) -> LogReport:
    key = read_chain_key(settings.chain_key_file)

    def check() -> tuple[Verification, list[str]]:
        # Before the log: a run writes the file after its block.
        seen = _read_file(settings.compare_summary)
        found = verify_log(settings.compare_diffs, after=after, key=key)
        if seen is None or any(content == seen for content in _summaries_backward(settings)):
            return found, []
        return found, [f"changed: {settings.compare_summary} is the summary of no block of the log"]

    return _check_twice("compare_diffs", settings.compare_diffs, settings, check)


def _verify_rollout(settings: Settings, after: Link | None) -> LogReport:
    key = read_chain_key(settings.chain_key_file)

    def check() -> tuple[Verification, list[str]]:
        found = read_rollout_file(settings)  # Before the history: a change writes the file after its line.
        verification = verify_log(settings.rollout_log, after=after, key=key)
        try:
            rollout = read_rollout_now(settings)
        except DataError as error:
            return verification, [f"changed: {error}"]
        path = settings.rollout_state
        if isinstance(found, bytes):
            return verification, [f"changed: {path} is not what heartbeat writes; run pipeline-v6 heartbeat"]
        if found is not None and not says_the_same(rollout, found):
            return verification, [f"changed: {path} does not say what the history says; run pipeline-v6 heartbeat"]
        return verification, []

    return _check_twice("rollout", settings.rollout_log, settings, check)


def _check_twice(
    name: str, path: Path, settings: Settings, check: Callable[[], tuple[Verification, list[str]]]
) -> LogReport:
    found, gone = check()
    if found.finding_count or gone:
        try:
            with locked(path):
                found, gone = check()
        except (BusyError, StorageError):
            pass  # What was seen stands: a process that may only read checks once.
    return LogReport(
        name=name,
        path=path,
        lines=found.lines,
        first_line=found.first_number,
        newest=str(found.newest) if found.newest is not None else None,
        torn_bytes=found.torn_bytes,
        finding_count=found.finding_count + len(gone),
        findings=[*map(str, found.findings), *(f"{path}: {text}" for text in gone)],
    )


def _check_head(settings: Settings) -> tuple[Link | None, list[str]]:
    """The place in the log that the head names, and whether the head says what the log says up to there."""
    path = settings.shadow_head
    head = read_head(settings)
    if head is None:
        return None, []
    if isinstance(head, bytes):
        return None, [f"changed: {path} is not what heartbeat writes; run pipeline-v6 heartbeat to replace it"]
    text = head.log.get("chain")
    seen = link_from(text) if isinstance(text, str) else None
    if is_head_of_log(settings, head):
        return seen, []
    return seen, [f"changed: {path} does not say what the log says up to its place; run pipeline-v6 heartbeat"]


def _has_records(settings: Settings) -> bool:
    """Whether the compare log took records of epochs from the alert log."""
    try:
        cursor = read_cursor(open_compare_log(settings))
    except DataError:
        return False  # The chain of the compare log tells what is wrong with it.
    return cursor is not None and bool(cursor.records)


def _compared_offset(settings: Settings) -> LogOffset | None:
    try:
        cursor = read_cursor(open_compare_log(settings))
    except DataError:
        return None  # The chain of the compare log tells what is wrong with it.
    return cursor.read.get("shadow_log") if cursor is not None else None


def _summaries_backward(settings: Settings) -> Iterator[bytes]:
    try:
        for summary in read_summaries_backward(open_compare_log(settings)):
            yield encode_summary_file(summary)
    except DataError:
        return


def _read_file(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
