"""The inputs of a comparison, merged by time, each read from where the cursor left it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, Self

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.account_events import PositionsSnapshot
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.limits import KnownRows
from pipeline_v6_dagster.domain.live import Arrival, OrderEvent, Veto
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.logs.compare_log import DROPPED_ORDER_ROW, Cursor, InputCounts, read_offsets_backward
from pipeline_v6_dagster.logs.external_rows import parse_external_row
from pipeline_v6_dagster.logs.shadow_rows import ShadowRow
from pipeline_v6_dagster.sources.merge_by_time import OrderedRows, Timed, in_time_order
from pipeline_v6_dagster.sources.metrics import parse_arrival
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.positions import parse_positions
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster.storage.follow import Follower, Line, LogOffset
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog

SHADOW_LOG = "shadow_log"
ATTEMPTS = "order_attempts"
ORDERS = "orders_executed"
VETOES = "risk_vetoes"
METRICS = "order_metrics"
POSITIONS = "position_state"
# No evidence that a decision waits for.
_OPTIONAL = frozenset({METRICS, POSITIONS})


class Decisions(NamedTuple):
    """Decisions that are in no log. `read_to` is where the attempt of the last one stands."""

    rows: Sequence[ShadowRow]
    read_to: LogOffset | None


Record = ShadowSide | OrderEvent | Veto | Arrival | PositionsSnapshot


class _Input:
    """One log: where it is read, and how far what was read of it is dealt with.

    `usable_lines` counts what is dealt with and not in the cursor yet: lines with nothing unusable before them.
    """

    def __init__(self, name: str, follower: Follower) -> None:
        self.name = name
        self.follower = follower
        self.last_line: Line | None = None
        self.counts: InputCounts | None = None
        self.is_edited = False
        self.usable_lines = 0

    def start(self, counts: InputCounts) -> None:
        """Its first row is dealt with."""
        self.counts = counts

    def flush(self) -> None:
        """Write what was counted into the cursor."""
        if self.counts is not None:
            self.counts.add_usable(self.usable_lines)
            self.usable_lines = 0


class CompareInputs:
    """Decisions, order events and vetoes that the cursor has not seen, in the order of their times.

    Of equal times decisions come first, so that an order meets its decision. A row from the future (a clock
    that is ahead) counts as of `now`, so that it holds nothing up. `decisions` are those of the shadow log where it
    need not be read.
    """

    def __init__(
        self,
        settings: Settings,
        log: JsonlLog,
        cursor: Cursor,
        now: float,
        known_rows: KnownRows,
        decisions: Decisions | None = None,
    ) -> None:
        self._known_rows = known_rows
        self._read_before = dict(cursor.read)
        self.row_count = 0  # since the cursor was advanced
        self._cursor = cursor
        self._decisions = decisions
        self._now = now
        self._is_shadow_ours = settings.shadow_source is ShadowSource.INTERNAL
        self._inputs = {
            name: _Input(
                name,
                Follower(
                    path,
                    cursor.read.get(name),
                    earlier=read_offsets_backward(log, name),
                    with_archives=path == settings.shadow_log,
                ),
            )
            for name, path in (
                (SHADOW_LOG, settings.shadow_log),
                (ORDERS, settings.orders_executed),
                (VETOES, settings.risk_vetoes),
                (METRICS, settings.order_metrics),
                (POSITIONS, settings.position_state),
            )
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for name, source in self._inputs.items():
            self._stack.enter_context(source.follower)
            source.is_edited = is_edited(source.follower, self._cursor, name)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def missing(self) -> list[Path]:
        """The logs that are not there, of those that a decision waits for."""
        followers = [source.follower for name, source in self._inputs.items() if name not in _OPTIONAL]
        return [follower.path for follower in followers if follower.is_missing]

    def records(self, stop_before: float | None) -> Iterator[tuple[float, Record]]:
        """The records up to the first one at or after `stop_before`; what is not yielded stays unread."""
        logs = [
            self._read(SHADOW_LOG, parse_external_row)
            if self._decisions is None
            else self._given(self._decisions.rows),
            self._read(ORDERS, parse_order_event),
            self._read(VETOES, parse_veto),
            self._read(METRICS, parse_arrival),
            self._read(POSITIONS, parse_positions),
        ]
        stop = inf if stop_before is None else stop_before
        for ts, source, record, line, lines, unusable in in_time_order([OrderedRows(rows) for rows in logs]):
            if record is not None and ts >= stop:
                return
            self.row_count += 1
            counts = source.counts or self._start(source)
            if lines == 1 and unusable is None:
                source.usable_lines += 1
            else:
                source.flush()
                counts.add(lines, unusable)
            if line is not None:
                source.last_line = line
            if record is not None:
                counts.newest_ts = record.ts
                if type(record) is ShadowRow:
                    self._count_attempts(record)
                    yield ts, record.decision
                else:
                    yield ts, record

    def losses(self) -> Iterator[tuple[str, str, int]]:
        """(input, digest of the last line read before, bytes) of each input that is not what was read, or is damaged.

        The digest is empty if nothing had been read.
        """
        for name, source in self._inputs.items():
            after, follower = self._read_before.get(name), source.follower
            if follower.is_offset_lost or follower.damaged or source.is_edited:
                yield name, "" if after is None else after.digest, follower.lost_bytes

    def advance_cursor(self) -> None:
        """Write what was read into the cursor."""
        self.row_count = 0
        for name, source in self._inputs.items():
            source.flush()
            if source.last_line is not None:
                self._cursor.read[name] = source.last_line.offset()
                hash_tail(source.follower, self._cursor, name)

    def _read(self, name: str, parse: Callable[[bytes], Any]) -> Iterator[Timed]:
        """[time, input, record, its line, lines, unusable] of each usable row, and at the end one without a record.

        The last two count the row and those before it that were not usable.
        """
        source, now = self._inputs[name], self._now
        follower = source.follower
        rejected = follower.rejected
        lines = 0
        unusable: Counter[str] | None = None
        line = None
        for line in follower.lines():
            lines += 1
            if rejected:
                # What follows the last line is counted when another line comes, for only then is it dealt with.
                lines += rejected.total()
                unusable = (unusable or Counter()) + rejected
                rejected.clear()
            parsed = parse(line.raw)
            if type(parsed) is Unusable:
                unusable = Counter() if unusable is None else unusable
                unusable[parsed.kind] += 1
                if parsed.is_order_evidence and not self._known_rows.includes(parsed.event_type, parsed.strategy):
                    unusable[DROPPED_ORDER_ROW] += 1
                continue
            ts = parsed.ts
            yield [ts if ts < now else now, source, parsed, line, lines, unusable]
            lines, unusable = 0, None
        yield [now, source, None, line, lines, unusable]

    def _given(self, decisions: Sequence[ShadowRow]) -> Iterator[Timed]:
        """As `_read`, of decisions that are in no file."""
        source, now = self._inputs[SHADOW_LOG], self._now
        for row in decisions:
            ts = row.decision.as_of
            yield [ts if ts < now else now, source, row, None, 1, None]
        yield [now, source, None, None, 0, None]

    def _start(self, source: _Input) -> InputCounts:
        follower = source.follower
        if source.name == SHADOW_LOG and self._is_shadow_ours and follower.is_offset_lost:
            # All of it would be compared a second time, with live evidence that was used up the first time.
            raise DataError(
                f"{follower.path}: is not the log that was compared so far; run pipeline-v6 compare --rebuild"
            )
        counts = self._cursor.counts.setdefault(source.name, InputCounts())
        source.start(counts)
        return counts

    def _count_attempts(self, row: ShadowRow) -> None:
        """The attempt of a decision, and what was unusable or gone before it."""
        attempts = self._cursor.counts.setdefault(ATTEMPTS, InputCounts())
        attempts.add(1 + sum(row.skipped.values()), row.skipped)
        attempts.newest_ts = row.decision.as_of
        if row.lost_bytes is not None:
            attempts.is_offset_lost = True
            attempts.lost_bytes += row.lost_bytes


def is_edited(follower: Follower, cursor: Cursor, name: str) -> bool:
    """Whether the newest bytes that the cursor has read of an input are not the same any more.

    Raises:
        StorageError: a file cannot be read.
    """
    read, before = cursor.read.get(name), cursor.tails.get(name)
    return read is not None and before is not None and follower.hash_tail(read) not in (None, before)


def hash_tail(follower: Follower, cursor: Cursor, name: str) -> None:
    """Write into the cursor by what an edit of the input will show.

    Raises:
        StorageError: a file cannot be read.
    """
    tail = follower.hash_tail(cursor.read[name])
    if tail is not None:
        cursor.tails[name] = tail
