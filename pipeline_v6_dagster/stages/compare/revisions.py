"""Which diff a late order, veto or error revises, and which decisions have been compared already.

The compare log is read backward, at most once in a run and only as far as late rows ask for. For each id that was read,
two numbers are held in memory, a hash of it and the place of its line, for as long as a diff may be revised. A late row
then costs one line of the log, however long the log is.
"""

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Self

import msgspec

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.logs.compare_log import classify_line, read_diff
from pipeline_v6_dagster.storage.chain import read_link
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
from pipeline_v6_dagster.storage.placed_lines import PlacedLines

# Revisions, and decisions whose clock was behind, are older than the diffs around them. So many in a row are not.
_STRAY_DIFFS = 100
# Ids that are held in a dict, at some hundred bytes each, before they move to sorted arrays, at sixteen.
_UNSORTED_IDS = 1 << 14


class _Attempt(msgspec.Struct, gc=False):
    attempt_id: str | None = None


class _Ids(msgspec.Struct, gc=False):
    ts: float = 0.0
    decision_id: str | None = None
    intent_id: str | None = None
    shadow: _Attempt | None = None


_ids_decoder = msgspec.json.Decoder(_Ids)


class _Segment:
    """Hashes of ids, sorted, with the places of their lines; `newest_ts` is that of the newest of the diffs."""

    def __init__(self, places: dict[int, int], newest_ts: float) -> None:
        ordered = sorted(places.items())
        self.newest_ts = newest_ts
        self._hashes = array("q", [key for key, _ in ordered])
        self._places = array("q", [place for _, place in ordered])

    def get(self, key: int) -> int | None:
        index = bisect_left(self._hashes, key)
        if index < len(self._hashes) and self._hashes[index] == key:
            return self._places[index]
        return None


class _Places:
    """Where the newest line of each id is, of lines that are added from one end of the log to the other.

    `is_forward` tells that each line is newer than those before it, otherwise each is older.
    """

    def __init__(self, *, is_forward: bool) -> None:
        self._is_forward = is_forward
        self._unsorted: dict[int, int] = {}
        self._newest_ts = 0.0
        self._segments: list[_Segment] = []  # the one that was added last first

    def add(self, ts: float, keys: list[str], place: int) -> None:
        unsorted = self._unsorted
        for key in keys:
            if self._is_forward:
                unsorted[hash(key)] = place
            else:
                unsorted.setdefault(hash(key), place)
        self._newest_ts = max(self._newest_ts, ts)
        if len(unsorted) >= _UNSORTED_IDS:
            self._segments.insert(0, _Segment(unsorted, self._newest_ts))
            self._unsorted, self._newest_ts = {}, 0.0

    def forget(self, before_ts: float) -> None:
        self._segments = [segment for segment in self._segments if segment.newest_ts >= before_ts]

    def get(self, key: str) -> int | None:
        """The place of the newest line that may carry the id: two ids may have one hash."""
        wanted = hash(key)
        unsorted = self._unsorted.get(wanted)
        if self._is_forward and unsorted is not None:
            return unsorted
        for segment in self._segments if self._is_forward else reversed(self._segments):
            place = segment.get(wanted)
            if place is not None:
                return place
        return unsorted


