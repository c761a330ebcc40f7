"""The inputs of a comparison, merged by time, each read from where the cursor left it."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Self, TypeVar

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.live import OrderEvent, Veto
from pipeline_v6_dagster.domain.quality import Unusable
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

_LOOKAHEAD_ROWS = 64

Record = ShadowSide | OrderEvent | Veto
Parsed = TypeVar("Parsed", ShadowRow, OrderEvent, Veto)


@dataclass(slots=True)
class Item:
    """One usable record, or (with no record) the end of an input. `counts` covers it and the lines before it."""

    ts: float
    name: str
    record: Record | None
    line: Line | None
    lines: int
    unusable: Counter[str]
    skipped_attempts: Counter[str]


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
        """The logs that are not there."""
        return [follower.path for follower in self._followers.values() if follower.is_missing]

    def records(self, stop_before: float) -> Iterator[tuple[float, Record]]:
        """The records up to the first one at or after `stop_before`; what is not yielded stays unread."""
        streams = [
            self._read(SHADOW_LOG, _parse_decision, lambda row: row.decision.as_of),
            self._read(ORDERS, lambda line: parse_order_event(line.raw), lambda event: event.ts),
            self._read(VETOES, lambda line: parse_veto(line.raw), lambda veto: veto.ts),
        ]
        for item in merge(*map(_in_order, streams), key=lambda item: item.ts):
            if item.record is not None and item.ts >= stop_before:
                return
            self._count(item)
            if item.record is not None:
                yield item.ts, item.record

    def advance_cursor(self) -> None:
        """Write what was read into the cursor."""
        for name, line in self._last_lines.items():
            self._cursor.read[name] = line.position()

    def _read(
        self,
        name: str,
        parse: Callable[[Line], Parsed | Unusable],
        ts_of: Callable[[Parsed], float],
    ) -> Iterator[Item]:
        follower = self._followers[name]
        lines, unusable = 0, Counter[str]()
        line = None
        for line in follower.lines():
            # What follows the last line is counted when another line comes, for only then is it dealt with.
            unusable += follower.rejected
            lines += 1 + follower.rejected.total()
            follower.rejected.clear()
            parsed = parse(line)
            if isinstance(parsed, Unusable):
                unusable[parsed.kind] += 1
                continue
            record: Record
            skipped = Counter[str]()
            if isinstance(parsed, ShadowRow):
                record, skipped = parsed.decision, Counter(parsed.skipped)
            else:
                record = parsed
            yield Item(min(ts_of(parsed), self._now), name, record, line, lines, unusable, skipped)
            lines, unusable = 0, Counter[str]()
        yield Item(self._now, name, None, line, lines, unusable, Counter())

    def _count(self, item: Item) -> None:
        counts = self._cursor.counts.setdefault(item.name, InputCounts())
        counts.lines += item.lines
        _add(counts, item.unusable)
        follower = self._followers[item.name]
        if item.name == SHADOW_LOG and self._is_shadow_ours and follower.is_position_lost:
            # All of it would be compared a second time, with live evidence that was used up the first time.
            raise DataError(
                f"{follower.path}: is not the log that was compared so far; run pipeline-v6 compare --rebuild"
            )
        counts.is_position_lost = counts.is_position_lost or follower.is_position_lost
        if item.line is not None:
            self._last_lines[item.name] = item.line
        if isinstance(item.record, ShadowSide):
            attempts = self._cursor.counts.setdefault(ATTEMPTS, InputCounts())
            attempts.lines += 1 + item.skipped_attempts.total()
            _add(attempts, item.skipped_attempts)


def _add(counts: InputCounts, unusable: Counter[str]) -> None:
    for kind, count in unusable.items():
        counts.unusable[kind] = counts.unusable.get(kind, 0) + count


def _in_order(items: Iterator[Item]) -> Iterator[Item]:
    """A row whose clock ran ahead counts as of the rows after it, so that it does not hold them up."""
    window: deque[Item] = deque()
    for item in items:
        for earlier in reversed(window):
            if earlier.ts <= item.ts:
                break
            earlier.ts = item.ts
        window.append(item)
        if len(window) > _LOOKAHEAD_ROWS:
            yield window.popleft()
    yield from window


def _parse_decision(line: Line) -> ShadowRow | Unusable:
    return parse_shadow_row(line.raw, fallback_id=line.position().digest)


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
