"""The verify stage: whether our own logs are what this project wrote, and as long as it has shown them to be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.errors import BusyError, DataError, StorageError
from pipeline_v6_dagster.logs.compare_log import (
    encode_summary_file,
    open_compare_log,
    read_cursor,
    read_summaries_backward,
)
from pipeline_v6_dagster.storage.chain import Link, link_from
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.follow import Follower, LogOffset
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster.storage.verification import Verification, verify_log


@dataclass(slots=True)
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
    """Follow the chain of each of our logs, and look whether what the head, the summary and the cursor saw is there.

    With `verified`, the `newest` of each log by name as an earlier report gave it, only what was written since is
    read. It takes a lock only to look a second time where something is wrong, which a writer at work may explain.

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
    report.logs.append(_looked("alerts", outbox, settings, lambda: (verify_log(outbox, after=after, key=key), [])))
    return report


def _verify_shadow_log(settings: Settings, after: Link | None) -> LogReport:
    key = read_chain_key(settings.chain_key_file)

    def look() -> tuple[Verification, list[str]]:
        seen = _seen_by_head(settings)  # Before the log, which only grows.
        compared = _compared_offset(settings)
        found = verify_log(settings.shadow_log, after=after, witness=seen, key=key)
        if compared is None:
            return found, []
        with Follower(settings.shadow_log, compared, with_archives=True) as follower:
            next(follower.lines(), None)
            is_gone = follower.is_offset_lost or follower.is_missing
        return found, ["removed: the row that was compared last is not there"] * is_gone

    return _looked("shadow_log", settings.shadow_log, settings, look)


def _verify_compare_log(settings: Settings, after: Link | None) -> LogReport:
    key = read_chain_key(settings.chain_key_file)

    def look() -> tuple[Verification, list[str]]:
        # Before the log: a run writes the file after its block.
        seen = _read_file(settings.compare_summary)
        found = verify_log(settings.compare_diffs, after=after, key=key)
        if seen is None or any(content == seen for content in _summaries_backward(settings)):
            return found, []
        return found, [f"changed: {settings.compare_summary} is the summary of no block of the log"]

    return _looked("compare_diffs", settings.compare_diffs, settings, look)


def _looked(name: str, path: Path, settings: Settings, look: Callable[[], tuple[Verification, list[str]]]) -> LogReport:
    found, gone = look()
    if found.finding_count or gone:
        try:
            with locked(path):
                found, gone = look()
        except (BusyError, StorageError):
            pass  # What was seen stands: whoever may only read looks once.
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


def _seen_by_head(settings: Settings) -> Link | None:
    log = _state(settings.shadow_head).get("log")
    text = log.get("chain") if isinstance(log, dict) else None
    return link_from(text) if isinstance(text, str) else None


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
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def _state(path: Path) -> dict[str, Any]:
    """A state file; empty where it is missing or not one of ours, for state is made anew from the logs."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
