"""Vetoes or errors that no decision has taken yet, found by what they name.

Which of them a decision takes is `compare.settlement`.
"""

from typing import Any, Generic, TypeVar

from pipeline_v6_dagster.compare.evidence import has_other_id
from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.live import OrderEvent, Veto

Row = TypeVar("Row", Veto, OrderEvent)


class PendingRows(Generic[Row]):
    """The rows of one kind by number, in the order in which they came; `rows` is changed in place."""

    def __init__(self, rows: dict[int, Row]) -> None:
        self.rows: dict[int, Row] = rows
        self._next = max(rows, default=-1) + 1
        self._by_id: dict[str, dict[int, None]] = {}
        # Those without ids, and those whose ids no decision carries so far.
        self._by_symbol: dict[str | None, dict[int, None]] = {}
        self._named_by_symbol: dict[str | None, dict[int, None]] = {}
        for number in rows:
            self._index(number, rows[number])

    def add(self, row: Row) -> int:
        """Keep a row; its number finds it again."""
        number = self._next
        self._next += 1
        self.rows[number] = row
        self._index(number, row)
        return number

    def pop(self, number: int) -> Row:
        """Take a row out."""
        row = self.rows.pop(number)
        for index, key in self._keys(row):
            numbers = index[key]
            del numbers[number]
            if not numbers:
                del index[key]
        return row

    def take_with_id(self, decision: ShadowSide, oldest_ts: float) -> Row | None:
        """The first row that carries an id of the decision and is not older, taken out."""
        if not self._by_id:
            return None
        numbers: set[int] = set()
        for key in (f"i:{decision.intent_id}", f"a:{decision.attempt_id}"):
            numbers.update(self._by_id.get(key, ()))
        fresh = [number for number in numbers if self.rows[number].ts >= oldest_ts]
        return self.pop(min(fresh)) if fresh else None

    def candidates(self, decision: ShadowSide) -> list[tuple[float, int]]:
        """(log time, number) of the rows that may be the decision's though no id says so, oldest first.

        They are of its symbol, of its side where they name one, and carry no other id.
        """
        numbers = [*self._by_symbol.get(decision.symbol, ())]
        if decision.intent_id is None or decision.attempt_id is None:
            named = self._named_by_symbol.get(decision.symbol, ())
            numbers += [number for number in named if not has_other_id(self.rows[number], decision)]
        sides = (None, decision.side)
        return sorted((self.rows[number].ts, number) for number in numbers if self.rows[number].side in sides)

    def drop_without_id(self, oldest_ts: float) -> int:
        """Discard the older rows without ids; returns how many there were."""
        old = [number for numbers in self._by_symbol.values() for number in numbers if self.rows[number].ts < oldest_ts]
        for number in old:
            self.pop(number)
        return len(old)

    def _index(self, number: int, row: Row) -> None:
        for index, key in self._keys(row):
            index.setdefault(key, {})[number] = None

    def _keys(self, row: Row) -> list[tuple[dict[Any, dict[int, None]], str | None]]:
        if not has_id(row):
            return [(self._by_symbol, row.symbol)]
        keys: list[tuple[dict[Any, dict[int, None]], str | None]] = [(self._named_by_symbol, row.symbol)]
        if row.intent_id is not None:
            keys.append((self._by_id, f"i:{row.intent_id}"))
        if row.attempt_id is not None:
            keys.append((self._by_id, f"a:{own_attempt_id(row.attempt_id)}"))
        return keys


def has_id(row: Veto | OrderEvent) -> bool:
    """Whether a row carries an id."""
    return row.intent_id is not None or row.attempt_id is not None
