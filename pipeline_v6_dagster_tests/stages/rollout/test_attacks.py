"""Nobody gets more than the evidence and the approvals allow by files that are edited, cut, restored or removed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.rollout_plan import load_rollout_plan
from pipeline_v6_dagster.domain.errors import ArgumentError, BusyError, ConfigError, DataError, RefusedError
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutEvent
from pipeline_v6_dagster.logs.rollout_file import encode_rollout_file
from pipeline_v6_dagster.logs.rollout_log import read_rollout
from pipeline_v6_dagster.stages.rollout.act import act
from pipeline_v6_dagster.stages.rollout.downward import refresh_rollout
from pipeline_v6_dagster_tests.rollout.desk import PLAN, Desk


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("template") / "home")


@pytest.fixture
def desk(template: Desk, tmp_path: Path) -> Desk:
    return template.copied(tmp_path / "home")


@pytest.fixture
def canary(desk: Desk) -> Desk:
    desk.begin_canary()
    return desk


def cut_history(desk: Desk, lines: int) -> None:
    """Delete the newest lines of the history."""
    log = desk.settings.rollout_log
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-lines]))


@pytest.mark.parametrize("undone", [RolloutEvent.ROLLBACK, RolloutEvent.PAUSE])
def test_a_deleted_line_does_not_bring_a_stage_back(canary: Desk, undone: RolloutEvent) -> None:
    canary.act(undone)
    cut_history(canary, 1)
    refresh_rollout(canary.settings, canary.now)
    assert (canary.rollout.state, canary.file.state) == ("rolled_back", "rolled_back")
    newest = read_rollout(canary.settings)[0][-1]
    assert (newest.by, newest.is_automatic) == ("history", True)
    assert "lines of it are lost" in newest.why


def test_a_damaged_last_line_does_not_bring_a_stage_back(canary: Desk) -> None:
    canary.act(RolloutEvent.ROLLBACK)
    log = canary.settings.rollout_log
    log.write_bytes(log.read_bytes()[:-20])
    canary.tick()
    assert canary.file.state == "rolled_back"


@pytest.mark.parametrize("lines", [1, 3])
def test_a_deleted_line_or_history_does_not_lift_a_halt(canary: Desk, lines: int) -> None:
    canary.act(RolloutEvent.HALT, "ben")
    cut_history(canary, lines)
    refresh_rollout(canary.settings, canary.now)
    assert canary.file.trading_state == "halted"
    assert canary.rollout.trading_state == "halted"
    assert canary.rollout.state not in PLACING
    assert any(each.event == "halt" and each.by == "ben" for each in read_rollout(canary.settings)[0])
    canary.act(RolloutEvent.RESUME)
    assert canary.file.trading_state == "active"


def test_a_history_that_cannot_be_used_does_not_lift_a_halt(canary: Desk) -> None:
    canary.act(RolloutEvent.HALT)
    with canary.settings.rollout_log.open("ab") as log:
        log.write(b"{}\n")
    with pytest.raises(DataError):
        refresh_rollout(canary.settings, canary.now)
    assert (canary.file.state, canary.file.symbols, canary.file.trading_state) == ("off", (), "halted")


@pytest.mark.parametrize("sequence", [7, 2**50, 2**63, 2**64 - 1])
def test_an_edited_sequence_stops_no_stop(canary: Desk, sequence: int) -> None:
    canary.settings.rollout_state.write_bytes(encode_rollout_file(replace(canary.file, sequence=sequence)))
    canary.act(RolloutEvent.HALT)
    assert canary.file.trading_state == "halted"
    canary.act(RolloutEvent.ROLLBACK)
    assert (canary.file.state, canary.file.trading_state) == ("rolled_back", "halted")


def test_an_edited_file_that_is_ahead_of_the_history_takes_the_stage_away(canary: Desk) -> None:
    more = replace(canary.file, sequence=99, notional_share=1.0)
    canary.settings.rollout_state.write_bytes(encode_rollout_file(more))
    refresh_rollout(canary.settings, canary.now)
    assert (canary.file.state, canary.file.notional_share) == ("rolled_back", 0.0)
    assert canary.file.sequence > 99


@pytest.mark.parametrize(
    "other",
    [
        "ALICE SMITH",
        " alice  smith",
        "Smith, Alice",
        "Alice\u200b Smith",
        "Ali\u0301ce Smith",
        "alice_smith.",
        "\uff21lice Smith",
    ],
)
def test_one_person_is_not_two_by_another_spelling(desk: Desk, other: str) -> None:
    desk.plan(PLAN | {"approvals": 2})
    desk.act(RolloutEvent.APPROVE, "Alice Smith")
    with pytest.raises(RefusedError, match="approved this step already"):
        desk.act(RolloutEvent.APPROVE, other)
    assert desk.rollout.state not in PLACING


@pytest.mark.parametrize(
    "by", ["\u0410lice Smith", "Alic\u03b5", "...", "\u200b", "c.o.m.p.a.r.e", "rollout sensor", "History"]
)
def test_a_name_is_one_that_people_can_tell_apart(desk: Desk, by: str) -> None:
    with pytest.raises(ArgumentError, match="--by"):
        desk.act(RolloutEvent.APPROVE, by)


@pytest.mark.parametrize("event", [RolloutEvent.APPROVE, RolloutEvent.RESUME])
def test_a_step_up_rests_on_the_newest_compare(desk: Desk, event: RolloutEvent) -> None:
    if event is RolloutEvent.RESUME:
        desk.begin_canary()
        desk.act(RolloutEvent.PAUSE)
    desk.trade(600, fault="opposite-side")
    asked = iter([None, desk.compare])

    def clock() -> float:
        """Between alice's look at the evidence and the lock, a compare finds that v6 trades on the wrong side."""
        compare = next(asked, None)
        if compare is not None:
            compare()
        return desk.now

    with pytest.raises(BusyError, match="compare was first"):
        act(desk.settings, event, "alice", "go", clock)
    assert desk.rollout.state not in PLACING


@pytest.mark.parametrize(
    "change",
    [
        {"notional_share": 1e400},
        {"notional_share": -0.1},
        {"notional_share": "NaN"},
        {"min_hours": 1e300},
        {"min_hours": -1},
        {"symbols": []},
        {"symbols": ["BTCUSDT"] * 2},
        {"symbols": ["X" * 10_000]},
        {"symbols": ["BTC\nUSDT"]},
        {"name": "one\x1b[2J"},
        {"name": " "},
        {"criteria": ["no_such"]},
    ],
)
def test_a_stage_with_absurd_values_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    stage = {"name": "one", "symbols": "all", "notional_share": 0.1, "min_hours": 1}
    path = tmp_path / "rollout.json"
    path.write_text(json.dumps({"stages": [stage]}))
    assert load_rollout_plan(path, ()).stages[0].name == "one"
    path.write_text(json.dumps({"stages": [stage | change]}))
    with pytest.raises(ConfigError):
        load_rollout_plan(path, ())


@pytest.mark.parametrize("approvals", [0, -1, True, 1.5, 21, 2**70, "1"])
def test_a_count_of_approvals_is_a_small_whole_number(tmp_path: Path, approvals: object) -> None:
    path = tmp_path / "rollout.json"
    path.write_text(json.dumps(PLAN | {"approvals": approvals}))
    with pytest.raises(ConfigError):
        load_rollout_plan(path, ())
