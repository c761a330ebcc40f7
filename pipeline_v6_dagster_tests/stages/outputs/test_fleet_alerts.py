"""The alerts of a fleet: handed over once, grouped by cause, named by executor, sent once."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline_v6_dagster.alerts.message import Kind, Message, Severity
from pipeline_v6_dagster.alerts.states import Evidence
from pipeline_v6_dagster.config.fleet import Fleet, load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.stages.outputs.alert_list import list_alerts
from pipeline_v6_dagster.stages.outputs.alerts import record_alerts
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation
from pipeline_v6_dagster.stages.outputs.fleet_alerts import (
    LONGEST_WAIT_S,
    QUIET_S,
    FleetAlertDesk,
    HandOver,
    decode_messages,
    encode_messages,
    subject_of_executor,
)
from pipeline_v6_dagster_tests.fleets import fleet_settings
from pipeline_v6_dagster_tests.homes import START_TS, fixed
from pipeline_v6_dagster_tests.receiver import receiving

HOST = "control"


def a_fleet(folder: Path, count: int, **environ: str) -> tuple[Settings, Fleet]:
    base = fleet_settings(folder, {f"e{number:02}": [] for number in range(count)}, **environ)
    return base, load_fleet(base)


def evaluation(name: str, text: str, *, has_passed: bool = False, severity: Severity = Severity.ERROR) -> Evaluation:
    return Evaluation(
        name=name,
        asset="compare_summary",
        has_passed=has_passed,
        severity=severity,
        description=text,
        to_do="Look.",
        count=int(not has_passed),
    )


def handed_over(settings: Settings, evaluations: Iterable[Evaluation], ts: float) -> list[Message]:
    """What an executor's run records and hands over at `ts`."""
    record_alerts(settings, list(evaluations), ts, host="trade", run_id=f"run-{ts}")
    hand_over = HandOver(settings, fixed(ts))
    messages = hand_over.waiting()
    hand_over.record_taken(messages)
    return decode_messages(encode_messages(messages))


def run_failed(executor: str, *, ts: float, has_failed: bool = True, text: str = "the disk is full") -> Evidence:
    return Evidence(
        subject=subject_of_executor(executor, "run/compare_job"),
        name="run_failed",
        id=f"{executor}-{ts}",
        ts=ts,
        run_id=f"{executor}-{ts}",
        severity=Severity.ERROR if has_failed else None,
        text=text,
        link="docs/runbook.md#run_failed",
    )


def test_what_an_executor_records_waits_for_the_fleet_and_is_handed_over_once(tmp_path: Path) -> None:
    _, fleet = a_fleet(tmp_path, 1)
    settings = fleet.executor("e00").settings
    (message,) = handed_over(settings, [evaluation("no_upsizes", "2 upsizes")], START_TS)
    assert (message.executor, message.subject, message.channels) == ("e00", "compare_summary/no_upsizes", ("fleet",))
    assert HandOver(settings, fixed(START_TS)).waiting() == []


def test_a_message_that_is_handed_over_twice_is_recorded_once(tmp_path: Path) -> None:
    base, fleet = a_fleet(tmp_path, 1)
    messages = handed_over(fleet.executor("e00").settings, [evaluation("no_upsizes", "2 upsizes")], START_TS)
    first = FleetAlertDesk(base, fixed(START_TS)).run([*messages, *messages], [], fleet.executors, is_round_over=False)
    assert first.recorded == []
    later = FleetAlertDesk(base, fixed(START_TS + LONGEST_WAIT_S))
    (group,) = later.run(messages, [], fleet.executors, is_round_over=False).recorded
    assert group.announced_ids == (f"e00.{messages[0].alert_id}",)
    assert later.run(messages, [], fleet.executors, is_round_over=True).recorded == []


def test_one_cause_of_forty_executors_is_one_message_that_names_them(tmp_path: Path) -> None:
    base, fleet = a_fleet(tmp_path, 40)
    evidence = [run_failed(name, ts=START_TS) for name in fleet.executors]
    desk = FleetAlertDesk(base, fixed(START_TS), host=HOST)
    assert desk.run([], evidence[:20], fleet.executors, is_round_over=False).recorded == []
    assert desk.run([], evidence[20:], fleet.executors, is_round_over=True).recorded == []
    over = FleetAlertDesk(base, fixed(START_TS + QUIET_S), host=HOST)
    (message,) = over.run([], [], fleet.executors, is_round_over=True).recorded
    assert message.subject == "run/compare_job of 40 executors"
    assert message.text == (
        "40 executors: e00: the disk is full; e01: the disk is full; e02: the disk is full; e03: the disk is full;"
        " e04: the disk is full; and 35 more executors say the same"
    )
    assert message.executor is not None and message.executor.endswith("e18, e19 and 20 more")
    assert (message.kind, message.severity, message.host) == (Kind.BEGINS, Severity.ERROR, HOST)
    assert over.run([], [], fleet.executors, is_round_over=True).recorded == []


def test_different_causes_are_different_messages_and_one_executor_is_named_with_its_text(tmp_path: Path) -> None:
    base, fleet = a_fleet(tmp_path, 3)
    messages = [
        *handed_over(fleet.executor("e00").settings, [evaluation("no_upsizes", "2 upsizes")], START_TS),
        *handed_over(fleet.executor("e01").settings, [evaluation("same_side", "1 other side")], START_TS),
        *handed_over(
            fleet.executor("e02").settings, [evaluation("same_side", "old", severity=Severity.WARN)], START_TS
        ),
    ]
    FleetAlertDesk(base, fixed(START_TS)).run(messages, [], fleet.executors, is_round_over=False)
    recorded = (
        FleetAlertDesk(base, fixed(START_TS + LONGEST_WAIT_S))
        .run([], [], fleet.executors, is_round_over=False)
        .recorded
    )
    assert {(message.subject, message.severity.value, message.executor, message.text) for message in recorded} == {
        ("compare_summary/no_upsizes of e00", "ERROR", "e00", "2 upsizes"),
        ("compare_summary/same_side of e01", "ERROR", "e01", "1 other side"),
        ("compare_summary/same_side of e02", "WARN", "e02", "old"),
    }


