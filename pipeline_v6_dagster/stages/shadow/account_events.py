"""The live logs as the shadow sees them: one stream of account events in the order of time, read as far as asked for.

What is logged after an attempt is not read for it, so that each decision sees what was known when it was made, and a
run that comes later goes on from there.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Self

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.account_events import AccountEvent
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.sources.account import account_event
from pipeline_v6_dagster.sources.merge_by_time import OrderedRows, Timed, in_time_order
from pipeline_v6_dagster.sources.metrics import execution_metrics, parse_order_metrics
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.positions import parse_positions
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster.storage.follow import Follower, Line, LogOffset

# A clock that is set back by more than this was wrong before: the rows of that time count as of those after them. It is
# less than the hour of a time zone or of daylight saving time, and more than the rows of a log are out of order.
CLOCK_ERROR_S = 1800.0
_NEVER = float("inf")

# Neither what stands for a feed that was not read yet nor the row after the last holds an event.
_START: Timed = [-_NEVER]
_END: Timed = [_NEVER]

_Parse = Callable[[bytes], AccountEvent | None]


def _order(line: bytes) -> AccountEvent | None:
    event = parse_order_event(line)
    return None if isinstance(event, Unusable) else account_event(event)


def _metrics(line: bytes) -> AccountEvent | None:
    row = parse_order_metrics(line)
    return None if isinstance(row, Unusable) else execution_metrics(row)


def _positions(line: bytes) -> AccountEvent | None:
    seen = parse_positions(line)
    return None if isinstance(seen, Unusable) else seen


def _vetoes(line: bytes) -> AccountEvent | None:
    veto = parse_veto(line)
    return None if isinstance(veto, Unusable) else veto


def _rows(name: str, follower: Follower, parse: _Parse, known_until: float) -> Iterator[Timed]:
    """[time, event, log, line] of each row that tells something."""
    for line in follower.lines():
        event = parse(line.raw)
        # Where the place could not be found again, time tells what the state knows already.
        if event is not None and not (follower.is_offset_lost and event.ts <= known_until):
            yield [event.ts, event, name, line]


class AccountFeed:
    """Account events after `read`, merged by time. A context manager: it holds the files open.

    `known_until` (epoch s) is the time up to which the state knows them: where the place in a log is lost, what is
    not newer is skipped.
    """

    def __init__(self, settings: Settings, read: Mapping[str, LogOffset], known_until: float) -> None:
        self.taken = 0
        self._read = read
        self._last_lines: dict[str, Line] = {}
        self._stack = ExitStack()
        self._followers: dict[str, Follower] = {}
        logs: list[OrderedRows] = []
        for name, path, parse in (
            ("orders_executed", settings.orders_executed, _order),
            ("position_state", settings.position_state, _positions),
            ("order_metrics", settings.order_metrics, _metrics),
            ("risk_vetoes", settings.risk_vetoes, _vetoes),
        ):
            follower = self._followers[name] = Follower(path, read.get(name))
            logs.append(OrderedRows(_rows(name, follower, parse, known_until), CLOCK_ERROR_S))
        self._events = in_time_order(logs)
        self._next = _START

    def __enter__(self) -> Self:
        for follower in self._followers.values():
            self._stack.enter_context(follower)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def until(self, as_of: float, take: Callable[[AccountEvent], None]) -> None:
        """`take` the events that were logged by `as_of` and not taken before."""
        events, last_lines, taken = self._events, self._last_lines, 0
        following = next(events, _END) if self._next is _START else self._next
        while following[0] <= as_of:
            ts, event, name, line = following
            if event.ts > ts:  # Else what is kept of it would be newer than all that follows.
                event.ts = ts
            take(event)
            taken += 1
            last_lines[name] = line
            following = next(events, _END)
        self.taken += taken
        self._next = following

    def read_to(self) -> dict[str, LogOffset]:
        """Where each log was read to."""
        places = dict(self._read)
        for name, line in self._last_lines.items():
            places[name] = line.offset()
        return places

    @property
    def lost(self) -> tuple[str, ...]:
        """The logs in which the place to go on from was not found: what was logged around it is not known."""
        return tuple(name for name, follower in self._followers.items() if follower.is_offset_lost)