class KnownDiffs:
    """The diffs of the compare log, and of the block that is being made, by the ids that they carry.

    A context manager: it holds the files of the log open once a late row asked for them.

    Args:
        log: The compare log.
        horizon_s: How far back a diff may be revised, in seconds.
        slack_s: How far a diff may be from its place in time, in seconds.
    """

    def __init__(self, log: JsonlLog, horizon_s: float, slack_s: float) -> None:
        self._log = log
        self._horizon_s = horizon_s
        self._slack_s = slack_s
        self._of_the_block: dict[str, Diff] = {}
        self._stack = ExitStack()
        self._lines: PlacedLines | None = None
        # Of the log as it was when the first late row came, read backward as far as was asked for.
        self._older = _Places(is_forward=False)
        self._unread: Iterator[tuple[int, bytes]] = iter(())
        self._strays = 0
        # Of the blocks that were appended since then.
        self._newer = _Places(is_forward=True)
        self._newest_number = 0  # of the lines that were read, in the chain of the log
        self._has_appended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def add(self, diff: Diff) -> None:
        """A diff of the block that is being made."""
        block, shadow = self._of_the_block, diff.shadow
        if diff.intent_id is not None:
            block[f"i:{diff.intent_id}"] = diff
        if shadow is not None and shadow.attempt_id is not None:
            block[f"a:{shadow.attempt_id}"] = diff
        if diff.decision_id is not None:
            block[f"d:{diff.decision_id}"] = diff

    def end_block(self) -> None:
        """The block was appended to the log."""
        if self._of_the_block:
            self._has_appended = True
            # Late rows come in the order of their times. By the oldest of the block, so that one decision whose clock
            # was ahead does not end the horizon of the others.
            oldest_ts = min(diff.ts for diff in self._of_the_block.values()) - self._horizon_s - self._slack_s
            self._newer.forget(oldest_ts)
            self._older.forget(oldest_ts)
        self._of_the_block.clear()

    def find(self, intent_id: str | None, attempt_id: str | None, ts: float) -> Diff | None:
        """The newest diff that carries one of the ids, the intent's first, and is no older than the horizon at `ts`."""
        for key in _keys(intent_id, attempt_id):
            diff = self._of_the_block.get(key) or self._read(key, ts - self._horizon_s)
            if diff is not None and ts - diff.ts <= self._horizon_s:
                return diff
        return None

    def has(self, intent_id: str | None, attempt_id: str | None, ts: float) -> bool:
        """Whether `find` finds one."""
        return self.find(intent_id, attempt_id, ts) is not None

    def has_decision(self, decision_id: str, newest_ts: float) -> bool:
        """Whether a diff of this decision is no older than the horizon at `newest_ts` (epoch s)."""
        key = f"d:{decision_id}"
        diff = self._of_the_block.get(key) or self._read(key, newest_ts - self._horizon_s)
        return diff is not None and newest_ts - diff.ts <= self._horizon_s

    def _read(self, key: str, oldest_ts: float) -> Diff | None:
        """The newest diff of the log that carries an id; older ones than a time (epoch s) need not be found."""
        lines = self._lines or self._open()
        if self._has_appended:
            self._read_appended(lines)
        for places in (self._newer, self._older):
            place = places.get(key)
            if place is not None:
                line = lines.read(place)
                if key in _list_keys(_ids_decoder.decode(line)):
                    return read_diff(self._log, line)
        return self._read_on(key, oldest_ts)

    def _open(self) -> PlacedLines:
        self._lines = lines = self._stack.enter_context(self._log.placed_lines())
        self._unread = unread = self._diffs_down_to(lines, 0)
        self._stack.callback(unread.close)
        self._has_appended = False
        return lines

    def _read_appended(self, lines: PlacedLines) -> None:
        """Index what this run has appended since the log was looked at last."""
        self._has_appended = False
        appended = [
            (place, _ids_decoder.decode(line)) for place, line in self._diffs_down_to(lines, self._newest_number)
        ]
        for place, row in reversed(appended):
            self._newer.add(row.ts, _list_keys(row), place)

    def _diffs_down_to(self, lines: PlacedLines, last_number: int) -> Generator[tuple[int, bytes]]:
        """(place, line) of the diffs in the log, newest first, after the line with this number in the chain."""
        is_newest = True
        for place, line in lines.backward():
            if is_newest or last_number:
                link = read_link(line)
                number = 0 if link is None else link.number
                if number <= last_number and last_number:
                    return
                self._newest_number = max(self._newest_number, number)
                is_newest = False
            if classify_line(line) is LineKind.INNER:
                yield place, line

    def _read_on(self, key: str, oldest_ts: float) -> Diff | None:
        """Go back in the log from where the last such search ended: what is late is seldom very late."""
        if self._strays > _STRAY_DIFFS:
            return None
        for place, line in self._unread:
            row = _ids_decoder.decode(line)
            keys = _list_keys(row)
            self._older.add(row.ts, keys, place)
            # Late rows come in the order of their times, so the first one asks for the most of the log.
            self._strays = self._strays + 1 if row.ts < oldest_ts - self._slack_s else 0
            if key in keys:
                return read_diff(self._log, line)
            if self._strays > _STRAY_DIFFS:
                return None
        return None


def _list_keys(row: _Ids) -> list[str]:
    return _keys(row.intent_id, None if row.shadow is None else row.shadow.attempt_id, row.decision_id)


def _keys(intent_id: str | None, attempt_id: str | None, decision_id: str | None = None) -> list[str]:
    """What finds a diff again. One without a decision is found by its order's ids, so that it is counted once."""
    found = (("i", intent_id), ("a", attempt_id), ("d", decision_id))
    return [f"{kind}:{name}" for kind, name in found if name is not None]
