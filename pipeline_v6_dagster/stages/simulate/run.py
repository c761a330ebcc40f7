"""The simulate stage: a made-up executor writes its logs into a home, and the truth of its faults beside them.

It never touches what a real executor wrote: a home with logs that no simulation began is refused.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.faults import Injected, Shares, counts_of
from pipeline_v6_dagster.simulator.injector import FaultInjector
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster.storage.feed import append_lines

# What is in flight needs so long to end; at most a quarter of a short simulation.
_IN_FLIGHT_S = 60.0
_LONGEST_CATCH_UP_S = 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. `seconds` of trading; without an end where it is infinite.

    `idless_share` of vetoes and final errors carry no ids, so that only time can pair them.
    """

    seed: int
    attempts_per_s: float
    seconds: float = inf
    shares: Shares = field(default_factory=dict)
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
        self._told = 0
        # Later than two tolerances a decision is settled, whatever else might have paired with it.
        late_s = 2.2 * settings.match_tolerance_s
        self.ask_until = start_ts + plan.seconds - min(_IN_FLIGHT_S, plan.seconds / 4)
        self._executor = SimulatedExecutor(
            plan.seed,
            start_ts,
            plan.attempts_per_s,
            idless_share=plan.idless_share,
            faults=plan.shares,
            late_s=late_s,
            ask_until=self.ask_until,
        )
        self._executor.injected = self._injected
        self._injector = FaultInjector(plan.seed, plan.shares, self._injected)
        self.run = Simulated(truth=truth_path(settings))
        self._start_ts = start_ts

    def write(self, until: float) -> int:
        """Write what happened up to `until` (epoch s), and the truth of its faults; returns the number of lines."""
        count = write_feed(self._settings, self._injector.apply(self._executor.run(until)))
        news, self._injected[:] = list(self._injected), []
        append_lines({self.run.truth: list(map(msgspec.json.encode, news))} if news else {})
        self.run.lines += count
        self.run.traded_s = until - self._start_ts
        for name, number in counts_of(news).items():
            self.run.faults[name] = self.run.faults.get(name, 0) + number
        return count


def truth_path(settings: Settings) -> Path:
    """Where the truth of the injected faults stands, one JSON object a line."""
    return settings.logs_dir / "simulated_truth.jsonl"


def read_truth(settings: Settings) -> list[Injected]:
    """The faults that were injected so far; none where there is no such file."""
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
    """All of the plan's seconds at once, ending `now`. `seen` is told the share that is done."""
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
