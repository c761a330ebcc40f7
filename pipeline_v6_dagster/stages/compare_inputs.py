"""The inputs of a comparison, merged by time, each read from where the cursor left it."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import merge
from math import inf
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Self

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.live import Arrival, OrderEvent, Veto
from pipeline_v6_dagster.domain.quality import Rejection, Unusable
from pipeline_v6_dagster.sources.arrivals import parse_arrival
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.shadow_log import ShadowRow, parse_shadow_row
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster.stages.compare_log import Cursor, InputCounts, read_positions_backward
from pipeline_v6_dagster.stages.shadow import follow_attempts, open_shadow_log
from pipeline_v6_dagster.storage.follow import Follower, Line
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog

SHADOW_LOG = "shadow_log"
ATTEMPTS = "order_attempts"
ORDERS = "orders_executed"
VETOES = "risk_vetoes"
METRICS = "order_metrics"

_LOOKAHEAD_ROWS = 64

Record = ShadowSide | OrderEvent | Veto | Arrival


class _Row(NamedTuple):
    """One usable row, or (with no record) the end of an input. `lines` and `unusable` count it and those before it."""

    name: str
    record: Any
    line: Line | None
    lines: int
    unusable: Counter[str] | None


# [time, rank of its input, number in its input, row]: rows compare without ever looking at the row itself. A list,
# because the time of a row whose clock ran ahead is put right.
_Timed = list[Any]


class CompareInputs:
    """Decisions, order events and vetoes that the cursor has not seen, in the order of their times.

    Of equal times decisions come first, so that an order meets its decision. A row from the future (a clock
    that is ahead) counts as of `now`, so that it holds nothing up.
    """

    def __init__(self, settings: Settings, log: JsonlLog, cursor: Cursor, now: float) -> None:
        self._cursor = cursor
        self._now = now
        self._is_shadow_ours = settings.shadow_source is ShadowSource.INTERNAL
        self._followers = {
            name: Follower(
                path,
                cursor.read.get(name),
                earlier=read_positions_backward(log, name),
                with_archives=path == settings.shadow_log,
            )
            for name, path in (
                (SHADOW_LOG, settings.shadow_log),
                (ORDERS, settings.orders_executed),
                (VETOES, settings.risk_vetoes),
                (METRICS, settings.order_metrics),
            )
        }
        self._stack = ExitStack()
        self._last_lines: dict[str, Line] = {}

    def __enter__(self) -> Self:
        for follower in self._followers.values():
            self._stack.enter_context(follower)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def missing(self) -> list[Path]:
        """The logs that are not there. Metrics are no evidence that a decision waits for."""
        return [follower.path for name, follower in self._followers.items() if follower.is_missing and name != METRICS]

    def records(self, stop_before: float | None) -> Iterator[tuple[float, Record]]:
        """The records up to the first one at or after `stop_before`; what is not yielded stays unread."""
        streams = [
            self._read(SHADOW_LOG, 0, _parse_decision, attrgetter("decision.as_of")),
            self._read(ORDERS, 1, lambda line: parse_order_event(line.raw), attrgetter("ts")),
            self._read(VETOES, 2, lambda line: parse_veto(line.raw), attrgetter("ts")),
            self._read(METRICS, 3, lambda line: parse_arrival(line.raw), attrgetter("ts")),
        ]
        stop = inf if stop_before is None else stop_before
        row: _Row
        for ts, _, _, row in merge(*map(_in_order, streams)):
            record = row.record
            if record is None:
                self._count(row)
                continue
            if ts >= stop:
                return
            self._count(row)
            yield ts, record.decision if type(record) is ShadowRow else record

    def advance_cursor(self) -> None:
        """Write what was read into the cursor."""
        for name, line in self._last_lines.items():
            self._cursor.read[name] = line.position()

    def _read(
        self, name: str, rank: int, parse: Callable[[Line], Any], ts_of: Callable[[Any], float]
    ) -> Iterator[_Timed]:
        follower, now = self._followers[name], self._now
        rejected = follower.rejected
        lines, number = 0, 0
        unusable: Counter[str] | None = None
        line = None
        for line in follower.lines():
            lines += 1
            if rejected:
                # What follows the last line is counted when another line comes, for only then is it dealt with.
                lines += rejected.total()
                unusable = (unusable or Counter()) + rejected
                rejected.clear()
            parsed = parse(line)
            if type(parsed) is Unusable:
                unusable = Counter() if unusable is None else unusable
                unusable[parsed.kind] += 1
                continue
            ts = ts_of(parsed)
            number += 1
            yield [ts if ts < now else now, rank, number, _Row(name, parsed, line, lines, unusable)]
            lines, unusable = 0, None
        yield [now, rank, inf, _Row(name, None, line, lines, unusable)]

    def _count(self, row: _Row) -> None:
        name = row.name
        counts = self._cursor.counts.get(name)
        if counts is None:
            counts = self._cursor.counts[name] = InputCounts()
        if name not in self._last_lines:
            self._check_position(name, counts)
        counts.add(row.lines, row.unusable)
        if row.line is not None:
            if name not in self._last_lines:  # Once, for from here on there is another position.
                counts.lost_bytes += self._followers[name].lost_bytes
            self._last_lines[name] = row.line
        if type(row.record) is ShadowRow:
            attempts = self._cursor.counts.setdefault(ATTEMPTS, InputCounts())
            skipped = row.record.skipped
            attempts.add(1 + sum(skipped.values()), skipped)

    def _check_position(self, name: str, counts: InputCounts) -> None:
        follower = self._followers[name]
        if name == SHADOW_LOG and self._is_shadow_ours and follower.is_position_lost:
            # All of it would be compared a second time, with live evidence that was used up the first time.
            raise DataError(
                f"{follower.path}: is not the log that was compared so far; run pipeline-v6 compare --rebuild"
            )
        counts.is_position_lost = counts.is_position_lost or follower.is_position_lost


def _in_order(items: Iterator[_Timed]) -> Iterator[_Timed]:
    """A row whose clock ran ahead counts as of the rows after it, so that it does not hold them up."""
    window: deque[_Timed] = deque()
    newest_ts = 0.0
    for item in items:
        ts = item[0]
        if ts < newest_ts:
            for earlier in reversed(window):
                if earlier[0] <= ts:
                    break
                earlier[0] = ts
        newest_ts = ts
        window.append(item)
        if len(window) > _LOOKAHEAD_ROWS:
            yield window.popleft()
    yield from window


def _parse_decision(line: Line) -> ShadowRow | Unusable:
    row = parse_shadow_row(line.raw)
    if type(row) is Unusable and row.kind is Rejection.BAD_FIELD:
        return parse_shadow_row(line.raw, fallback_id=line.position().digest)
    return row


def first_undecided_ts(settings: Settings) -> float | None:
    """As-of time of the first attempt that the shadow has not decided; None where there is none.

    Nothing from there on can be settled: a decision that is still to come may explain it.
    """
    if settings.shadow_source is ShadowSource.EXTERNAL:
        return None
    with follow_attempts(settings, open_shadow_log(settings)) as follower:
        for line in follower.lines():
            attempt = parse_attempt(line.raw)
            if isinstance(attempt, Attempt):
                return attempt.as_of
    return None
