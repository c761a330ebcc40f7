"""The part of a simulated executor that hands orders to v6 where the rollout lets it, and a fault of v6 there."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from pipeline_v6_dagster.domain.live import PLACED_BY_V6
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE
from pipeline_v6_dagster.simulator.log_rows import ORDERS, key
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.row_injector import RowInjector


class V6Orders:
    """Asks for each order whether v6 places it, once, with its first row; every row of such an order says so.

    `is_v6` is given the intent id and the symbol. `placed` are the intents that v6 placed so far.
    """

    def __init__(self, is_v6: Callable[[str, str], bool], fault: str, seed: int) -> None:
        self.placed: dict[str, str] = {}
        self.is_faulty = False
        self._is_v6 = is_v6
        self._asked: set[str] = set()
        self._faulty: set[str] = set()
        rows = FAULT_TABLE[fault].rows
        assert rows is not None  # noqa: S101 -- the caller names a fault of rows
        rng = random.Random(f"v6 {seed}")  # noqa: S311 -- repeatable, not secret
        self._injector = RowInjector(fault, rows, rng, among=self._faulty)

    @property
    def faulty(self) -> list[str]:
        """The intents that v6 got wrong."""
        return [one.intent_id for one in self._injector.injected if one.intent_id is not None]

    def apply(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        """The rows as the executor logs them."""
        return self._injector.apply(map(self._name_placer, lines))

    def _name_placer(self, line: LogLine) -> LogLine:
        name, symbol = key(line), line.row.get("symbol")
        if line.log != ORDERS or name is None or not isinstance(symbol, str):
            return line
        if name not in self._asked:
            self._asked.add(name)
            if self._is_v6(name, symbol):
                self.placed[name] = symbol
                if self.is_faulty:
                    self._faulty.add(name)
        return replace(line, row=line.row | {"placed_by": PLACED_BY_V6}, raw=None) if name in self.placed else line
