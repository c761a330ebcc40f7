"""The faults of the table: pure, repeatable, in exactly the orders that they name, in rows of any shape."""

import json
import random
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.simulator.drill_fault import FaultGroup
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE, ROW_FAULTS
from pipeline_v6_dagster.simulator.faults import Fault, parse_fault
from pipeline_v6_dagster.simulator.log_rows import ATTEMPTS, ORDERS, key, order_id
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.row_injector import RowFault, RowInjector, inject

START_TS = 1_762_000_000.0
CRITICAL = {
    "same_side",
    "same_symbol",
    "same_position_side",
    "no_upsizes",
    "no_overfills",
    "v6_not_larger",
    "reduce_only_honest",
    "orders_explained",
    "within_rollout",
}
NAMED_BY_THE_CONTRACT = (
    "opposite-side wrong-symbol position-side late-order overfill resting-duplicate reduce-mislabel retry-new-id"
    " unread-event downsize poor-fill second-executor stuck-gate"
).split()


@cache
def history() -> tuple[LogLine, ...]:
    """Some 300 attempts, a tenth of them vetoed with ids."""
    executor = SimulatedExecutor(5, START_TS, 0.05, veto_share=0.1, idless_share=0.0)
    return tuple(executor.run(START_TS + 6000))


def rows_fault(name: str) -> RowFault:
    rows = FAULT_TABLE[name].rows
    assert rows is not None
    return rows


def spoilt(name: str, count: int | None = None, share: float = 1.0) -> tuple[list[LogLine], list[str | None]]:
    rng = random.Random(name)  # noqa: S311 -- repeatable, not secret
    lines, injected = inject(name, rows_fault(name), history(), rng, share=share, count=count)
    return lines, [one.intent_id for one in injected]


def untouched(lines: Iterable[LogLine], keys: Iterable[str | None]) -> list[LogLine]:
    """The rows of all orders but these, and of those that they became."""
    suffixes = ("", "00", "_again")
    theirs = {f"{name}{suffix}" for name in keys for suffix in suffixes}
    return [line for line in lines if key(line) not in theirs]


def test_there_are_faults_of_every_group_and_every_critical_criterion_has_one() -> None:
    assert len(FAULT_TABLE) >= 40
    assert {fault.group for fault in FAULT_TABLE.values()} == set(FaultGroup)
    assert {fault.criterion for fault in FAULT_TABLE.values()} >= CRITICAL
    assert {fault.criterion for fault in FAULT_TABLE.values() if fault.is_single} >= CRITICAL
    assert not {fault.value for fault in Fault} & set(FAULT_TABLE)
    assert set(NAMED_BY_THE_CONTRACT) <= set(ROW_FAULTS)
    assert parse_fault("overfill:0.1", ROW_FAULTS) == ("overfill", 0.1)


# Rows without ids cannot be told from those of other orders.
@pytest.mark.parametrize("name", [name for name in ROW_FAULTS if name != "no-ids"])
def test_one_order_is_spoilt_and_no_other_row_changes(name: str) -> None:
    lines, keys = spoilt(name, count=1)
    assert len(keys) == 1
    assert lines != list(history())
    assert untouched(lines, keys) == untouched(history(), keys)


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_the_same_chance_spoils_the_same_rows_in_time_order_that_are_still_json(name: str) -> None:
    lines, keys = spoilt(name, share=0.3)
    assert (lines, keys) == spoilt(name, share=0.3)
    assert keys
    assert all(before.ts <= after.ts for before, after in pairwise(lines))
    for line in lines:
        assert json.loads(msgspec.json.encode(line.row)) == line.row


@given(st.sampled_from(ROW_FAULTS), st.lists(st.integers(0, 2000), max_size=5))
def test_a_feed_in_pieces_is_spoilt_as_the_whole_is(name: str, cuts: list[int]) -> None:
    lines = list(history())
    bounds = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    whole, pieces = (
        RowInjector(name, rows_fault(name), random.Random(name), share=0.2)  # noqa: S311 -- repeatable, not secret
        for _ in range(2)
    )
    expected = [*whole.apply(lines), *whole.rest()]
    got = [line for low, high in pairwise(bounds) for line in pieces.apply(lines[low:high])]
    assert [*got, *pieces.rest()] == expected
    assert pieces.injected == whole.injected


def test_bursts_are_of_ten() -> None:
    _, keys = spoilt("bursts", share=0.2)
    order = [key(line) for line in history() if line.log == ORDERS]
    first = {name: place for place, name in reversed(list(enumerate(dict.fromkeys(order))))}
    places = sorted(first[name] for name in keys)
    runs = 1 + sum(after - before > 1 for before, after in pairwise(places))
    assert len(places) >= 5 * runs


def test_an_older_ack_without_ids_is_left_alone_by_faults_of_what_ids_pair() -> None:
    ack = {
        "event_type": "order_ack",
        "order_id": 7,
        "raw": {"symbol": "LTCUSDT", "side": "BUY", "origQty": "0.235", "positionSide": "LONG"},
    }
    line = LogLine(ORDERS, START_TS, {**ack, "ts": "2025-11-01T12:26:40+00:00"})
    for name in ROW_FAULTS:
        lines, injected = inject(name, rows_fault(name), [line], random.Random(1))  # noqa: S311 -- repeatable
        assert (lines, injected) == ([line], []), name


def test_quantities_and_sides_inside_the_answer_of_the_exchange_change_as_well() -> None:
    attempt = {"symbol": "LTCUSDT", "side": "BUY", "intent_id": "a", "qty": 0.235, "reduce_only": False}
    raw = {"symbol": "LTCUSDT", "side": "BUY", "origQty": "0.235", "positionSide": "LONG"}
    ack = {"event_type": "order_ack", "order_id": 7, "intent_id": "a", "raw": raw}
    lines = [LogLine(ATTEMPTS, START_TS, dict(attempt)), LogLine(ORDERS, START_TS + 1, dict(ack))]
    expected = {
        "opposite-side": ("side", "SELL"),
        "double-size": ("origQty", "0.47"),
        "position-side": ("positionSide", "SHORT"),
    }
    for name, (field, value) in expected.items():
        rows, _ = inject(name, rows_fault(name), lines, random.Random(1))  # noqa: S311 -- repeatable
        nested = rows[1].row["raw"]
        assert isinstance(nested, dict)
        assert nested[field] == value
        assert rows[0] == lines[0]
    assert raw["side"] == "BUY", "rows are never changed in place"


def test_a_rogue_order_has_ids_of_its_own() -> None:
    lines, (name,) = spoilt("rogue-giant", count=1)
    rogue = [line for line in lines if key(line) == f"{name}00"]
    assert rogue
    assert not {order_id(line) for line in rogue} & {order_id(line) for line in history()}
