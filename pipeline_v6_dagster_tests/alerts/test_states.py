"""Which message is due: begins, worsens, repeats, ends; and what is silent because another check tells it."""

from typing import Any

import msgspec
import pytest

from pipeline_v6_dagster.alerts.message import (
    AcknowledgedBy,
    AlertOrder,
    Delivery,
    Kind,
    Message,
    Severity,
    format_body,
    format_title,
)
from pipeline_v6_dagster.alerts.states import Evidence, Policy, worth_announcing
from pipeline_v6_dagster.logs.alert_outbox import Outbox, decode_line, encode_line

T0 = 1_790_000_000.0
HOUR = 3600.0
POLICY = Policy(repeat_s=4 * HOUR, group_s=300.0, channels=("json#1",))


def evidence(severity: Severity | None = Severity.ERROR, **changes: Any) -> Evidence:
    fields: dict[str, Any] = {
        "subject": "compare_summary/no_upsizes",
        "name": "no_upsizes",
        "id": "run-1/1",
        "ts": T0,
        "run_id": "run-1",
        "severity": severity,
        "text": "1 order placed larger than asked for; newest: BTCUSDT ord_1 x2.00 (500.00 USD too much)",
        "todo": "Stop the executor",
        "link": "https://desk/runbook#no_upsizes",
        "failing_ids": ("d1",) if severity is not None else (),
    }
    return Evidence(**(fields | changes))


