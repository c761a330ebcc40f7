"""The simulate stage: a made-up executor writes its logs into a home, and the truth of its faults beside them.

It never touches what a real executor wrote: a home with logs that no simulation began is refused.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE, ROW_FAULTS
from pipeline_v6_dagster.simulator.faults import Fault, Injected, Shares, count_by_fault
from pipeline_v6_dagster.simulator.injector import FaultInjector
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.row_injector import RowInjector
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster.storage.feed import append_lines

# What is in flight needs so long to end; at most a quarter of a short simulation.
_IN_FLIGHT_S = 60.0
_LONGEST_CATCH_UP_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate. `seconds` of trading; without an end where it is infinite.

    `shares` are those of the faults, by name: of a `Fault`, or of a fault of rows in the fault table. `idless_share`
    of vetoes and final errors carry no ids, so that only time can pair them.
    """

    seed: int
    attempts_per_s: float
    seconds: float = inf
    shares: Mapping[str, float] = field(default_factory=dict)
    idless_share: float = 0.25


@dataclass(slots=True)
class Simulated:
    """What was written: lines, seconds of trading, faults by name."""

    lines: int = 0
    traded_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    truth: Path = Path()


class Feed:
    """A simulated executor that writes into a home as far as its time has come.

    Raises:
        DataError: the home holds logs of a real executor.
    """

    def __init__(self, settings: Settings, plan: Plan, start_ts: float) -> None:
        _refuse_real_logs(settings)
        append_lines({truth_path(settings): []})
        self._settings = settings
        self._injected: list[Injected] = []
        self._reported = 0
        # Later than two tolerances a decision is settled, whatever else might have paired with it.
        late_s = 2.2 * settings.match_tolerance_s
        self.ask_until = start_ts + plan.seconds - min(_IN_FLIGHT_S, plan.seconds / 4)
        own: Shares = {fault: plan.shares[fault] for fault in Fault if fault in plan.shares}
        self._executor = SimulatedExecutor(
            plan.seed,
            start_ts,
            plan.attempts_per_s,
            idless_share=plan.idless_share,
            faults=own,
            late_s=late_s,
            ask_until=self.ask_until,
        )
        self._executor.injected = self._injected
        self._row_injectors = list(_row_injectors(plan))
        self._injector = FaultInjector(plan.seed, own, self._injected)
        self.run = Simulated(truth=truth_path(settings))
        self._start_ts = start_ts

    def write(self, until: float) -> int:
        """Write what happened up to `until` (epoch s), and the truth of its faults; returns the number of lines."""
        lines: Iterable[LogLine] = self._executor.run(until)
        for injector in self._row_injectors:
            lines = injector.apply(lines)
        count = write_feed(self._settings, self._injector.apply(lines))
        news = [*self._injected, *(one for injector in self._row_injectors for one in injector.injected)]
        for injected in (self._injected, *(injector.injected for injector in self._row_injectors)):
            injected.clear()
        append_lines({self.run.truth: list(map(msgspec.json.encode, news))} if news else {})
        self.run.lines += count
        self.run.traded_s = until - self._start_ts
        for name, number in count_by_fault(news).items():
            self.run.faults[name] = self.run.faults.get(name, 0) + number
        return count


def _row_injectors(plan: Plan) -> Iterator[RowInjector]:
    """One for each fault of rows, with chances of its own."""
    for name in ROW_FAULTS:
        fault = FAULT_TABLE[name].rows
        if fault is not None and name in plan.shares:
            rng = random.Random(f"{name} {plan.seed}")  # noqa: S311 -- repeatable, not secret
            yield RowInjector(name, fault, rng, share=plan.shares[name])


def truth_path(settings: Settings) -> Path:
    """Where the truth of the injected faults stands, one JSON object a line."""
    return settings.logs_dir / "simulated_truth.jsonl"


def read_truth(settings: Settings) -> list[Injected]:
    """The faults that were injected so far; none if there is no such file."""
    try:
        lines = truth_path(settings).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Injected) for line in lines]


def prepare_home(settings: Settings) -> None:
    """Write the configuration that the simulated executor trades under, where the home has none.

    Raises:
        DataError: the home holds logs of a real executor.
    """
    _refuse_real_logs(settings)
    if not settings.risk_limits.exists() and not settings.pairs_universe.exists():
        write_configuration(settings)


def simulate_history(settings: Settings, plan: Plan, now: float, seen: Callable[[float], None]) -> Simulated:
    """All of the plan's seconds at once, ending `now`. `seen` is called with the share that is done."""
    start_ts = now - plan.seconds
    feed = Feed(settings, plan, start_ts)
    until = start_ts
    while until < now:
        until = min(now, until + _LONGEST_CATCH_UP_S)
        feed.write(until)
        seen((until - start_ts) / plan.seconds)
    return feed.run


def simulate_live(feed: Feed, clock: Callable[[], float], ticks: Iterable[None], end_ts: float) -> Simulated:
    """As time goes by: write at every tick what has happened since, until `end_ts` or the ticks end."""
    for _ in ticks:
        now = clock()
        feed.write(min(now, end_ts))
        if now >= end_ts:
            break
    return feed.run


def _refuse_real_logs(settings: Settings) -> None:
    """The file of the truth marks a home as simulated: logs without it are somebody's."""
    if truth_path(settings).exists():
        return
    for path in (settings.order_attempts, settings.orders_executed, settings.risk_vetoes):
        if path.exists():
            raise DataError(f"{path}: not written by a simulation; simulate into a folder of its own")
