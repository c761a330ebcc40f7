"""Rows of position snapshots to positions, alone or listed in one row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.account_events import PositionsSnapshot
from pipeline_v6_dagster.domain.attempt import PositionSide
from pipeline_v6_dagster.domain.position_state import PositionRow
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.positions import parse_positions
from pipeline_v6_dagster_tests.builders import AS_OF, AS_OF_ISO, SYMBOL, json_values, line, unhurried

POSITION = {"symbol": SYMBOL, "pos_qty": -58.6, "entry_px": 2.0, "mode": "SHORT", "ts": AS_OF_ISO}
SHORT = PositionRow(symbol=SYMBOL, position_side=PositionSide.SHORT, qty=58.6, entry_price=2.0, is_net=False)


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({}, (PositionSide.SHORT, 58.6, False)),
        ({"mode": "LONG", "pos_qty": 3.0}, (PositionSide.LONG, 3.0, False)),
        ({"mode": None}, (PositionSide.SHORT, 58.6, True)),
        ({"mode": "BOTH", "pos_qty": 3.0}, (PositionSide.LONG, 3.0, True)),
        ({"mode": "LONG", "pos_qty": 0.0}, (PositionSide.LONG, 0.0, False)),
        ({"mode": "isolated", "positionSide": "LONG", "pos_qty": "3"}, (PositionSide.LONG, 3.0, False)),
        ({"ts": None, "local_ts": AS_OF}, (PositionSide.SHORT, 58.6, False)),
    ],
)
def test_a_position_stands_on_its_mode_or_its_sign(
    changes: dict[str, Any], held: tuple[PositionSide, float, bool]
) -> None:
    found = parse_positions(line(POSITION | changes))
    assert isinstance(found, PositionsSnapshot)
    (row,) = found.positions
    assert (found.ts, row.position_side, row.qty, row.is_net) == (AS_OF, *held)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"symbol": None}, IgnoredRow.NO_SYMBOL),
        ({"symbol": None, "pos_qty": None}, IgnoredRow.UNKNOWN_EVENT),
        ({"pos_qty": None}, Rejection.BAD_FIELD),
        ({"pos_qty": "three"}, Rejection.BAD_FIELD),
        ({"pos_qty": float("nan")}, Rejection.NOT_FINITE),
        ({"ts": "today"}, Rejection.NO_TIME),
        ({"ts": None}, Rejection.NO_TIME),
        ({"items": [], "ts": None}, Rejection.NO_TIME),
        ({"items": [POSITION | {"symbol": None}]}, Rejection.BAD_FIELD),
        ({"rows": [POSITION, POSITION | {"pos_qty": None}]}, Rejection.BAD_FIELD),
        ({"positions": "none"}, Rejection.BAD_FIELD),
    ],
)
def test_a_row_that_lacks_what_it_is_for_is_named(changes: dict[str, Any], kind: Rejection | IgnoredRow) -> None:
    assert parse_positions(line(POSITION | changes)) == Unusable(kind)


@pytest.mark.parametrize("name", ["items", "rows", "positions"])
def test_positions_may_be_listed_in_one_row(name: str) -> None:
    other = {"symbol": "OTHERUSDT", "pos_qty": 2.0}
    listed = {"ts": AS_OF_ISO, name: [POSITION, other]}
    held = (
        SHORT,
        PositionRow(symbol="OTHERUSDT", position_side=PositionSide.LONG, qty=2.0, entry_price=None, is_net=True),
    )
    assert parse_positions(line(listed)) == PositionsSnapshot(AS_OF, held)


def test_a_list_without_a_time_is_as_new_as_its_newest_entry() -> None:
    older = POSITION | {"ts": AS_OF - 60}
    assert parse_positions(line({"items": [older, POSITION]})) == PositionsSnapshot(AS_OF, (SHORT, SHORT))


@unhurried
@given(st.dictionaries(st.sampled_from([*POSITION, "items", "rows", "positions"]), json_values()))
def test_no_row_whatever_it_holds_stops_a_run(row: dict[str, Any]) -> None:
    found = parse_positions(line(row))
    assert isinstance(found, PositionsSnapshot | Unusable)
