"""The id of a decision: by the content of its attempt, so that the same attempts have the same ids in any file.

An attempt that is logged again, byte for byte, is an attempt of its own: the number of those before it is a part of its
id. They carry the same time, so only an attempt that is not newer than all before it is searched for, and no further
back than to where all are older.
"""

from collections import deque
from collections.abc import Generator
from hashlib import blake2b
from math import inf
from typing import NamedTuple

import msgspec

from pipeline_v6_dagster.sources.decoding import BYTE_ORDER_MARK, decode_row
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog

_ID_BYTES = 8
# After so many attempts in a row that are so much older than the newest, it is the newest whose clock was wrong.
_BEHIND_S = 86_400.0
_BEHIND_IN_A_ROW = 100
# Ids that are added to an index before it is dropped: some hundred bytes each.
_MAX_ADDED = 50_000


class NamedAttempt(NamedTuple):
    """The id of a decision; and the newest as-of time up to it, if that is not its own (epoch s)."""

    decision_id: str
    newest_ts: float | None


class _Source(msgspec.Struct, gc=False):
    newest_ts: float | None = None


class _Row(msgspec.Struct, gc=False):
    decision_id: str
    timestamp: float
    source: _Source

    @property
    def newest_ts(self) -> float:
        return self.timestamp if self.source.newest_ts is None else self.source.newest_ts


_decoder = msgspec.json.Decoder(_Row)


class DecisionIds:
    """Gives each attempt its id, in the order of the decisions.

    `log` holds the decisions so far, but for the newest ones: at most `unwritten` decisions are appended later than the
    next id is asked for; None: they are never appended.
    """

    def __init__(self, log: JsonlLog, unwritten: int | None) -> None:
        self._log = log
        self._recent: deque[_Row] = deque(maxlen=unwritten)
        self._newest_ts: float | None = None  # None before the log was asked
        self._behind: list[float] = []  # the times of the last decisions, in a row, that are far behind the newest
        self._index: set[str] | None = None
        self._unread: Generator[_Row] | None = None
        self._read_to_ts = inf  # All decisions of this time or a newer one are in the index.
        self._numbers: dict[str, int] = {}
        self._added = 0

    def name(self, line: bytes, as_of: float) -> NamedAttempt:
        """The id of the attempt that a line (without newline) holds, made at `as_of` (epoch s)."""
        content = line.removeprefix(BYTE_ORDER_MARK).strip()
        decision_id = _digest(content, 0)
        newest_ts = self._start() if self._newest_ts is None else self._newest_ts
        if as_of <= newest_ts:
            decision_id = self._first_free(content, decision_id, as_of)
        newest_ts = self._advance(newest_ts, as_of)
        late_ts = None if newest_ts == as_of else newest_ts
        self._recent.append(_Row(decision_id, as_of, _Source(late_ts)))
        if self._index is not None:
            self._index.add(decision_id)
            self._added += 1
            if self._added > _MAX_ADDED:
                self._drop_index()
        return NamedAttempt(decision_id, late_ts)

    def _start(self) -> float:
        newest_ts: float | None = None
        for row in self._read_log():
            newest_ts = row.newest_ts if newest_ts is None else newest_ts
            if newest_ts - row.timestamp <= _BEHIND_S or len(self._behind) == _BEHIND_IN_A_ROW:
                break
            self._behind.append(row.timestamp)
        return -inf if newest_ts is None else newest_ts

    def _advance(self, newest_ts: float, as_of: float) -> float:
        """The newest time, with this attempt."""
        self._newest_ts = max(newest_ts, as_of)
        if self._newest_ts - as_of <= _BEHIND_S:
            self._behind.clear()
            return self._newest_ts
        self._behind.append(as_of)
        if len(self._behind) >= _BEHIND_IN_A_ROW:
            self._newest_ts = max(self._behind)
            self._behind.clear()
        return self._newest_ts

    def _first_free(self, content: bytes, first: str, as_of: float) -> str:
        index = self._read_back_to(as_of)
        if first not in index:
            return first
        number = self._numbers.get(first, 1)
        while (decision_id := _digest(content, number)) in index:
            number += 1
        self._numbers[first] = number
        return decision_id

    def _read_back_to(self, as_of: float) -> set[str]:
        """The ids of the decisions, from the newest back to where all are older."""
        if self._index is None or self._unread is None:
            self._index, self._unread = set(), self._read_back()
        while self._read_to_ts >= as_of:
            row = next(self._unread, None)
            if row is None:
                self._read_to_ts = -inf
                break
            self._index.add(row.decision_id)
            self._read_to_ts = row.newest_ts
        return self._index

    def _read_back(self) -> Generator[_Row]:
        yield from reversed(tuple(self._recent))
        yield from self._read_log()

    def _read_log(self) -> Generator[_Row]:
        for line in self._log.backward():
            row = decode_row(_decoder, line)
            if isinstance(row, _Row):
                yield row

    def _drop_index(self) -> None:
        if self._unread is not None:
            self._unread.close()
        self._index = self._unread = None
        self._read_to_ts = inf
        self._numbers.clear()
        self._added = 0


def _digest(content: bytes, number: int) -> str:
    salt = number.to_bytes(_ID_BYTES, "little")
    return blake2b(content, digest_size=_ID_BYTES, salt=salt).hexdigest()
