"""Whether a log of ours is what this project wrote: its chain, over all its files, oldest first, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_v6_dagster.storage.chain import Link, read_link
from pipeline_v6_dagster.storage.chain_check import ChainCheck, ChainFinding
from pipeline_v6_dagster.storage.jsonl_log import KEPT_ROTATIONS
from pipeline_v6_dagster.storage.log_files import LogFile, open_log_files
from pipeline_v6_dagster.storage.log_names import archives, rotations

# No line of ours is longer, but one of somebody else's may be.
MAX_LINE_BYTES = 1 << 26


@dataclass(slots=True, kw_only=True)
class Verification:
    """What was found in one log. `newest` is the link of its last line, to go on from the next time.

    `lines` were read; `first_number` is that of the first of them. `torn_bytes` at the end of the current file are
    being written, or were when their writer was killed: the next run cuts them.
    """

    path: Path
    lines: int = 0
    first_number: int | None = None
    newest: Link | None = None
    torn_bytes: int = 0
    finding_count: int = 0
    findings: list[ChainFinding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, removed, inserted or moved."""
        return not self.finding_count


def verify_log(
    path: Path, *, after: Link | None = None, witness: Link | None = None, key: bytes | None = None
) -> Verification:
    """Follow the chain of a log. With `after`, a link found good before, only what was written since.

    If `after` is not in the log, as after a rebuild, all of it is read. `witness` is a link that must be there, unless
    it is older than what is left of the log. `key` is the key that all lines were written with, None if there is none.

    Raises:
        StorageError: a file cannot be read.
    """
    with open_log_files(path, with_archives=True) as log_files:
        found = _verify_after(path, log_files, after, witness, key) if after is not None else None
        if found is None:
            check = ChainCheck(may_lack_oldest=_may_lack_oldest(path), witness=witness, key=key)
            found = _verify(path, check, ((log_file, 0) for log_file in log_files))
        return found


def _may_lack_oldest(path: Path) -> bool:
    """Whether archives were deleted: the lowest number is gone, or there are none where there would be."""
    numbers = [number for number, _ in archives(path)]
    return min(numbers) > 1 if numbers else len(rotations(path)) >= KEPT_ROTATIONS


def _verify_after(
    path: Path, log_files: list[LogFile], after: Link, witness: Link | None, key: bytes | None
) -> Verification | None:
    """From the line after a known link on; None where that link is not in the log."""
    for index, log_file in reversed(list(enumerate(log_files))):
        for number, line, _ in _lines(log_file):
            link = read_link(line)
            if number == 1 and (link is None or link.number > after.number):
                break  # It is older than this file.
            if link == after:
                rest = [(log_file, number), *((newer, 0) for newer in log_files[index + 1 :])]
                return _verify(path, ChainCheck(after=after, witness=witness, key=key), iter(rest))
    return None


def _verify(path: Path, check: ChainCheck, parts: Iterator[tuple[LogFile, int]]) -> Verification:
    """All lines of the files but the first so many of each."""
    verification = Verification(path=path)
    for log_file, passed in parts:
        for number, line, is_whole in _lines(log_file):
            if number <= passed:
                continue
            if is_whole:
                check.take(log_file.path, number, line)
            elif log_file.is_current:
                verification.torn_bytes = len(line)
            else:
                check.torn(log_file.path, number)
    verification.lines = check.lines
    verification.first_number = check.first_number
    verification.newest = check.newest
    check.end(path)
    verification.findings = check.findings()
    verification.finding_count = check.count
    return verification


def _lines(log_file: LogFile) -> Iterator[tuple[int, bytes, bool]]:
    """(number from 1, line without its newline, whether it has one) of a file; one that is too long comes empty."""
    with log_file.reading() as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            piece = line
            while len(piece) == MAX_LINE_BYTES and not piece.endswith(b"\n"):
                line = b""
                piece = file.readline(MAX_LINE_BYTES)
            yield number, line.removesuffix(b"\n"), piece.endswith(b"\n")
