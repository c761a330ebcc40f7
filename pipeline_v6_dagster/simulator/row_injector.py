"""Putting one fault into the rows of an executor's logs, simulated or real. Pure: the same seed, the same rows.

A fault chooses orders and rewrites their rows as they come by, so it works on a feed without an end as well as on a
history. Rows that a fault delays wait for their time. What each fault does to a row is `simulator.live_faults` and
`simulator.log_faults`; which faults there are is `simulator.fault_table`.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import TypeVar

from pipeline_v6_dagster.simulator.faults import Injected
from pipeline_v6_dagster.simulator.log_rows import ATTEMPTS, key
from pipeline_v6_dagster.simulator.orders import LogLine, Row

_Value = TypeVar("_Value")
# Orders of which attempt and fate are remembered; far more than are under way at a time.
_REMEMBERED = 20_000


@dataclass(slots=True, kw_only=True)
class Target:
    """One order that a fault has chosen. `attempt` is what was asked for, None where no row said so.

    `symbols` are those seen so far, `memo` is what the fault keeps for itself between two rows of the order.
    """

    key: str
    attempt: Row | None
    symbols: Collection[str]
    rng: random.Random
    memo: dict[str, object] = field(default_factory=dict)


Starts = Callable[[LogLine, Row | None], bool]
Spoil = Callable[[LogLine, Target], Iterable[LogLine]]


@dataclass(frozen=True, slots=True)
class RowFault:
    """What a fault does to rows.

    Args:
        starts: whether it can begin with a row, given the attempt that the row answers.
        spoil: the rows in the place of a row of a chosen order, the one with which it began included.
        burst: how many orders in a row it takes once it has taken one.
        one_symbol: whether it begins with orders of one symbol only, the first that is attempted.
    """

    starts: Starts
    spoil: Spoil
    burst: int = 1
    one_symbol: bool = False


class RowInjector:
    """One fault at work. Rows go in in log order and come out as they were, but for those of the orders it chose.

    Args:
        name: the fault, as the truth calls it.
        fault: what it does.
        rng: decides which orders, and what else is left to chance.
        share: of the orders with which it can begin, so many are chosen.
        keys: choose exactly these instead.
        among: only these can be chosen; None for all.
        from_ts, until_ts: only orders that begin between these (epoch s).
    """

    def __init__(
        self,
        name: str,
        fault: RowFault,
        rng: random.Random,
        *,
        share: float = 1.0,
        keys: Collection[str] | None = None,
        among: Collection[str] | None = None,
        from_ts: float = -inf,
        until_ts: float = inf,
    ) -> None:
        self.injected: list[Injected] = []
        self.changed: dict[str, None] = {}
        self._name, self._fault, self._rng = name, fault, rng
        self._share, self._keys, self._from_ts, self._until_ts = share, keys, from_ts, until_ts
        self._among = among
        self._burst_left = 0
        self._symbols: dict[str, None] = {}
        self._attempts: OrderedDict[str, Row] = OrderedDict()
        self._targets: OrderedDict[str, Target | None] = OrderedDict()
        self._delayed: list[tuple[float, int, LogLine]] = []
        self._count = 0

    def apply(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        """The rows with the fault in them. Rows that it delays beyond the last one stay until a later call."""
        for line in lines:
            while self._delayed and self._delayed[0][0] <= line.ts:
                yield heappop(self._delayed)[2]
            for spoilt in self._spoil(line):
                if spoilt.ts > line.ts:
                    self._count += 1
                    heappush(self._delayed, (spoilt.ts, self._count, spoilt))
                else:
                    yield spoilt

    def rest(self) -> Iterator[LogLine]:
        """What is still delayed, in time order."""
        while self._delayed:
            yield heappop(self._delayed)[2]

    def _spoil(self, line: LogLine) -> Iterable[LogLine]:
        name = key(line)
        symbol = line.row.get("symbol")
        if isinstance(symbol, str) and line.log == ATTEMPTS:
            self._symbols[symbol] = None
        if name is None:
            return (line,)
        if line.log == ATTEMPTS:
            _remember(self._attempts, name, line.row)
        attempt = self._attempts.get(name)
        if name not in self._targets:
            if not self._can_start(line, attempt):
                return (line,)
            target = (
                Target(key=name, attempt=attempt, symbols=tuple(self._symbols), rng=self._rng)
                if self._chooses(name)
                else None
            )
            _remember(self._targets, name, target)
            if target is not None:
                found = symbol if isinstance(symbol, str) else None
                self.injected.append(Injected(fault=self._name, ts=line.ts, log=line.log, symbol=found, intent_id=name))
        target = self._targets[name]
        if target is None:
            return (line,)
        spoilt = tuple(self._fault.spoil(line, target))
        if len(spoilt) != 1 or (spoilt[0].ts, spoilt[0].row) != (line.ts, line.row):
            self.changed[name] = None
        return spoilt

    def _can_start(self, line: LogLine, attempt: Row | None) -> bool:
        if self._among is not None and key(line) not in self._among:
            return False
        if self._fault.one_symbol:
            own = attempt.get("symbol") if attempt is not None else None
            if own != next(iter(self._symbols), None):
                return False
        return self._from_ts <= line.ts <= self._until_ts and self._fault.starts(line, attempt)

    def _chooses(self, name: str) -> bool:
        if self._keys is not None:
            return name in self._keys
        if self._burst_left:
            self._burst_left -= 1
            return True
        if self._rng.random() >= self._share / self._fault.burst:
            return False
        self._burst_left = self._fault.burst - 1
        return True


def inject(
    name: str,
    fault: RowFault,
    lines: Iterable[LogLine],
    rng: random.Random,
    *,
    share: float = 1.0,
    count: int | None = None,
    among: Collection[str] | None = None,
    from_ts: float = -inf,
    until_ts: float = inf,
) -> tuple[list[LogLine], list[Injected]]:
    """A history with a fault in it, and where. With `count`, that many orders are chosen, else a share of them.

    With a count, orders of which the fault changes no row (an unfilled one has no fill to spoil) are passed over. Fewer
    are injected where fewer can be; none leaves the rows as they are.
    """
    rows = list(lines)
    keys = None
    if count is not None:
        every = RowInjector(name, fault, rng, among=among, from_ts=from_ts, until_ts=until_ts)
        for _ in every.apply(rows):
            pass
        keys = frozenset(rng.sample(list(every.changed), min(count, len(every.changed))))
    injector = RowInjector(name, fault, rng, share=share, keys=keys, among=among, from_ts=from_ts, until_ts=until_ts)
    spoilt = list(injector.apply(rows))
    spoilt.extend(injector.rest())
    return spoilt, injector.injected


def _remember(known: OrderedDict[str, _Value], name: str, value: _Value) -> None:
    known[name] = value
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
