"""Outbox and delivery, with real HTTP receivers: recorded once, in order, later where a channel is down, no secrets."""

import json
import logging
import time
from pathlib import Path
from threading import Thread

import pytest

from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.alerts.states import Evidence
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk, record_alerts
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings
from pipeline_v6_dagster_tests.receiver import SECRET, receiving


def failing(number: int, name: str = "no_upsizes") -> Evidence:
    return Evidence(
        subject=f"compare_summary/{name}",
        name=name,
        id=f"run-{number}/{name}",
        ts=START_TS + number,
        run_id=f"run-{number}",
        severity=Severity.ERROR,
        text=f"state {number}",
        link="https://desk/runbook",
    )


def passing(number: int, name: str = "no_upsizes") -> Evidence:
    return Evidence(
        subject=f"compare_summary/{name}",
        name=name,
        id=f"run-{number}/{name}",
        ts=START_TS + number,
        run_id=f"run-{number}",
        severity=None,
        text="well",
        link="https://desk/runbook",
    )


def make_desk(settings: Settings, now: float = START_TS) -> AlertDesk:
    return AlertDesk(settings, fixed(now))


def rows(settings: Settings) -> list[dict[str, object]]:
    return [json.loads(line) for line in settings.alert_outbox.read_text().splitlines()]


def test_a_message_is_recorded_sent_and_the_sending_recorded(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=receiver.url)
        run = make_desk(settings).run([[failing(1)]])
        assert (len(run.recorded), run.delivered, run.waiting) == (1, 1, {})
        assert make_desk(settings).run([[failing(1)]]).delivered == 0
    ((_, path, payload),) = receiver.received
    assert path == f"/{SECRET}"
    assert payload["type"] == "failure"
    assert "state 1" in payload["message"]
    message, delivery = rows(settings)
    assert (message["type"], message["kind"]) == ("message", "begins")
    assert (delivery["type"], delivery["alert_id"]) == ("delivery", message["alert_id"])
    assert delivery["channel"] == "json#1"


def test_without_channels_the_outbox_alone_is_written(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    run = make_desk(settings).run([[failing(1)]])
    assert (len(run.recorded), run.delivered, run.waiting) == (1, 0, {})
    assert [row["type"] for row in rows(settings)] == ["message"]


@pytest.mark.parametrize("has_restarted", [False, True], ids=["same process", "new process"])
def test_a_channel_that_is_down_gets_its_messages_later_once_and_in_order(tmp_path: Path, has_restarted: bool) -> None:
    with receiving() as receiver:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=receiver.url)
        desk = make_desk(settings)
        receiver.status = 503
        assert desk.run([[failing(1)], [passing(2)]]).waiting == {"json#1": 2}
        receiver.down()
        assert desk.run([[failing(3)]]).waiting == {"json#1": 3}
        receiver.status = 200
        receiver.up()
        desk = make_desk(settings) if has_restarted else desk
        assert desk.run([]).delivered == 3
        assert desk.run([]).delivered == 0
    assert receiver.refused == 1
    titles = ["ERROR: compare_summary/no_upsizes", "over: compare_summary/no_upsizes"]
    assert receiver.titles() == [f"pipeline v6: {title}" for title in (*titles, titles[0])]


def test_a_channel_that_is_down_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with receiving() as one, receiving() as other:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=f"{one.url} {other.url}")
        one.status = 500
        desk = make_desk(settings)
        run = desk.run([[failing(1)]])
        assert (run.delivered, run.waiting) == (1, {"json#1": 1})
        one.status = 200
        assert desk.run([]).delivered == 1
    assert len(one.received) == len(other.received) == 1


def test_a_redirect_is_not_a_delivery_and_its_target_gets_nothing(tmp_path: Path) -> None:
    with receiving() as moved, receiving() as target:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=moved.url)
        moved.status, moved.location = 302, f"http://127.0.0.1:{target.port}/{SECRET}"
        assert make_desk(settings).run([[failing(1)]]).waiting == {"json#1": 1}
        assert (moved.refused, target.received, target.refused) == (1, [], 0)


def test_a_receiver_that_drips_costs_no_more_than_the_budget_and_holds_up_nobody(tmp_path: Path) -> None:
    with receiving() as slow, receiving() as other:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=f"{slow.url} {other.url}")
        slow.drip_s = 0.2
        began = time.monotonic()
        sending = Thread(target=lambda: make_desk(settings).run([[failing(1)]], budget_s=8.0))
        sending.start()
        while not other.received and sending.is_alive():
            time.sleep(0.05)
        # The lock of the outbox is free while the slow one is being served.
        assert sending.is_alive()
        assert record_alerts(settings, [], START_TS) == []
        assert time.monotonic() - began < 8.0
        sending.join(60)
        assert time.monotonic() - began < 20.0
        assert len(other.received) == 1
        slow.drip_s = 0.0
        run = make_desk(settings).run([])
    assert (run.delivered, run.waiting) == (1, {})
    assert len(other.received) == 1


def test_while_another_process_delivers_nothing_is_sent_twice(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=receiver.url)
        with locked(settings.alert_outbox.with_suffix(".delivery"), 0.0):
            run = make_desk(settings).run([[failing(1)]])
        assert (len(run.recorded), run.delivered, run.waiting) == (1, 0, {"json#1": 1})
        assert receiver.received == []


def test_what_has_waited_for_long_is_sent_in_portions_and_in_order(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=receiver.url)
        desk = make_desk(settings)
        for number in range(60):
            desk.record([[failing(2 * number)], [passing(2 * number + 1)]])
        assert desk.deliver().waiting == {"json#1": 20}
        assert desk.deliver().delivered == 20
    kinds = ["over" if "over" in title else "begins" for title in receiver.titles()]
    assert kinds == ["begins", "over"] * 60


def test_a_kill_between_recording_and_sending_loses_nothing(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=receiver.url)
        receiver.status = 500
        make_desk(settings).run([[failing(1)]])
        # The line that a killed writer had begun.
        with settings.alert_outbox.open("ab") as outbox:
            outbox.write(b'{"type":"delivery","alert')
        receiver.status = 200
        assert make_desk(settings).run([[failing(1)]]).delivered == 1
    assert len(receiver.received) == 1
    assert [row["type"] for row in rows(settings)] == ["message", "delivery"]


def test_secrets_of_a_url_are_in_no_log_no_output_and_no_outbox(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    urls = [
        f"json://ops:{SECRET}@127.0.0.1:9/{SECRET}",
        f"slack://{SECRET}",
        f"nothing-known://{SECRET}",
        f"mailto://ops:{SECRET}@127.0.0.1:9?smtp=127.0.0.1&to=desk@example.com",
    ]
    settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=" ".join(urls))
    with caplog.at_level(logging.DEBUG):
        run = make_desk(settings).run([[failing(1)]])
        said = repr(run) + repr(settings)
    assert run.waiting == {"json#1": 1, "slack#1": 1, "nothing-known#1": 1, "mailto#1": 1}
    output = capfd.readouterr()
    for text in (caplog.text, output.out, output.err, settings.alert_outbox.read_text(), said):
        assert SECRET not in text


def test_an_outbox_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings.alert_outbox.parent.mkdir(parents=True)
    settings.alert_outbox.write_text("notes of mine\n")
    with pytest.raises(DataError, match="pipeline_v6_alerts"):
        make_desk(settings).run([[failing(1)]])
    assert settings.alert_outbox.read_text() == "notes of mine\n"
