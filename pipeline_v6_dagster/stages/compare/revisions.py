"""Which diff a late order, veto or error revises.

What is held in memory is one number per id, eight bytes each, for as long as a diff may be revised: the diffs
themselves are read again from the compare log, which a late row asks for seldom and soon. Of what earlier runs wrote
only as much is read as a late row asks for.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

import msgspec

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.logs.compare_log import kind_of, read_diff
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

# Revisions, and decisions whose clock was behind, are older than the diffs around them. So many in a row are not.
_STRAY_DIFFS = 100


class _Attempt(msgspec.Struct, gc=False):
    attempt_id: str | None = None


class _Ids(msgspec.Struct, gc=False):
    ts: float = 0.0
    mismatch_kind: str | None = None
    intent_id: str | None = None
    shadow: _Attempt | None = None


_ids_decoder = msgspec.json.Decoder(_Ids)

_HOUR_S = 3600.0


class _Hashes:
    """Ids that were seen, by the hour of their diffs, so that old hours can go."""

    def __init__(self) -> None:
        self._by_hour: dict[int, array[int]] = {}
        self._unsorted: set[int] = set()

    def add(self, ts: float, keys: Iterable[str]) -> None:
        hour = int(ts // _HOUR_S)
        self._by_hour.setdefault(hour, array("q")).extend(map(hash, keys))
        self._unsorted.add(hour)

    def forget(self, before_ts: float) -> None:
        for hour in [hour for hour in self._by_hour if (hour + 1) * _HOUR_S < before_ts]:
            del self._by_hour[hour]
            self._unsorted.discard(hour)

    def __contains__(self, key: str) -> bool:
        for hour in self._unsorted:
            self._by_hour[hour] = array("q", sorted(self._by_hour[hour]))
        self._unsorted.clear()
        wanted = hash(key)
        for hashes in self._by_hour.values():
            place = bisect_left(hashes, wanted)
            if place < len(hashes) and hashes[place] == wanted:
                return True
        return False


class KnownDiffs:
    """The diffs of the compare log, and of the block that is being made, by the ids that they carry.

    `horizon_s` is how far back a diff may be revised; `slack_s` how far a diff may stand from its place in time.
    """

    def __init__(self, log: JsonlLog, horizon_s: float, slack_s: float) -> None:
        self._log = log
        self._horizon_s = horizon_s
        self._slack_s = slack_s
        self._of_the_block: dict[str, Diff] = {}
        self._of_this_run = _Hashes()
        # Of the log as it was when the first late row came, newest first, as far back as was asked for.
        self._of_earlier_runs = _Hashes()
        self._earlier: Iterator[tuple[bytes, _Ids]] | None = None

    def add(self, diff: Diff) -> None:
        """A diff of the block that is being made."""
        for key in _keys(diff.intent_id, None if diff.shadow is None else diff.shadow.attempt_id):
            self._of_the_block[key] = diff

    def end_block(self) -> None:
        """The block was appended to the log."""
        if self._of_the_block:
            times = [diff.ts for diff in self._of_the_block.values()]
            self._of_this_run.add(max(times), self._of_the_block)
            # Late rows come in the order of their times. By the oldest of the block, so that one decision whose clock
            # was ahead does not end the horizon of the others.
            self._of_this_run.forget(min(times) - self._horizon_s - self._slack_s)
        self._of_the_block.clear()

    def find(self, intent_id: str | None, attempt_id: str | None, ts: float) -> Diff | None:
        """The newest diff that carries one of the ids, the intent's first, and is no older than the horizon at `ts`."""
        for key in _keys(intent_id, attempt_id):
            diff = self._of_the_block.get(key)
            if diff is None and (key in self._of_this_run or key in self._of_earlier_runs):
                diff = self._read(key, ts - self._horizon_s)
            elif diff is None:
                diff = self._read_on(key, ts - self._horizon_s)
            if diff is not None and ts - diff.ts <= self._horizon_s:
                return diff
        return None

    def has(self, intent_id: str | None, attempt_id: str | None, ts: float) -> bool:
        """Whether `find` finds one."""
        return self.find(intent_id, attempt_id, ts) is not None

    def _read_on(self, key: str, oldest_ts: float) -> Diff | None:
        """Go back in the log from where the last such search ended: what is late is seldom very late."""
        if self._earlier is None:
            # Late rows come in the order of their times, so the first one asks for the most of the log.
            self._earlier = self._recent(self._log.backward(), oldest_ts)
        for line, row in self._earlier:
            keys = _keys_of(row)
            self._of_earlier_runs.add(row.ts, keys)
            if key in keys:
                return read_diff(self._log, line)
        return None

    def _read(self, key: str, oldest_ts: float) -> Diff | None:
        text = msgspec.json.encode(key[2:])
        # Only lines that hold the id are looked at, and every hundredth, to see how old they are.
        lines = (line for number, line in enumerate(self._log.backward()) if text in line or not number % 100)
        for line, row in self._recent(lines, oldest_ts):
            if key in _keys_of(row):
                return read_diff(self._log, line)
        return None

    def _recent(self, lines: Iterable[bytes], oldest_ts: float) -> Iterator[tuple[bytes, _Ids]]:
        older = 0
        for line in lines:
            if kind_of(line) is not LineKind.INNER:
                continue
            row = _ids_decoder.decode(line)
            older = older + 1 if row.ts < oldest_ts - self._slack_s else 0
            if older > _STRAY_DIFFS:
                return
            yield line, row


def _keys_of(row: _Ids) -> list[str]:
    return _keys(row.intent_id, None if row.shadow is None else row.shadow.attempt_id)


def _keys(intent_id: str | None, attempt_id: str | None) -> list[str]:
    """What finds a diff again. One without a decision is found by its order's, so that it is told once."""
    keys = [] if intent_id is None else [f"i:{intent_id}"]
    return keys if attempt_id is None else [*keys, f"a:{attempt_id}"]
