"""The executors of a fleet that trade on demand: the same orders everywhere, and in three homes some of them wrong."""

import json
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline_v6_dagster.config.fleet import Fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.row_injector import RowInjector
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import make_settings

INTERVAL_S = 40
DAY_S = 86_400.0
# Long enough for two months and for a PASS, with few decisions; then three parts with many. An hour without an attempt
# would be an alert of its own.
HISTORY_S, HISTORY_PER_S = 33 * DAY_S, 0.0003
PART_S, PART_PER_S, PARTS = 600.0, 0.06, 3

# Each with the criterion that it breaks first; `opposite-side` breaks another as well.
FAULTS = {"opposite-side": "same_side", "double-size": "no_upsizes", "downsize": "v6_not_larger"}
ENVIRON = {
    "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": str(INTERVAL_S),
    "PIPELINE_COMPARE_INTERVAL": str(INTERVAL_S),
    # A PASS after some 700 decisions instead of 3,200.
    "PIPELINE_VERDICT_MAX_MISMATCH": "0.2",
}

Parts = Sequence[Sequence[LogLine]]


class Feeds:
    """The executors. All had the same orders, but for the first of the further parts, in which three did wrong."""

    def __init__(self, base: Settings, fleet: Fleet, now: float) -> None:
        self.clean = make_settings(base.home / "clean")
        self._homes = {name: executor.settings for name, executor in fleet.executors.items()}
        # At the end nothing is in flight.
        executor = SimulatedExecutor(3, now - HISTORY_S, HISTORY_PER_S, ask_until=now - 60)
        begin = now - PARTS * PART_S
        write_configuration(self.clean)
        _write_replayed(self.clean)
        write_feed(self.clean, executor.run(begin))
        run_by_hand(self.clean)
        executor.trade_faster(PART_PER_S)
        ends = [begin + (number + 1) * PART_S for number in range(PARTS)]
        self.parts: Parts = [list(executor.run(end)) for end in ends]
        self._parts_of = {name: _with_fault(name, self.parts, ends[0]) for name in self._homes}
        for settings in self._homes.values():
            shutil.copytree(self.clean.home, settings.home)
        self.write(0)

    def write(self, number: int) -> str:
        """Log the orders of a part in all homes; returns the last intent that was attempted in it."""
        for name, settings in self._homes.items():
            write_feed(settings, self._parts_of[name][number])
        return [line.row["intent_id"] for line in self.parts[number] if line.log == "orders_attempted"][-1]

    def are_compared(self, intent_id: str, names: Iterable[str]) -> bool:
        """Whether the compare logs of these executors hold the intent."""
        return all(is_in(self._homes[name].compare_diffs, intent_id) for name in names)


def _with_fault(name: str, parts: Parts, until_ts: float) -> Parts:
    fault = FAULT_TABLE[name].rows if name in FAULTS else None
    if fault is None:
        return parts
    rng = random.Random(1)  # noqa: S311 -- repeatable, not secret
    injector = RowInjector(name, fault, rng, share=0.2, until_ts=until_ts)
    spoilt = [list(injector.apply(part)) for part in parts]
    assert injector.injected, f"{name} found no order"
    return spoilt


def _write_replayed(settings: Settings) -> None:
    """Two configurations to replay: as it is, and without a symbol."""
    for name, restricted in (("same", []), ("strict", ["SOLUSDT"])):
        folder = settings.config_dir / "replay" / name
        folder.mkdir(parents=True)
        limits = json.loads(settings.risk_limits.read_bytes()) | {"restricted_symbols": restricted}
        (folder / "risk_limits.json").write_text(json.dumps(limits))
        (folder / "pairs_universe.json").write_bytes(settings.pairs_universe.read_bytes())


def run_by_hand(settings: Settings) -> None:
    for command in ("shadow", "heartbeat", "compare"):
        outcome = pipeline_v6(settings.home, command, **ENVIRON)
        assert outcome.exit_code == 0, outcome


def is_in(path: Path, intent_id: str) -> bool:
    return f'"{intent_id}"'.encode() in path.read_bytes()
