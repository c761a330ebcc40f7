"""Whether a log of ours is what this project wrote: its chain, over all its files, oldest first, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline_v6_dagster.storage.chain import Link, link_of
from pipeline_v6_dagster.storage.chain_check import ChainCheck, Finding
from pipeline_v6_dagster.storage.jsonl_log import KEPT_ROTATIONS
from pipeline_v6_dagster.storage.log_files import LogFile, open_log_files
from pipeline_v6_dagster.storage.log_names import archives, rotations

# No line of ours is longer, but one of somebody else's may be.
MAX_LINE_BYTES = 1 << 26


@dataclass(slots=True)
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
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, removed, inserted or moved."""
        return not self.finding_count


def verify_log(path: Path, *, after: Link | None = None, witness: Link | None = None) -> Verification:
    """Follow the chain of a log. With `after`, a link found good before, only what was written since.

    Where `after` is not in the log, which a rebuild leaves anew, all of it is read. `witness` is a link that must be
    there, unless it is older than what is left of the log.

    Raises:
        StorageError: a file cannot be read.
    """
    with open_log_files(path, with_archives=True) as generations:
        found = _verify_after(path, generations, after, witness) if after is not None else None
        if found is None:
            check = ChainCheck(may_lack_oldest=_may_lack_oldest(path), witness=witness)
            found = _verify(path, check, ((generation, 0) for generation in generations))
        return found


def _may_lack_oldest(path: Path) -> bool:
    """Whether archives were deleted: the lowest number is gone, or there are none where there would be."""
    numbers = [number for number, _ in archives(path)]
    return min(numbers) > 1 if numbers else len(rotations(path)) >= KEPT_ROTATIONS


def _verify_after(path: Path, generations: list[LogFile], after: Link, witness: Link | None) -> Verification | None:
    """From the line after a known link on; None where that link is not in the log."""
    for index, generation in reversed(list(enumerate(generations))):
        for number, line, _ in _lines(generation):
            link = link_of(line)
            if number == 1 and (link is None or link.number > after.number):
                break  # It is older than this file.
            if link == after:
                rest = [(generation, number), *((newer, 0) for newer in generations[index + 1 :])]
                return _verify(path, ChainCheck(after=after, witness=witness), iter(rest))
    return None


def _verify(path: Path, check: ChainCheck, parts: Iterator[tuple[LogFile, int]]) -> Verification:
    """All lines of the files but the first so many of each."""
    verification = Verification(path)
    for generation, passed in parts:
        for number, line, is_whole in _lines(generation):
            if number <= passed:
                continue
            if is_whole:
                check.take(generation.path, number, line)
            elif generation.is_current:
                verification.torn_bytes = len(line)
            else:
                check.torn(generation.path, number)
    verification.lines = check.lines
    verification.first_number = check.first_number
    verification.newest = check.newest
    check.end(path)
    verification.findings = check.findings()
    verification.finding_count = check.count
    return verification


def _lines(generation: LogFile) -> Iterator[tuple[int, bytes, bool]]:
    """(number from 1, line without its newline, whether it has one) of a file; one that is too long comes empty."""
    with generation.reading() as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            piece = line
            while len(piece) == MAX_LINE_BYTES and not piece.endswith(b"\n"):
                line = b""
                piece = file.readline(MAX_LINE_BYTES)
            yield number, line.removesuffix(b"\n"), piece.endswith(b"\n")
