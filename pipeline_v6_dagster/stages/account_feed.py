"""The live logs as the shadow sees them: one stream of account events in the order of time, read as far as asked for.

What is logged after an attempt is not read for it, so that each decision sees what was known when it was made, and a
run that comes later goes on from there.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Self

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.account import AccountEvent
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.sources.account import parse_metrics, parse_order
from pipeline_v6_dagster.sources.positions import parse_positions
from pipeline_v6_dagster.sources.shadow_log import ReadTo
from pipeline_v6_dagster.storage.follow import Follower, Line, Position

# A clock that is set back by more than this was wrong before: the rows of that time count as of those after them.
_CLOCK_ERROR_S = 3600.0
_LOOKAHEAD_ROWS = 64
_NEVER = float("inf")

_Parse = Callable[[bytes], AccountEvent | None]
_Timed = tuple[float, AccountEvent, Line]
_END = (_NEVER, None, None)


def _parse_positions(line: bytes) -> AccountEvent | None:
    seen = parse_positions(line)
    return None if isinstance(seen, Unusable) else seen


class _Stream:
    """One log. `ts` is when its next event counts, infinity at the end of what is there now."""

    def __init__(self, follower: Follower, parse: _Parse, known_until: float) -> None:
        self.ts = -_NEVER
        self.event: AccountEvent | None = None
        self.last_line: Line | None = None
        self._line: Line | None = None
        self._events = self._in_order(follower, parse, known_until)

    def advance(self) -> None:
        """Take the event, if there is one, and look at the one after it."""
        if self.event is not None:
            self.last_line = self._line
        self.ts, self.event, self._line = next(self._events, _END)

    @staticmethod
    def _in_order(follower: Follower, parse: _Parse, known_until: float) -> Iterator[_Timed]:
        """When each event counts: its own time, or that of the rows after it where the clock was ahead."""
        window: deque[_Timed] = deque()
        newest = -_NEVER
        for line in follower.lines():
            event = parse(line.raw)
            if event is None:
                continue
            ts = event.ts
            # Where the place could not be found again, time tells what the state knows already.
            if ts <= known_until and follower.is_position_lost:
                continue
            if ts < newest - _CLOCK_ERROR_S:
                window = deque(
                    (min(earlier[0], ts) if earlier[0] > ts + _CLOCK_ERROR_S else earlier[0], *earlier[1:])
                    for earlier in window
                )
                newest = max((earlier[0] for earlier in window), default=ts)
            newest = max(newest, ts)
            window.append((ts, event, line))
            if len(window) > _LOOKAHEAD_ROWS:
                yield window.popleft()
        yield from window


class AccountFeed:
    """Account events after `read`, merged by time. A context manager: it holds the files open.

    `known_until` (epoch s) is the time up to which the state knows them: where the place in a log is lost, what is
    not newer is skipped.
    """

    def __init__(self, settings: Settings, read: Mapping[str, ReadTo], known_until: float) -> None:
        self.taken = 0
        self._next_ts = -_NEVER
        self._read = read
        self._stack = ExitStack()
        self._followers: dict[str, Follower] = {}
        self._streams: dict[str, _Stream] = {}
        for name, path, parse in (
            ("orders_executed", settings.orders_executed, parse_order),
            ("position_state", settings.position_state, _parse_positions),
            ("order_metrics", settings.order_metrics, parse_metrics),
        ):
            place = read.get(name)
            position = None if place is None else Position(place.head, place.start, place.end, place.digest)
            self._followers[name] = Follower(path, position)
            self._streams[name] = _Stream(self._followers[name], parse, known_until)

    def __enter__(self) -> Self:
        for follower in self._followers.values():
            self._stack.enter_context(follower)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def until(self, as_of: float, take: Callable[[AccountEvent], None]) -> None:
        """`take` the events that were logged by `as_of` and not taken before."""
        if self._next_ts > as_of:
            return
        streams = list(self._streams.values())
        for stream in streams:
            if stream.ts == -_NEVER:
                stream.advance()
        while True:
            earliest = streams[0]
            for stream in streams:
                if stream.ts < earliest.ts:
                    earliest = stream
            event = earliest.event
            if event is None or earliest.ts > as_of:
                self._next_ts = earliest.ts
                return
            take(event)
            self.taken += 1
            earliest.advance()

    def read_to(self) -> dict[str, ReadTo]:
        """Where each log was read to."""
        places = dict(self._read)
        for name, stream in self._streams.items():
            if stream.last_line is not None:
                position = stream.last_line.position()
                places[name] = ReadTo(position.head, position.start, position.end, position.digest)
        return places

    @property
    def lost(self) -> tuple[str, ...]:
        """The logs in which the place to go on from was not found: what was logged around it is not known."""
        return tuple(name for name, follower in self._followers.items() if follower.is_position_lost)
