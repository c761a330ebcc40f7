"""The newest days of a desk's own logs, as the drill spoils them. They are only read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.simulator.drill_fault import Window
from pipeline_v6_dagster.simulator.log_rows import ATTEMPTS, METRICS, ORDERS, POSITIONS, VETOES
from pipeline_v6_dagster.simulator.orders import LogLine, Row
from pipeline_v6_dagster.sources.decoding import epoch_s
from pipeline_v6_dagster.sources.merge_by_time import OrderedRows, in_time_order
from pipeline_v6_dagster.storage.follow import Follower

DAY_S = 86_400.0
# Each fault decides and compares the whole history again: more attempts would take hours.
MOST_ATTEMPTS = 10_000
_NEWEST_ATTEMPTS = 250
_OLDEST_SHARE = 0.1
_LAST_DAYS = 3
# An order needs so many match tolerances until its decision is settled, whatever it does.
_SETTLED_TOLERANCES = 2.5

_row_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class History:
    """Rows of all logs in time order, each log's in its own order; `attempt_ts` are the log times of the attempts."""

    lines: tuple[LogLine, ...]
    attempt_ts: tuple[float, ...]

    @property
    def first_ts(self) -> float:
        """When the first attempt was logged, epoch s."""
        return self.attempt_ts[0]

    @property
    def last_ts(self) -> float:
        """When the last attempt was logged, epoch s."""
        return self.attempt_ts[-1]

    def span(self, window: Window, tolerance_s: float) -> tuple[float, float]:
        """From when to when (epoch s) a fault with that window may begin."""
        settled_ts = self.last_ts - _SETTLED_TOLERANCES * tolerance_s
        match window:
            case Window.OLDEST:
                return -inf, self.first_ts + _OLDEST_SHARE * (self.last_ts - self.first_ts)
            case Window.NEWEST:
                return self.attempt_ts[-min(_NEWEST_ATTEMPTS, len(self.attempt_ts))], inf
            case Window.ALL_BUT_3_DAYS:
                return -inf, self.last_ts - _LAST_DAYS * DAY_S
            case Window.TO_THE_END:
                return -inf, inf
            case Window.ALL:
                return -inf, settled_ts

    def part(self, number: int, parts: int) -> tuple[LogLine, ...]:
        """The rows of one of so many equal stretches of time, counted from 0."""
        bounds = [self.first_ts + (self.last_ts - self.first_ts) * at / parts for at in (number, number + 1)]
        low = -inf if number == 0 else bounds[0]
        high = inf if number == parts - 1 else bounds[1]
        return tuple(line for line in self.lines if low < line.ts <= high)


def input_paths(settings: Settings) -> dict[str, Path]:
    """Where each log of the executor stands."""
    return {
        ATTEMPTS: settings.order_attempts,
        ORDERS: settings.orders_executed,
        METRICS: settings.order_metrics,
        VETOES: settings.risk_vetoes,
        POSITIONS: settings.position_state,
    }


def read_history(settings: Settings, days: float, now: float) -> History | None:
    """The newest `days` of the logs, up to the last attempt, at most `MOST_ATTEMPTS` attempts; None without one.

    A row that is ahead of `now` (epoch s) counts as of it, unless the newest attempt and the newest order both are.

    Raises:
        StorageError: a log cannot be read.
    """
    rows = {log: list(_read_log(path)) for log, path in input_paths(settings).items()}
    latest_ts = max(now, min(_newest_ts(rows[ATTEMPTS]), _newest_ts(rows[ORDERS])))
    logs = {log: _in_order(log, each, latest_ts) for log, each in rows.items()}
    attempt_ts = [line.ts for line in logs[ATTEMPTS] if line.row]
    if not attempt_ts:
        return None
    from_ts = attempt_ts[-1] - days * DAY_S
    if len(attempt_ts) > MOST_ATTEMPTS:
        from_ts = max(from_ts, attempt_ts[-MOST_ATTEMPTS])
    held = _last_positions(logs[POSITIONS], from_ts)
    kept = {log: [line for line in lines if line.ts >= from_ts] for log, lines in logs.items()}
    kept[POSITIONS] = held + kept[POSITIONS]
    lines = tuple(merge(*kept.values(), key=lambda line: line.ts))
    return History(lines, tuple(line.ts for line in kept[ATTEMPTS] if line.row))


def _last_positions(lines: list[LogLine], before_ts: float) -> list[LogLine]:
    """What was held when the history begins: the last snapshot of each position before it."""
    last: dict[tuple[object, object], LogLine] = {}
    for line in lines:
        if line.ts < before_ts and line.row:
            last[line.row.get("symbol"), line.row.get("mode") or line.row.get("positionSide")] = line
    return sorted(last.values(), key=lambda line: line.ts)


def _read_log(path: Path) -> Iterator[tuple[float, Row, bytes]]:
    """(time, row, line) of all lines that are left of a log, oldest first.

    One that is no row keeps its place and has no fields; one without a time has that of the row before it.
    """
    last_ts = -inf
    with Follower(path, None, with_archives=True) as follower:
        for line in follower.lines():
            row, ts = _row(line.raw)
            last_ts = last_ts if ts is None else ts
            yield last_ts, row, line.raw


def _newest_ts(rows: Sequence[tuple[float, Row, bytes]]) -> float:
    return rows[-1][0] if rows else -inf


def _in_order(log: str, rows: Sequence[tuple[float, Row, bytes]], latest_ts: float) -> list[LogLine]:
    """The rows of a log, each at a time that is not before that of the row above it.

    A clock that was wrong for a few rows moves no other row.
    """
    timed = ([min(ts, latest_ts), row, raw] for ts, row, raw in rows)
    return [LogLine(log, ts, row, raw) for ts, row, raw in in_time_order([OrderedRows(timed)])]


def _row(raw: bytes) -> tuple[Row, float | None]:
    try:
        row: Any = _row_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}, None
    if not isinstance(row, dict):
        return {}, None
    for name in ("ts", "local_ts"):
        value = row.get(name)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            ts = epoch_s(value)
            if ts is not None:
                return row, ts
    return row, None
