"""What stands, what was sent where and what waits, from the alert log; and a test message to every channel."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.alerts.message import Kind, Severity
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.acknowledge import acknowledge
from pipeline_v6_dagster.stages.outputs.alert_list import list_alerts
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, make_settings
from pipeline_v6_dagster_tests.receiver import SECRET, receiving
from pipeline_v6_dagster_tests.stages.outputs.test_alerts import failing, make_desk, passing


def test_an_empty_home_has_no_alert(tmp_path: Path) -> None:
    found = list_alerts(make_settings(tmp_path), START_TS)
    assert (found.standing, found.sent, found.waiting, found.acknowledgements) == ((), (), (), ())
    outcome = pipeline_v6(tmp_path, "alerts")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines()[0] == "no alert stands"
    assert not any(tmp_path.iterdir())


def test_what_stands_was_sent_and_waits_is_listed_by_channel(tmp_path: Path) -> None:
    with receiving() as one, receiving() as other:
        urls = f"{one.url} {other.url}"
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=urls)
        other.status = 500
        make_desk(settings).run([[failing(1)], [failing(2, "same_side")], [passing(3, "same_side")]])
        acknowledge(settings, Acknowledgement(ts=START_TS, criterion="no_upsizes", by="Ada", why="known"))
        found = list_alerts(settings, START_TS + 60)
        (alert,) = found.standing
        assert (alert.subject, alert.severity, alert.since_ts) == (
            "compare_summary/no_upsizes",
            Severity.ERROR,
            START_TS + 1,
        )
        assert alert.acknowledged is not None and alert.acknowledged.by == "Ada"
        assert [(sent.channel, sent.kind) for sent in found.sent] == [
            ("json#1", Kind.ENDS),
            ("json#1", Kind.BEGINS),
            ("json#1", Kind.BEGINS),
        ]
        assert [(each.channel, each.count, each.oldest_ts) for each in found.waiting] == [
            ("json#1", 0, None),
            ("json#2", 3, START_TS),
        ]
        assert [record.by for record in found.acknowledgements] == ["Ada"]
        text = pipeline_v6(tmp_path, "alerts", PIPELINE_V6_ALERT_URLS=urls).stdout
        data = json.loads(pipeline_v6(tmp_path, "alerts", "--json", PIPELINE_V6_ALERT_URLS=urls).stdout)
    assert "  ERROR compare_summary/no_upsizes since 2026-09-21 14:13:21 UTC" in text
    assert "json#2: 3 messages wait, the oldest since 2026-09-21 14:13:20 UTC" in text
    assert "acknowledged by Ada on 2026-09-21 14:13:20 UTC: known" in text
    assert SECRET not in text
    assert set(data) == {"standing", "sent", "waiting", "acknowledgements"}
    gone = list_alerts(make_settings(tmp_path), START_TS + 60)
    assert [(each.channel, each.is_configured) for each in gone.waiting] == [("json#2", False)]


@pytest.mark.slow
def test_a_test_message_goes_to_every_channel_each_is_reported_and_nothing_is_recorded(tmp_path: Path) -> None:
    with receiving() as one, receiving() as other:
        other.status = 500
        urls = f"{one.url} {other.url}"
        outcome = pipeline_v6(tmp_path, "alerts", "--test", PIPELINE_V6_ALERT_URLS=urls)
        assert outcome.exit_code == 1
        assert outcome.stdout.splitlines() == [
            "json#1: accepted",
            "json#2: NOT accepted; check its URL and its server",
        ]
        other.status = 200
        again = pipeline_v6(tmp_path, "alerts", "--test", "--json", PIPELINE_V6_ALERT_URLS=urls)
        assert again.exit_code == 0
    assert json.loads(again.stdout) == {
        "channels": [{"channel": "json#1", "is_accepted": True}, {"channel": "json#2", "is_accepted": True}]
    }
    ((_, _, payload),) = other.received
    assert "this is a test message; nothing is wrong" in payload["message"]
    assert SECRET not in outcome.stdout + outcome.stderr + again.stdout
    assert not any(tmp_path.iterdir())


def test_without_a_channel_there_is_nothing_to_test(tmp_path: Path) -> None:
    outcome = pipeline_v6(tmp_path, "alerts", "--test")
    assert outcome.exit_code == 65
    assert "PIPELINE_V6_ALERT_URLS: is empty" in outcome.stderr
