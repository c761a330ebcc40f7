"""Following the hash chains of our logs from where they were found whole before: what a tick can afford.

A chain that is followed from its newest verified line on does not show an edit before that line, so all of it is read
once a day, and after every finding.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import msgspec

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.logs.verify import VerifyReport, verify_logs
from pipeline_v6_dagster.storage.chain import link_from
from pipeline_v6_dagster.storage.files import remove_file, replace_file

# Reading all of a long history takes seconds, which a run a minute should not spend.
_ALL_EVERY_S = 86_400.0


class Verified(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest link of each log by its name, and when all of it was read (epoch s)."""

    newest: dict[str, str]
    all_ts: float


class ChainFollower:
    """The findings of the hash chains for one who asks at every tick.

    `verified` is what the next tick goes on from. Nothing, after a finding: it does not recover by looking only at what
    came after.
    """

    def __init__(self, clock: Callable[[], float], verified: Verified | None = None) -> None:
        self._clock = clock
        self.verified = verified

    def __call__(self, settings: Settings) -> list[str]:
        """What is wrong with our logs; nothing if they are whole as far as they were read.

        Raises:
            StorageError: a log cannot be read.
        """
        now, known = self._clock(), self.verified
        reports = []
        replaced: list[str] = []
        if known is not None:
            reports.append(verify_logs(settings, known.newest))
            replaced += _replaced_logs(reports[0], known.newest)
        # A time in the future was written by a clock that was ahead.
        if known is None or not 0 <= now - known.all_ts < _ALL_EVERY_S:
            reports.append(verify_logs(settings))
            known = Verified({}, now)
        findings = [*replaced, *(finding for report in reports for log in report.logs for finding in log.findings)]
        newest = {log.name: log.newest for log in reports[-1].logs if log.newest is not None}
        self.verified = None if findings else Verified(newest, known.all_ts)
        return findings


def _replaced_logs(report: VerifyReport, verified: Mapping[str, str]) -> Iterator[str]:
    """The logs whose newest verified line is gone: cut back and written again, or rebuilt."""
    for log in report.logs:
        link = link_from(verified.get(log.name, ""))
        if link is not None and (log.newest is None or (log.first_line or link.number + 1) <= link.number):
            yield f"{log.path}: replaced: line {link.number}, which an earlier run verified, is not there any more"


def follow_chains(settings: Settings, clock: Callable[[], float]) -> list[str]:
    """What is wrong with our logs, followed from where the last command left them.

    Raises:
        StorageError: a log cannot be read.
    """
    follower = ChainFollower(clock, read_verified(settings))
    findings = follower(settings)
    with suppress(StorageError):  # One who may only read reads all each time.
        keep_verified(settings, follower.verified)
    return findings


def forget_verified(settings: Settings, name: str) -> None:
    """Let the next command read all of one log, as before it is written again.

    Raises:
        StorageError: the file cannot be written.
    """
    verified = read_verified(settings)
    if verified is not None:
        newest = {each: link for each, link in verified.newest.items() if each != name}
        keep_verified(settings, Verified(newest, verified.all_ts))


def read_verified(settings: Settings) -> Verified | None:
    """What the last command has verified; None where its file says nothing of use, whatever the reason."""
    try:
        return msgspec.json.decode(read_regular(settings.verified_links), type=Verified)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def keep_verified(settings: Settings, verified: Verified | None) -> None:
    """Keep it for the next command; with None all is read then.

    Raises:
        StorageError: the file cannot be written.
    """
    path = settings.verified_links
    if verified is None:
        remove_file(path)
    else:
        replace_file(path, msgspec.json.encode(verified) + b"\n")