class Desk:
    """Feeds evidence to an outbox and keeps what comes out."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.number = 0

    def at(self, now: float, *of_one_run: Evidence) -> list[tuple[Kind, str]]:
        messages = self.outbox.due([of_one_run] if of_one_run else [], POLICY, now)
        for message in messages:
            self.outbox.add(message)
        return [(message.kind, message.subject.rpartition("/")[2]) for message in messages]

    def new(self, severity: Severity | None = Severity.ERROR, **changes: Any) -> Evidence:
        """Evidence of another run."""
        self.number += 1
        return evidence(severity, **({"id": f"run-{self.number}/1", "run_id": f"run-{self.number}"} | changes))


def test_a_state_is_told_when_it_begins_and_when_it_ends_and_not_in_between() -> None:
    desk = Desk()
    assert desk.at(T0, desk.new(None)) == []
    assert desk.at(T0 + 60, desk.new()) == [(Kind.BEGINS, "no_upsizes")]
    assert desk.at(T0 + 120, desk.new()) == []
    assert desk.at(T0 + 900, desk.new(None)) == [(Kind.ENDS, "no_upsizes")]
    assert desk.at(T0 + 960, desk.new(None)) == []
    assert desk.at(T0 + 990, desk.new()) == [(Kind.BEGINS, "no_upsizes")]


def test_a_state_that_lasts_is_told_again_every_four_hours_also_without_new_evidence() -> None:
    desk = Desk()
    told = []
    for minute in range(0, 13 * 60, 15):
        now = T0 + minute * 60
        told += [(minute / 60, kind) for kind, _ in desk.at(now, *([desk.new()] if minute < 60 else []))]
    assert told == [(0, Kind.BEGINS), (4, Kind.REPEATS), (8, Kind.REPEATS), (12, Kind.REPEATS)]


def test_a_warning_that_becomes_an_error_is_told_at_once_and_the_way_back_is_not() -> None:
    desk = Desk()
    assert desk.at(T0, desk.new(Severity.WARN)) == [(Kind.BEGINS, "no_upsizes")]
    assert desk.at(T0 + 1, desk.new(Severity.ERROR)) == [(Kind.WORSENS, "no_upsizes")]
    assert desk.at(T0 + 2, desk.new(Severity.WARN)) == []
    assert desk.at(T0 + 3, desk.new(Severity.ERROR)) == []


def test_further_upsizes_are_gathered_for_five_minutes_and_each_is_told_once() -> None:
    desk = Desk()
    assert desk.at(T0, desk.new(failing_ids=("d1",)))
    assert desk.at(T0 + 60, desk.new(failing_ids=("d2", "d1"))) == []
    assert desk.at(T0 + 300, desk.new(failing_ids=("d3", "d2", "d1"))) == [(Kind.WORSENS, "no_upsizes")]
    assert desk.at(T0 + 900, desk.new(failing_ids=("d3", "d1"))) == []
    assert desk.outbox.newest["compare_summary/no_upsizes"].announced_ids == ("d3", "d2", "d1")


def test_the_same_evidence_read_again_makes_no_second_message() -> None:
    desk = Desk()
    failed, passed = desk.new(), desk.new(None)
    assert len(desk.at(T0, failed)) == 1
    assert len(desk.at(T0 + 1, passed)) == 1
    assert desk.at(T0 + 2, failed) == []
    assert desk.at(T0 + 3, passed) == []


def test_of_several_runs_the_oldest_is_told_first() -> None:
    desk = Desk()
    runs = [[desk.new()], [desk.new(None)], [desk.new()]]
    messages = desk.outbox.due(runs, POLICY, T0 + 5)
    assert [message.kind for message in messages] == [Kind.BEGINS, Kind.ENDS, Kind.BEGINS]
    assert len({message.alert_id for message in messages}) == 3


def of(name: str, severity: Severity | None = Severity.ERROR, **changes: Any) -> Evidence:
    return evidence(severity, subject=f"compare_summary/{name}", name=name, **changes)


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ([of("no_upsizes"), of("sizes_agree", explained_by=frozenset({"no_upsizes"}))], ["no_upsizes"]),
        ([of("sizes_agree", explained_by=frozenset({"no_upsizes"}))], ["sizes_agree"]),
        ([of("still_agrees", is_quiet=True)], []),
        ([of("verdict")], ["verdict"]),
        ([of("verdict", Severity.WARN)], []),
        ([of("warmup", Severity.WARN)], []),
        ([of("warmup", Severity.WARN), of("verdict", Severity.WARN)], []),
        ([of("warmup", Severity.WARN), of("no_upsizes", Severity.WARN)], ["no_upsizes"]),
        ([of("warmup", Severity.WARN), of("no_upsizes", Severity.WARN, is_measured=False)], []),
        ([of("no_upsizes", is_measured=False), of("coverage", Severity.WARN)], ["coverage"]),
        ([of("coverage", Severity.WARN, is_measured=False)], ["coverage"]),
        ([of("no_upsizes", is_measured=False)], ["no_upsizes"]),
    ],
)
def test_a_cause_is_told_and_its_effects_are_not(failing: list[Evidence], told: list[str]) -> None:
    assert [each.name for each in worth_announcing(failing)] == told


def test_what_is_silent_still_ends() -> None:
    desk = Desk()
    assert desk.at(T0, of("verdict", id="a")) == [(Kind.BEGINS, "verdict")]
    assert desk.at(T0 + 1, of("verdict", id="b"), of("no_upsizes", id="c")) == [(Kind.BEGINS, "no_upsizes")]
    assert desk.at(T0 + 2, of("verdict", None, id="d"), of("no_upsizes", id="e")) == [(Kind.ENDS, "verdict")]


def test_the_message_says_what_which_how_much_since_when_and_what_to_do() -> None:
    desk = Desk()
    desk.at(T0 + 90, desk.new())
    message = desk.outbox.newest["compare_summary/no_upsizes"]
    assert format_title(message) == "pipeline v6: ERROR: compare_summary/no_upsizes"
    body = format_body(message)
    for part in (
        "BTCUSDT ord_1 x2.00 (500.00 USD too much)",
        "Noticed: 2026-09-21 14:13:20 UTC, 1 min ago",
        "Do: Stop the executor",
        "Runbook: https://desk/runbook#no_upsizes",
        "Run: run-1",
    ):
        assert part in body
    desk.at(T0 + 3 * HOUR, desk.new(None, text="no order of 500 was placed larger than asked for"))
    over = desk.outbox.newest["compare_summary/no_upsizes"]
    assert format_title(over) == "pipeline v6: over: compare_summary/no_upsizes"
    assert "Failed since: 2026-09-21 14:13:20 UTC, 3 h 0 min ago" in format_body(over)


def order(number: int, ts: float = T0, excess_usd: float | None = 100.0) -> AlertOrder:
    return AlertOrder(ts=ts, symbol="BTCUSDT", side="BUY", decision_id=f"d{number}", ratio=2.0, excess_usd=excess_usd)


def test_the_message_names_the_largest_orders_with_their_time_and_the_command_that_explains_them() -> None:
    desk = Desk()
    orders = tuple(order(number, T0 - number, 100.0 * number) for number in range(8))
    desk.at(T0 + 60, desk.new(orders=orders, excess_usd=2800.0))
    message = desk.outbox.newest["compare_summary/no_upsizes"]
    assert [each.decision_id for each in message.orders] == ["d7", "d6", "d5", "d4", "d3"]
    body = format_body(message)
    assert "When: 2026-09-21 14:13:13 UTC to 2026-09-21 14:13:20 UTC" in body
    assert "Excess: 2,800.00 USD in total" in body
    line = "2026-09-21 14:13:13 UTC BTCUSDT BUY x2.00, 700.00 USD too much; pipeline-v6 explain d7"
    assert line in body


@pytest.mark.parametrize(
    ("executor", "command"),
    [
        ("/srv/the desk", "Explain: PIPELINE_V6_HOME='/srv/the desk' /opt/v6/pipeline-v6 explain d1"),
        ("alpha", "Explain: /opt/v6/pipeline-v6 --executor alpha explain d1"),
        ("alpha, beta", "Explain: /opt/v6/pipeline-v6 explain d1"),
    ],
)
def test_the_command_asks_about_the_executor_of_the_order(executor: str, command: str) -> None:
    desk = Desk()
    desk.at(T0, desk.new(orders=(order(1),)))
    message = msgspec.structs.replace(desk.outbox.newest["compare_summary/no_upsizes"], executor=executor)
    assert command in format_body(message, "/opt/v6/pipeline-v6").splitlines()


def test_of_more_orders_than_are_remembered_the_message_says_of_how_many_the_excess_is() -> None:
    desk = Desk()
    desk.at(T0, desk.new(orders=(order(1), order(2), order(3, excess_usd=None)), excess_usd=200.0, count=58))
    body = format_body(desk.outbox.newest["compare_summary/no_upsizes"])
    assert "Excess: at least 200.00 USD, over 2 of 58 orders" in body


def test_an_incident_without_known_orders_is_as_old_as_the_newest_order_that_was_judged() -> None:
    desk = Desk()
    now = T0 + 30 * 24 * HOUR
    assert desk.at(now, desk.new(newest_order_ts=T0)) == [(Kind.BEGINS, "no_upsizes")]
    message = desk.outbox.newest["compare_summary/no_upsizes"]
    assert message.severity is Severity.WARN
    assert "from 2026-09-21 14:13:20 UTC, more than a day ago" in message.text
    assert desk.at(now + 5 * HOUR) == []
    assert desk.at(now + 5 * HOUR, desk.new(newest_order_ts=now)) == [(Kind.WORSENS, "no_upsizes")]


def test_an_incident_of_another_day_is_one_warning_that_says_so_until_something_is_new() -> None:
    desk = Desk()
    now = T0 + 30 * 24 * HOUR
    assert desk.at(now, desk.new(orders=(order(1),))) == [(Kind.BEGINS, "no_upsizes")]
    message = desk.outbox.newest["compare_summary/no_upsizes"]
    assert message.severity is Severity.WARN
    assert "from 2026-09-21 14:13:20 UTC, more than a day ago" in message.text
    assert desk.at(now + 5 * HOUR, desk.new(orders=(order(1),))) == []
    fresh = desk.new(orders=(order(2, now), order(1)), failing_ids=("d2", "d1"))
    assert desk.at(now + 5 * HOUR + 1, fresh) == [(Kind.WORSENS, "no_upsizes")]
    assert desk.outbox.newest["compare_summary/no_upsizes"].severity is Severity.ERROR
    assert desk.at(now + 10 * HOUR) == [(Kind.REPEATS, "no_upsizes")]


def test_an_acknowledgement_with_an_end_silences_repeats_until_then_and_nothing_else() -> None:
    desk = Desk()
    desk.outbox.acknowledged["no_upsizes"] = AcknowledgedBy(ts=T0, by="Ada", why="known", until=T0 + 10 * HOUR)
    assert desk.at(T0, desk.new(Severity.WARN)) == [(Kind.BEGINS, "no_upsizes")]
    assert desk.at(T0 + 5 * HOUR) == []
    assert desk.at(T0 + 6 * HOUR, desk.new()) == [(Kind.WORSENS, "no_upsizes")]
    message = desk.outbox.newest["compare_summary/no_upsizes"]
    assert "Acknowledged: by Ada on 2026-09-21 14:13:20 UTC: known (not repeated before 2026-09-22" in format_body(
        message
    )
    assert desk.at(T0 + 10 * HOUR - 1) == []
    assert desk.at(T0 + 10 * HOUR) == [(Kind.REPEATS, "no_upsizes")]
    assert desk.outbox.newest["compare_summary/no_upsizes"].acknowledged is None
    assert desk.at(T0 + 11 * HOUR, desk.new(None)) == [(Kind.ENDS, "no_upsizes")]


def test_an_acknowledgement_without_an_end_is_named_and_silences_nothing() -> None:
    desk = Desk()
    assert desk.at(T0, desk.new()) == [(Kind.BEGINS, "no_upsizes")]
    desk.outbox.acknowledged["no_upsizes"] = AcknowledgedBy(ts=T0 + 60, by="Ada", why="known")
    assert desk.at(T0 + 5 * HOUR) == [(Kind.REPEATS, "no_upsizes")]
    assert "Acknowledged: by Ada " in format_body(desk.outbox.newest["compare_summary/no_upsizes"])


def test_what_doubles_is_announced_at_once() -> None:
    desk = Desk()
    assert desk.at(T0, desk.new(excess_usd=100.0))
    assert desk.at(T0 + 1, desk.new(failing_ids=("d2", "d1"), excess_usd=199.0)) == []
    assert desk.at(T0 + 2, desk.new(failing_ids=("d2", "d1"), excess_usd=200.0)) == [(Kind.WORSENS, "no_upsizes")]
    assert desk.at(T0 + 3, desk.new(failing_ids=("d3", "d1"), excess_usd=399.0)) == []


def test_a_thousand_upsizes_in_a_minute_are_a_few_messages() -> None:
    desk = Desk()
    messages = []
    for number in range(1, 1001):
        ids = tuple(f"d{each}" for each in range(number))
        messages += desk.at(T0 + number * 0.06, desk.new(failing_ids=ids, excess_usd=100.0 * number))
    assert len(messages) <= 11


@pytest.mark.parametrize("ahead_s", [HOUR, 24 * HOUR, 10 * 365 * 24 * HOUR])
def test_a_message_from_a_clock_that_was_ahead_silences_no_later_one(ahead_s: float) -> None:
    desk = Desk()
    assert desk.at(T0 + ahead_s, desk.new(failing_ids=("d1",)))
    assert desk.at(T0, desk.new(failing_ids=("d2", "d1"))) == [(Kind.WORSENS, "no_upsizes")]
    assert desk.at(T0 + 60, desk.new(failing_ids=("d2", "d1"))) == []
    assert desk.at(T0 + 5 * HOUR) == [(Kind.REPEATS, "no_upsizes")]


@pytest.mark.parametrize("ahead_s", [HOUR, 24 * HOUR, 10 * 365 * 24 * HOUR])
def test_an_acknowledgement_from_a_clock_that_was_ahead_silences_nothing(ahead_s: float) -> None:
    desk = Desk()
    desk.at(T0, desk.new())
    desk.outbox.acknowledged["no_upsizes"] = AcknowledgedBy(
        ts=T0 + ahead_s, by="Ada", why="known", until=T0 + ahead_s + 24 * HOUR
    )
    assert desk.at(T0 + 4 * HOUR) == ([(Kind.REPEATS, "no_upsizes")] if ahead_s > 4 * HOUR else [])
    assert desk.at(T0 + ahead_s + 8 * HOUR) == []


@pytest.mark.parametrize("ahead_s", [25 * HOUR, 10 * 365 * 24 * HOUR])
def test_an_order_that_a_clock_ahead_took_for_history_is_repeated_again(ahead_s: float) -> None:
    desk = Desk()
    order = AlertOrder(ts=T0, decision_id="d1")
    assert desk.at(T0 + ahead_s, desk.new(Severity.WARN, orders=(order,))) == [(Kind.BEGINS, "no_upsizes")]
    for hours in (0, 4, 8):
        assert desk.at(T0 + hours * HOUR + 1) == [(Kind.REPEATS, "no_upsizes")]
    assert desk.at(T0 + hours * HOUR + 2) == []


@pytest.mark.parametrize("back_s", [HOUR, 24 * HOUR, 10 * 365 * 24 * HOUR])
def test_a_clock_that_steps_back_repeats_a_state_once_and_goes_on(back_s: float) -> None:
    desk = Desk()
    desk.at(T0, desk.new())
    assert desk.at(T0 - back_s, desk.new()) == [(Kind.REPEATS, "no_upsizes")]
    assert desk.at(T0 - back_s + 900, desk.new()) == []
    assert desk.at(T0 - back_s + 4 * HOUR) == [(Kind.REPEATS, "no_upsizes")]
    assert desk.at(T0 + 8 * HOUR, desk.new(None)) == [(Kind.ENDS, "no_upsizes")]


def test_a_repeat_after_a_clock_that_was_ahead_has_an_id_of_its_own() -> None:
    desk = Desk()
    desk.at(T0, desk.new())
    for now in (T0 + 5 * HOUR, T0 + 10 * HOUR, T0 + 5 * HOUR + 1):
        assert desk.at(now) == [(Kind.REPEATS, "no_upsizes")]
    assert len(desk.outbox.ids) == 4


def test_something_that_happens_once_is_announced_each_time_and_neither_repeats_nor_ends() -> None:
    desk = Desk()
    for number in range(2):
        failed = desk.new(Severity.WARN, is_once=True)
        assert desk.at(T0 + number, failed) == [(Kind.ONCE, "no_upsizes")]
        assert desk.at(T0 + number, failed) == []
    assert desk.at(T0 + 24 * HOUR, desk.new(None)) == []


def test_an_outbox_is_the_same_read_from_its_lines() -> None:
    desk = Desk()
    lines: list[Message | Delivery] = []
    for step, severity in enumerate((Severity.WARN, None, Severity.ERROR)):
        desk.at(T0 + step, desk.new(severity))
        lines.append(desk.outbox.newest["compare_summary/no_upsizes"])
        if step == 0:
            lines.append(Delivery(lines[0].alert_id, T0, "json#1"))  # type: ignore[union-attr]
    decoded = [decode_line(encode_line(line)) for line in lines]
    assert decoded == lines
    read = Outbox.of(line for line in reversed(decoded) if line is not None)
    assert read.newest == desk.outbox.newest
    assert read.ids == desk.outbox.ids
    assert [message.kind for message, _ in read.waiting] == [Kind.ENDS, Kind.BEGINS]


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b'{"type": "message"}', b"\xff", b'{"type": "other"}'])
def test_a_line_that_is_not_one_is_none(line: bytes) -> None:
    assert decode_line(line) is None