def test_what_one_run_says_is_one_message_and_joins_others_by_its_hardest_cause(tmp_path: Path) -> None:
    base, fleet = a_fleet(tmp_path, 3)
    of_upsizes = evaluation("no_upsizes", "2 upsizes")
    of_others = [
        evaluation("fills", "few", severity=Severity.WARN),
        evaluation("same_side", "1 other side"),
        of_upsizes,
    ]
    messages = [
        *handed_over(fleet.executor("e00").settings, of_others, START_TS),
        *handed_over(fleet.executor("e01").settings, [evaluation("same_side", "3 other sides")], START_TS),
        *handed_over(fleet.executor("e02").settings, [of_upsizes, evaluation("no_overfills", "1 overfill")], START_TS),
    ]
    FleetAlertDesk(base, fixed(START_TS)).run(messages, [], fleet.executors, is_round_over=False)
    desk = FleetAlertDesk(base, fixed(START_TS + QUIET_S))
    of_side, of_size = desk.run([], [], fleet.executors, is_round_over=True).recorded
    assert (of_side.subject, of_side.count, of_side.executor) == (
        "compare_summary/same_side of 2 executors",
        2,
        "e00, e01",
    )
    assert of_side.text == (
        "2 executors: e00: 1 other side (also compare_summary/no_upsizes, compare_summary/fills); e01: 3 other sides"
    )
    assert (of_size.subject, of_size.executor) == ("compare_summary/no_upsizes of e02", "e02")
    assert of_size.text == "2 upsizes; compare_summary/no_overfills: 1 overfill"
    assert len(of_side.announced_ids) + len(of_size.announced_ids) == len(messages)
    assert desk.run([], [], fleet.executors, is_round_over=True).recorded == []


def test_a_state_that_ends_is_over_for_the_executors_where_it_ended(tmp_path: Path) -> None:
    base, fleet = a_fleet(tmp_path, 2)
    names = list(fleet.executors)
    desk_at = [FleetAlertDesk(base, fixed(START_TS + hours * 3600.0)) for hours in range(3)]
    desk_at[0].run([], [run_failed(name, ts=START_TS) for name in names], names, is_round_over=False)
    (begins,) = desk_at[1].run([], [], names, is_round_over=True).recorded
    ended = [run_failed("e01", ts=START_TS + 3600.0, has_failed=False, text="compare_job succeeded")]
    assert desk_at[1].run([], ended, names, is_round_over=False).recorded == []
    (ends,) = desk_at[2].run([], [], names, is_round_over=True).recorded
    assert (begins.kind, begins.executor) == (Kind.BEGINS, "e00, e01")
    assert (ends.kind, ends.executor, ends.subject) == (Kind.ENDS, "e01", "run/compare_job of e01")


@pytest.mark.parametrize(("listed", "repeats"), [(("e00",), 1), ((), 0)])
def test_a_failure_that_lasts_is_repeated_unless_its_executor_was_removed(
    tmp_path: Path, listed: tuple[str, ...], repeats: int
) -> None:
    base, fleet = a_fleet(tmp_path, 1)
    desk = FleetAlertDesk(base, fixed(START_TS))
    desk.run([], [run_failed("e00", ts=START_TS)], fleet.executors, is_round_over=False)
    later_ts = START_TS + base.alert_repeat_s + 1
    FleetAlertDesk(base, fixed(later_ts)).run([], [], listed, is_round_over=False)
    recorded = FleetAlertDesk(base, fixed(later_ts + LONGEST_WAIT_S)).run([], [], listed, is_round_over=False).recorded
    assert sum(message.kind is Kind.REPEATS for message in recorded) == repeats


def test_no_alert_stands_of_an_executor_that_was_taken_out(tmp_path: Path) -> None:
    base, fleet = a_fleet(tmp_path, 2)
    evidence = [run_failed(name, ts=START_TS) for name in fleet.executors]
    FleetAlertDesk(base, fixed(START_TS)).run([], evidence, fleet.executors, is_round_over=False)
    standing = list_alerts(base, START_TS + 60, ["e01"]).standing
    assert [alert.subject for alert in standing] == ["e01: run/compare_job"]


def test_a_group_is_sent_once_to_the_channels_of_the_fleet(tmp_path: Path) -> None:
    with receiving() as receiver:
        base, fleet = a_fleet(tmp_path, 3, PIPELINE_V6_ALERT_URLS=receiver.url)
        evidence = [run_failed(name, ts=START_TS) for name in fleet.executors]
        FleetAlertDesk(base, fixed(START_TS), host=HOST).run([], evidence, fleet.executors, is_round_over=False)
        assert receiver.titles() == []
        desk = FleetAlertDesk(base, fixed(START_TS + QUIET_S), host=HOST)
        run = desk.run([], [], fleet.executors, is_round_over=True)
        assert (run.delivered, run.waiting) == (1, {})
        assert desk.run([], [], fleet.executors, is_round_over=True).delivered == 0
        (payload,) = [payload for _, _, payload in receiver.received]
    assert payload["title"] == "pipeline v6: ERROR: run/compare_job of 3 executors on control"
    assert "executor e00, e01, e02" in payload["message"]
