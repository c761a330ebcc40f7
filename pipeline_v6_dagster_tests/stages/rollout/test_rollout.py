"""The rollout on real files: up by people on a PASS, down by the evidence, and what a kill or a loss leaves behind."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_v6_dagster.alerts.message import Message, Severity
from pipeline_v6_dagster.domain.errors import ArgumentError, BusyError, DataError, RefusedError
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutFile, RolloutState
from pipeline_v6_dagster.logs.alert_outbox import decode_line
from pipeline_v6_dagster.logs.rollout_file import encode_rollout_file, read_rollout_file
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.outputs.rollout_stand import describe_rollout, read_rollout_stand
from pipeline_v6_dagster.stages.rollout.act import ROLLOUT_SENSOR, act
from pipeline_v6_dagster.stages.rollout.downward import refresh_rollout
from pipeline_v6_dagster_tests.rollout.desk import PLAN, Desk
from pipeline_v6_dagster_tests.storage.dying import deaths


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def canary(desk: Desk) -> Desk:
    desk.begin_canary()
    return desk


def moves_announced(desk: Desk) -> list[tuple[Severity, str]]:
    """Severity and first word of the messages about the rollout, oldest first."""
    lines = desk.settings.alert_outbox.read_bytes().splitlines()
    messages = [message for line in lines if isinstance(message := decode_line(line), Message)]
    return [(each.severity, each.text.split()[0]) for each in messages if each.name == "rollout_moved"]


def findings(desk: Desk) -> list[str]:
    return [text for log in verify_logs(desk.settings).logs for text in log.findings]


def allows(file: RolloutFile | bytes | None, now: float) -> tuple[str, ...]:
    """The symbols that a careful executor lets v6 trade."""
    is_usable = isinstance(file, RolloutFile) and file.valid_until >= now
    return file.symbols if is_usable and isinstance(file, RolloutFile) else ()


def test_a_desk_that_never_began_has_no_file_and_is_off(desk: Desk) -> None:
    assert refresh_rollout(desk.settings, desk.now) is None
    assert not desk.settings.rollout_state.exists()
    assert not desk.settings.rollout_log.exists()
    report = desk.report()
    assert (report.state, report.exit_code) == (RolloutState.OFF, 0)
    assert report.next_step is not None
    assert report.next_step.step == "approve"


def test_the_first_approval_needs_no_step_before_it_and_so_after_a_rollback(desk: Desk) -> None:
    assert desk.act(RolloutEvent.APPROVE).state is RolloutState.CANARY
    assert (desk.file.state, desk.file.symbols, desk.file.notional_share) == ("canary", ("BTCUSDT",), 0.1)
    desk.act(RolloutEvent.ROLLBACK)
    assert (desk.file.state, desk.file.symbols) == ("rolled_back", ())
    assert desk.act(RolloutEvent.APPROVE).stage == desk.rollout.stage
    assert desk.file.state == "canary"


def test_from_a_pass_to_live_and_back_by_a_fault_within_one_compare(canary: Desk) -> None:
    assert (canary.file.state, canary.file.symbols, canary.file.notional_share) == ("canary", ("BTCUSDT",), 0.1)
    with pytest.raises(RefusedError, match="stage one has lasted 0 s of 30 min"):
        canary.act(RolloutEvent.APPROVE)
    canary.trade(1800)
    assert canary.tick() is None
    canary.act(RolloutEvent.APPROVE)
    canary.act(RolloutEvent.APPROVE)
    assert (canary.file.state, canary.file.notional_share) == ("live", 1.0)
    canary.trade(600, fault="opposite-side")
    moved = canary.tick()
    assert moved is not None
    assert (moved.event, moved.by, moved.broken[0]) == (RolloutEvent.ROLLBACK, "compare", "same_side")
    assert (canary.file.state, canary.file.symbols, canary.file.notional_share) == ("rolled_back", (), 0.0)
    assert canary.tick() is None
    announced = moves_announced(canary)
    assert announced[-1] == (Severity.ERROR, "rollback")
    assert [word for _, word in announced] == ["begin", "approve", "approve", "approve", "rollback"]
    assert findings(canary) == []


def test_nothing_moves_up_without_a_pass(desk: Desk) -> None:
    desk.act(RolloutEvent.BEGIN)
    desk.trade(600, fault="opposite-side")
    assert desk.tick() is None  # In the shadow there is nothing to take away.
    with pytest.raises(RefusedError, match="a PASS is needed, and the verdict is FAIL because of same_side"):
        desk.act(RolloutEvent.APPROVE)
    assert desk.file.state == "shadow"


def test_evidence_that_is_broken_in_two_consecutive_compares_pauses(canary: Desk) -> None:
    limits = json.loads(canary.settings.risk_limits.read_bytes())
    canary.settings.risk_limits.write_text(json.dumps(limits | {"max_ordr_notional": 5}))
    canary.trade(60)
    first = canary.tick()
    assert first is not None
    assert (first.event, first.broken) == (RolloutEvent.DOUBT, ("limits_understood",))
    assert canary.file.state == "canary"
    assert canary.report().exit_code == 1
    assert canary.look(ROLLOUT_SENSOR) is None  # It is the same compare.
    canary.trade(60)
    second = canary.tick()
    assert second is not None
    assert second.event is RolloutEvent.PAUSE
    assert allows(canary.file, canary.now) == ()
    assert moves_announced(canary)[-1] == (Severity.ERROR, "pause")
    canary.settings.risk_limits.write_text(json.dumps(limits))
    canary.trade(60)
    canary.tick()
    assert canary.act(RolloutEvent.RESUME).state is RolloutState.CANARY


def test_evidence_that_recovers_leaves_the_stage(canary: Desk) -> None:
    limits = canary.settings.risk_limits.read_text()
    canary.settings.risk_limits.write_text(json.dumps(json.loads(limits) | {"max_ordr_notional": 5}))
    canary.tick()
    canary.settings.risk_limits.write_text(limits)
    canary.trade(60)
    cleared = canary.tick()
    assert cleared is not None
    assert cleared.event is RolloutEvent.CLEAR
    assert canary.report().exit_code == 0


def test_another_epoch_pauses_and_takes_an_approval_of_its_own(canary: Desk) -> None:
    limits = json.loads(canary.settings.risk_limits.read_bytes())
    limits["global"]["max_gross_nav_pct"] = 1.23
    canary.settings.risk_limits.write_text(json.dumps(limits))
    canary.trade(600)
    paused = canary.tick()
    assert paused is not None
    assert (paused.event, paused.why) == (RolloutEvent.PAUSE, "the epoch whose PASS the stage rests on has ended")
    with pytest.raises(RefusedError, match="on the evidence of another epoch"):
        canary.act(RolloutEvent.RESUME)


def test_where_no_compare_comes_the_file_expires_and_the_heartbeat_pauses(canary: Desk) -> None:
    compared_ts = canary.now
    for _ in range(4):
        canary.now += 600
        assert refresh_rollout(canary.settings, canary.now) is None
        assert canary.file.valid_until <= compared_ts + 2700
    canary.now += 600
    assert allows(canary.file, canary.now) == ()
    paused = refresh_rollout(canary.settings, canary.now)
    assert paused is not None
    assert (paused.event, paused.by) == (RolloutEvent.PAUSE, "heartbeat")
    assert (canary.file.state, canary.rollout.served_s(canary.now)) == ("paused", 2700)
    assert moves_announced(canary)[-1] == (Severity.ERROR, "pause")
    assert refresh_rollout(canary.settings, canary.now) is None


def test_where_nothing_else_comes_the_sensor_pauses(canary: Desk) -> None:
    canary.now += 3000
    paused = canary.look(ROLLOUT_SENSOR)
    assert paused is not None
    assert (paused.event, paused.by) == (RolloutEvent.PAUSE, "rollout_sensor")
    assert canary.look(ROLLOUT_SENSOR) is None


def test_a_heartbeat_keeps_the_file_valid_and_changes_nothing_else(canary: Desk) -> None:
    before = canary.file
    canary.now += 600
    refresh_rollout(canary.settings, canary.now)
    assert canary.file == replace(before, valid_until=before.valid_until + 600, generated_ts=canary.now)


def test_of_two_people_at_once_one_wins_and_the_other_is_told(desk: Desk) -> None:
    desk.act(RolloutEvent.BEGIN)
    others = iter([lambda: desk.act(RolloutEvent.APPROVE, "bob")])

    def clock() -> float:
        """While alice's command reads the evidence, bob's approval is recorded."""
        for other in others:
            other()
        return desk.now

    with pytest.raises(BusyError, match="somebody else was first: bob did approve"):
        act(desk.settings, RolloutEvent.APPROVE, "alice", "go", clock)
    assert (desk.rollout.sequence, desk.file.stage) == (2, "one")


@pytest.mark.parametrize("by", [" ", "compare", " Rollout_Sensor"])
def test_a_step_takes_the_name_of_a_person(desk: Desk, by: str) -> None:
    with pytest.raises(ArgumentError, match="--by"):
        desk.act(RolloutEvent.BEGIN, by)
    assert not desk.settings.rollout_log.exists()


def test_a_lost_file_is_off_until_the_next_heartbeat(canary: Desk) -> None:
    canary.settings.rollout_state.unlink()
    assert allows(read_rollout_file(canary.settings), canary.now) == ()
    assert "missing" in canary.report().notes[0]
    refresh_rollout(canary.settings, canary.now)
    assert allows(canary.file, canary.now) == ("BTCUSDT",)


def test_a_lost_history_is_off_and_its_sequence_goes_on(canary: Desk) -> None:
    canary.settings.rollout_log.unlink()
    assert "does not say what the history says" in findings(canary)[0]
    for _ in range(2):
        refresh_rollout(canary.settings, canary.now)
        assert (canary.file.state, canary.file.symbols, canary.file.sequence) == ("off", (), 3)
    assert canary.act(RolloutEvent.BEGIN).sequence == 4


def test_a_history_that_contradicts_itself_turns_v6_off(canary: Desk) -> None:
    lines = canary.settings.rollout_log.read_bytes().splitlines(keepends=True)
    canary.settings.rollout_log.write_bytes(lines[0] + lines[1].replace(b'"state":"canary"', b'"state":"live"'))
    assert findings(canary)
    with pytest.raises(DataError, match="is not possible"):
        refresh_rollout(canary.settings, canary.now)
    assert (canary.file.state, canary.file.symbols, canary.file.sequence) == ("off", (), 2)
    assert canary.report().exit_code == 1


def test_a_file_that_allows_more_is_an_error_and_is_written_again(canary: Desk) -> None:
    more = encode_rollout_file(canary.file).replace(b'"notional_share": 0.1', b'"notional_share": 1.0')
    canary.settings.rollout_state.write_bytes(more)
    report = canary.report()
    assert report.exit_code == 1
    assert "says canary with 100.0 % of 1 symbols" in report.problems[0]
    assert any("does not say what the history says" in text for text in findings(canary))
    refresh_rollout(canary.settings, canary.now)
    assert (canary.file.notional_share, canary.report().exit_code) == (0.1, 0)


def test_killed_at_any_instant_of_a_rollback_the_file_is_whole_and_the_next_compare_finishes(
    tmp_path: Path,
) -> None:
    template = Desk(tmp_path / "template")
    template.begin_canary()
    template.trade(600, fault="opposite-side")
    template.compare()
    places = set()

    def at(number: int) -> Desk:
        home = tmp_path / str(number)
        desk = object.__new__(Desk)
        desk.__dict__ |= template.__dict__
        desk.settings = type(template.settings).model_validate(
            template.settings.model_dump(by_alias=True)
            | {
                "PIPELINE_V6_HOME": home,
                "PIPELINE_V6_LOGS_DIR": home / "logs",
                "PIPELINE_V6_CONFIG_DIR": home / "config",
            }
        )
        return desk

    def prepare(number: int) -> Callable[[], object]:
        shutil.copytree(tmp_path / "template", tmp_path / str(number))
        return at(number).follow

    for number, death in deaths(prepare):
        places.add(death.place)
        desk = at(number)
        found = read_rollout_file(desk.settings)
        assert isinstance(found, RolloutFile), death.place
        assert found.state in ("canary", "rolled_back"), death.place
        desk.tick()
        assert (desk.file.state, desk.file.symbols) == ("rolled_back", ()), death.place
        assert findings(desk) == [], death.place
        assert [word for _, word in moves_announced(desk)].count("rollback") == 1, death.place
    assert {"before rename", "half-way through write", "before sync", None} <= places


def test_a_plan_that_is_not_understood_stops_no_rollback(canary: Desk) -> None:
    canary.plan(PLAN | {"approvals": 0})
    canary.trade(600, fault="opposite-side")
    moved = canary.tick()
    assert moved is not None
    assert moved.event is RolloutEvent.ROLLBACK


def test_a_plan_that_is_not_understood_hides_nothing_of_the_stand(canary: Desk) -> None:
    canary.plan(PLAN | {"approvals": 0})
    report = canary.report()
    assert (report.state, report.stage, report.by, report.reason) == ("canary", "one", "alice", "as planned")
    assert (report.exit_code, report.next_step) == (65, None)
    (problem,) = report.plan_problems
    assert problem.endswith("rollout.json: approvals = 0: must be greater than or equal to 1")


def test_a_history_that_cannot_be_used_leaves_what_the_file_says(canary: Desk) -> None:
    canary.act(RolloutEvent.HALT, "ben")
    with canary.settings.rollout_log.open("ab") as log:
        log.write(b"garbage\n")
    with pytest.raises(DataError):
        refresh_rollout(canary.settings, canary.now)
    report = canary.report()
    assert (report.state, report.trading_state, report.by, report.exit_code) == ("off", "halted", "ben", 1)
    assert (report.next_step, report.sequence) == (None, canary.file.sequence)
    (problem,) = report.problems
    assert "pipeline_v6_rollout.jsonl" in problem
    stand = read_rollout_stand(canary.settings)
    assert stand is not None
    assert describe_rollout(stand) == f"rollout: {problem}; v6 is off, trading halted"


def test_the_file_says_who_approved_first(desk: Desk) -> None:
    desk.plan(PLAN | {"approvals": 2})
    desk.act(RolloutEvent.APPROVE)
    assert (desk.file.state, desk.file.by, desk.file.since_ts) == ("off", "alice", desk.now)
    assert desk.file.reason == "waits for another approval: as planned"
