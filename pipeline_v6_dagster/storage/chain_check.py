"""Reading a chain of lines (`storage.chain`) from its start and naming every place where it does not hold.

What belongs here: the judgement over lines in their order. Which files these come from is `storage.verification`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from pipeline_v6_dagster.storage.chain import ORIGIN, Link, is_untouched, read_link

# More places than a person will look at; the rest is counted.
KEPT_FINDINGS = 100


class Damage(StrEnum):
    """What was done to a line."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    MOVED = "moved"
    RESTARTED = "restarted"
    TORN = "torn"
    UNKEYED = "unkeyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFinding:
    """One place. `line` counts from 1 in the file and is where to look; `last_line` ends a run of such lines.

    For what is missing it is the line before which it stood. `text` says what is wrong there.
    """

    damage: Damage
    path: Path
    line: int
    last_line: int
    text: str

    def __str__(self) -> str:
        lines = f"line {self.line}" if self.line == self.last_line else f"lines {self.line} to {self.last_line}"
        return f"{self.path}: {lines}: {self.damage}: {self.text}"


class _Place(NamedTuple):
    path: Path
    line: int


@dataclass(slots=True)
class _Gap:
    """Numbers that did not come where they should have."""

    place: _Place
    first: int
    last: int


class ChainCheck:
    """Takes the lines of a log, oldest first, and keeps what is wrong with them.

    With `after` the first line to come is the one after it, else the first of the log, or any where the oldest may
    be gone. `newest` is the link that the chain has reached. `witness` is a link that somebody has seen in the log.
    With `key`, each line must have been written by somebody who had it.
    """

    def __init__(
        self,
        *,
        may_lack_oldest: bool = False,
        after: Link | None = None,
        witness: Link | None = None,
        key: bytes | None = None,
    ) -> None:
        self.lines = 0
        self.first_number: int | None = None
        self.newest = after
        self._found = 0
        self._may_lack_oldest = may_lack_oldest
        self._witness = witness
        self._key = key
        self._newest_place = _Place(Path(), 0)
        self._rival: Link | None = None  # of the newest: a line that claims the same number
        self._restart: Link | None = None  # a line that may begin another chain
        self._gaps: list[_Gap] = []
        self._findings: list[ChainFinding] = []

    def take(self, path: Path, number: int, line: bytes) -> None:
        """The next line, without its newline, which is line `number` of the file."""
        place = _Place(path, number)
        link = read_link(line)
        if link is None:
            self._find(Damage.INSERTED, place, "carries no link of the chain, so this project did not write it")
            return
        self.lines += 1
        if not is_untouched(line, link, self._key):
            if self._key is not None and is_untouched(line, link):
                self._find(Damage.UNKEYED, place, "was written without the key of the chain")
            else:
                self._find(Damage.CHANGED, place, f"is not what line {link.number} of the log was when it was written")
        if self._witness is not None and self._witness.number == link.number and self._witness != link:
            self._find(Damage.CHANGED, place, f"is not the line {link.number} of the log that was seen there before")
        self._follow(link, place)

    def torn(self, path: Path, number: int) -> None:
        """The file ends in the middle of line `number` where it must not."""
        self._find(Damage.TORN, _Place(path, number), "has no end")

    def end(self, path: Path) -> None:
        """There are no more lines; `path` is the current file of the log."""
        seen, newest = self._witness, self.newest
        if seen is not None and (newest is None or seen.number > newest.number):
            place = self._newest_place if self.lines else _Place(path, 1)
            self._find(Damage.REMOVED, place, f"after it lines are missing: line {seen.number} of the log was seen")

    def findings(self) -> list[ChainFinding]:
        """What was found, what is missing last: a number that came late after all was moved, not removed."""
        found = self._findings + [
            ChainFinding(
                damage=Damage.REMOVED,
                path=gap.place.path,
                line=gap.place.line,
                last_line=gap.place.line,
                text=f"before it {_describe(gap)} missing",
            )
            for gap in self._gaps
        ]
        return found[:KEPT_FINDINGS]

    @property
    def count(self) -> int:
        """How many places there are, also those that are not kept."""
        return self._found + len(self._gaps)

    def _follow(self, link: Link, place: _Place) -> None:
        newest = self.newest
        if newest is None:
            self._begin(link, place)
        elif link.number == newest.number + 1:
            if link.before != newest.hash and not self._takes_side_of_rival(link):
                text = f"is not the line that the one after it, line {link.number} of the log, was written after"
                self._find(Damage.CHANGED, self._newest_place, text)
            self._advance(link, place)
        elif link.number > newest.number:
            self._miss(newest.number + 1, link.number - 1, place)
            self._advance(link, place)
        elif self._was_missing(link.number):
            self._find(Damage.MOVED, place, "stands after lines that were written later")
        elif link.number == 2 and self._restart is not None and link.before == self._restart.hash:
            text = f"begins a new chain after line {newest.number} of the log"
            self._amend_last(Damage.INSERTED, damage=Damage.RESTARTED, text=text)
            self._advance(link, place)
        else:
            if link.number == newest.number:
                self._rival = link
            if link.number == 1:
                self._restart = link
            self._find(Damage.INSERTED, place, f"claims to be line {link.number} of the log, which stands before it")

    def _begin(self, link: Link, place: _Place) -> None:
        self.first_number = link.number
        if link.number == 1 and link.before != ORIGIN.hash:
            self._find(Damage.CHANGED, place, "claims to be the first line of the log and to follow another one")
        if link.number > 1 and not self._may_lack_oldest:
            self._miss(1, link.number - 1, place)
        self._advance(link, place)

    def _miss(self, first: int, last: int, place: _Place) -> None:
        if len(self._gaps) < KEPT_FINDINGS:
            self._gaps.append(_Gap(place, first, last))
        else:
            self._found += 1

    def _advance(self, link: Link, place: _Place) -> None:
        self.newest, self._newest_place, self._rival, self._restart = link, place, None, None

    def _takes_side_of_rival(self, link: Link) -> bool:
        """Whether the line follows the other one of two that claimed a number: then it is the first that is false."""
        if self._rival is None or link.before != self._rival.hash:
            return False
        first = self._newest_place
        self._amend_last(Damage.INSERTED, path=first.path, line=first.line, last_line=first.line)
        return True

    def _amend_last(self, expected: Damage, /, **changes: Any) -> None:
        """What was found last shows in another light."""
        if self._findings and self._findings[-1].damage is expected:
            self._findings[-1] = replace(self._findings[-1], **changes)

    def _was_missing(self, number: int) -> bool:
        for index, gap in enumerate(self._gaps):
            if gap.first <= number <= gap.last:
                self._gaps[index : index + 1] = [part for part in _without(gap, number) if part.first <= part.last]
                return True
        return False

    def _find(self, damage: Damage, place: _Place, text: str) -> None:
        last = self._findings[-1] if self._findings else None
        if (
            last is not None
            and (last.damage, last.path, last.last_line + 1) == (damage, place.path, place.line)
            and damage in (Damage.INSERTED, Damage.MOVED, Damage.UNKEYED)
        ):
            self._findings[-1] = replace(last, last_line=place.line)
            return
        self._found += 1
        if len(self._findings) < KEPT_FINDINGS:
            self._findings.append(
                ChainFinding(damage=damage, path=place.path, line=place.line, last_line=place.line, text=text)
            )


def _without(gap: _Gap, number: int) -> Iterator[_Gap]:
    yield _Gap(gap.place, gap.first, number - 1)
    yield _Gap(gap.place, number + 1, gap.last)


def _describe(gap: _Gap) -> str:
    if gap.first == gap.last:
        return f"line {gap.first} of the log is"
    return f"lines {gap.first} to {gap.last} of the log are"
