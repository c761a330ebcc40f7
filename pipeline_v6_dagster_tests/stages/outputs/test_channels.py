"""Channels besides webhooks: mail to a real SMTP server; Slack and Telegram, whose hosts are fixed, as far as here."""

import logging
from dataclasses import replace
from pathlib import Path

import apprise
import dagster as dg
import pytest

from pipeline_v6_dagster.alerts.delivery import name_channels
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.alerts.sender import open_channel
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import make_settings, simulated_home
from pipeline_v6_dagster_tests.mailbox import mailing
from pipeline_v6_dagster_tests.receiver import SECRET
from pipeline_v6_dagster_tests.stages.outputs.test_alerts import failing, make_desk, passing

SLACK_TOKENS = ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ")
TELEGRAM_TOKEN = "123456789:abcdefg_hijklmnop-QRSTUVWXYZ012345"  # noqa: S105 -- nobody's
SLACK_URL = f"slack://{'/'.join(SLACK_TOKENS)}/#desk"
TELEGRAM_URL = f"tgram://{TELEGRAM_TOKEN}/12315544"
# What must be found nowhere. Apprise writes a colon in a URL also as %3A.
SECRETS = (SECRET, *SLACK_TOKENS, TELEGRAM_TOKEN.partition(":")[2])


def test_a_mail_says_what_happened_to_whom_it_shall_be_told(tmp_path: Path) -> None:
    with mailing() as mailbox:
        desk = make_desk(make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=mailbox.url))
        assert desk.run([[failing(1)], [passing(2)]]).delivered == 2
    assert mailbox.subjects() == [
        "pipeline v6: ERROR: compare_summary/no_upsizes",
        "pipeline v6: over: compare_summary/no_upsizes",
    ]
    assert mailbox.recipients == [["desk@desk.example"]] * 2
    body = mailbox.received[0].get_body(("plain",))
    assert body is not None
    assert "state 1" in body.get_content() and "https://desk/runbook" in body.get_content()
    assert SECRET not in mailbox.received[0].as_string()


@pytest.mark.parametrize("has_restarted", [False, True], ids=["same process", "new process"])
@pytest.mark.slow
def test_a_mail_server_that_is_down_gets_its_mails_later_once_and_in_order(
    tmp_path: Path,
    has_restarted: bool,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with mailing() as mailbox, caplog.at_level(logging.DEBUG):
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=mailbox.url)
        desk = make_desk(settings)
        mailbox.down()
        waiting = desk.run([[failing(1)], [passing(2)]])
        assert (waiting.delivered, waiting.waiting) == (0, {"mailto#1": 2})
        mailbox.up()
        desk = make_desk(settings) if has_restarted else desk
        assert desk.run([]).delivered == 2
        assert desk.run([]).delivered == 0
    assert [subject.partition(": ")[2] for subject in mailbox.subjects()] == [
        "ERROR: compare_summary/no_upsizes",
        "over: compare_summary/no_upsizes",
    ]
    output = capfd.readouterr()
    for text in (caplog.text, output.out, output.err, settings.alert_outbox.read_text(), repr(waiting)):
        assert SECRET not in text


@pytest.mark.slow
def test_warnings_of_one_moment_are_one_mail_and_an_error_is_its_own(tmp_path: Path) -> None:
    names = ("coverage", "fills", "orders_prompt")
    warnings = [replace(failing(1, name), severity=Severity.WARN) for name in names]
    with mailing() as mailbox:
        settings = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=mailbox.url)
        desk = make_desk(settings)
        assert desk.run([[failing(1), *warnings]]).delivered == 4
        assert desk.run([[passing(2, name) for name in ("no_upsizes", *names)]]).delivered == 4
    assert mailbox.subjects() == [
        "pipeline v6: ERROR: compare_summary/no_upsizes",
        "pipeline v6: WARN: 3 checks",
        "pipeline v6: over: 4 checks",
    ]
    body = mailbox.received[1].get_body(("plain",))
    assert body is not None
    for number, name in enumerate(names, 1):
        assert f"{number} of 3: compare_summary/{name}\nWhat: state 1\n" in body.get_content().replace("\r\n", "\n")


def test_a_body_that_is_longer_than_the_service_takes_is_split() -> None:
    for url, mode in ((TELEGRAM_URL, "split"), (f"{TELEGRAM_URL}?overflow=truncate", "truncate")):
        channel = open_channel(url)
        assert channel is not None
        assert [service.overflow_mode for service in channel] == [mode]


@pytest.mark.slow
def test_a_wrong_password_delays_a_mail_and_loses_none(tmp_path: Path) -> None:
    with mailing() as mailbox:
        wrong = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=mailbox.url.replace(SECRET, "mistyped"))
        assert make_desk(wrong).run([[failing(1)]]).waiting == {"mailto#1": 1}
        right = make_settings(tmp_path, PIPELINE_V6_ALERT_URLS=mailbox.url)
        assert make_desk(right).run([]).delivered == 1
    assert len(mailbox.received) == 1


@pytest.mark.parametrize(
    ("url", "service"),
    [
        (SLACK_URL, "Slack"),
        (TELEGRAM_URL, "Telegram"),
        (f"mailtos://ops:{SECRET}@desk.example?to=desk@desk.example", "E-Mail"),
        (f"jsons://ops:{SECRET}@desk.example/{SECRET}", "JSON"),
    ],
)
def test_a_url_is_one_of_its_service_is_named_by_its_scheme_and_shown_without_its_secrets(
    tmp_path: Path, url: str, service: str
) -> None:
    settings, _ = simulated_home(tmp_path, seconds=60, PIPELINE_V6_ALERT_URLS=url)
    channel = apprise.Apprise.instantiate(url)
    assert channel is not None and str(channel.service_name).startswith(service)
    scheme = url.partition(":")[0]
    assert name_channels(settings.alert_urls) == {f"{scheme}#1": url}
    for arguments in (("doctor",), ("doctor", "--json"), ("status", "--json")):
        said = pipeline_v6(settings.home, *arguments, PIPELINE_V6_ALERT_URLS=url)
        assert "PIPELINE_V6_ALERT_URLS: URL" not in said.stdout
        if arguments[0] == "doctor":
            assert f"{scheme}://..." in said.stdout
        assert not [secret for secret in SECRETS if secret in said.stdout + said.stderr]
    assert not [secret for secret in SECRETS if secret in repr(settings)]


def test_what_the_ui_shows_holds_no_secret_of_a_url(tmp_path: Path) -> None:
    urls = " ".join((SLACK_URL, TELEGRAM_URL, f"mailtos://ops:{SECRET}@desk.example"))
    settings, _ = simulated_home(tmp_path / "home", seconds=60, PIPELINE_V6_ALERT_URLS=urls)
    defs = build_defs(settings)
    repository = defs.get_repository_def()
    shown = [repr((sensor.description, sensor.metadata, sensor.tags)) for sensor in repository.sensor_defs]
    shown += [repr((each.description, each.metadata, each.tags)) for each in repository.schedule_defs]
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("shadow_job", "compare_job"):
            result = defs.resolve_job_def(name).execute_in_process(instance=instance)
            shown += [repr(entry) for entry in instance.all_logs(result.run_id)]
        assert len(shown) > 50
        assert not [secret for secret in SECRETS for text in shown if secret in text]
