"""`pipeline-v6 acknowledge`: what it refuses, what it records, and what the record changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.cli import acknowledge as acknowledge_command
from pipeline_v6_dagster.cli import status as status_command
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster_tests.cli.running import Outcome, pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home

NOW = START_TS + 3600
FIXED_TS = START_TS + 1800
UNTIL_TS = NOW + 86_400
WHO = ("--by", "Ada", "--why", "lot step fixed")


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (acknowledge_command, status_command):
        monkeypatch.setattr(command, "clock", fixed(NOW))


@pytest.fixture
def red(tmp_path: Path) -> Settings:
    settings, _ = simulated_home(tmp_path, upsize_share=0.1)
    for command in ("shadow", "heartbeat", "compare", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    return settings


def acknowledge(home: Path, *arguments: str) -> Outcome:
    return pipeline_v6(home, "acknowledge", *arguments)


def as_json(outcome: Outcome) -> Any:
    assert outcome.stderr == ""
    return json.loads(outcome.stdout)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("no_such", *WHO), "'no_such' is no criterion; there are same_side, "),
        (("no_upsizes", "--by", " ", "--why", "fixed"), "needs a name (--by) and a reason (--why)"),
        (("no_upsizes", "--by", "", "--why", "fixed"), "needs a name (--by) and a reason (--why)"),
        (("no_upsizes", "--by", "Ada", "--why", ""), "needs a name (--by) and a reason (--why)"),
        (("no_upsizes", *WHO, "--fixed-at", str(NOW + 1)), "--fixed-at is in the future"),
        (("no_upsizes", *WHO, "--until", str(NOW)), "--until is in the past"),
        (("no_upsizes", *WHO, "--until", "2026-01-01"), "neither epoch seconds nor ISO-8601 with a zone"),
        (("no_upsizes", "--by", "Ada"), "--by and --why are needed"),
        (("no_upsizes", "--list"), "give --list alone"),
        ((), "name a criterion with --by and --why"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_records_nothing(
    tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    outcome = acknowledge(tmp_path, *arguments)
    assert (outcome.exit_code, outcome.stdout) == (64, "")
    assert expected in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not make_settings(tmp_path).alert_outbox.exists()


def test_a_valid_one_is_a_chained_line_of_the_alert_log(red: Settings) -> None:
    before = red.alert_outbox.read_bytes()
    times = ("--fixed-at", str(FIXED_TS), "--until", str(UNTIL_TS))
    outcome = acknowledge(red.home, "no_upsizes", *WHO, *times)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert "no_upsizes  by Ada: lot step fixed; evidence counts from " in outcome.stdout
    assert outcome.stdout.splitlines()[-1] == "the next compare applies it"
    written = red.alert_outbox.read_bytes()
    assert written.startswith(before)
    (row,) = map(json.loads, written[len(before) :].splitlines())
    assert len(row.pop("chain").split(":")) == 3
    assert row == {
        "type": "acknowledgement",
        "ts": NOW,
        "criterion": "no_upsizes",
        "by": "Ada",
        "why": "lot step fixed",
        "fixed_at": FIXED_TS,
        "until": UNTIL_TS,
    }
    assert pipeline_v6(red.home, "verify").exit_code == 0
    red.alert_outbox.write_bytes(written.replace(b"lot step fixed", b"lot step mixed"))
    assert pipeline_v6(red.home, "verify").exit_code == 65


def test_the_list_shows_the_newest_of_each_criterion_that_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert as_json(acknowledge(tmp_path, "--list", "--json")) == {"acknowledgements": []}
    assert acknowledge(tmp_path, "--list").stdout == "no acknowledgement stands\n"
    recorded = as_json(acknowledge(tmp_path, "no_upsizes", *WHO, "--until", str(NOW + 60), "--json"))
    assert (recorded["criterion"], recorded["by"], recorded["until"]) == ("no_upsizes", "Ada", NOW + 60)
    acknowledge(tmp_path, "same_side", "--by", "Ada", "--why", "looked at")
    monkeypatch.setattr(acknowledge_command, "clock", fixed(NOW + 10))
    acknowledge(tmp_path, "same_side", "--by", "Bob", "--why", "fixed")
    standing = as_json(acknowledge(tmp_path, "--list", "--json"))["acknowledgements"]
    assert [(each["criterion"], each["by"]) for each in standing] == [("same_side", "Bob"), ("no_upsizes", "Ada")]
    first, second = acknowledge(tmp_path, "--list").stdout.splitlines()
    assert "same_side  by Bob: fixed" in first
    assert "no_upsizes  by Ada: lot step fixed; silent until 2026-" in second
    monkeypatch.setattr(acknowledge_command, "clock", fixed(NOW + 60))
    standing = as_json(acknowledge(tmp_path, "--list", "--json"))["acknowledgements"]
    assert [each["criterion"] for each in standing] == ["same_side"]


def test_after_compare_the_epoch_begins_there_and_status_shows_who_why_and_until_when(red: Settings) -> None:
    before = as_json(pipeline_v6(red.home, "status", "--json"))
    assert before["verdict"] == "FAIL"
    times = ("--fixed-at", str(FIXED_TS), "--until", str(UNTIL_TS))
    assert acknowledge(red.home, "no_upsizes", *WHO, *times).exit_code == 0
    assert pipeline_v6(red.home, "compare").exit_code == 0
    after = as_json(pipeline_v6(red.home, "status", "--json"))
    epoch = after["summary"]["epoch"]
    assert before["summary"]["epoch"]["since_ts"] < FIXED_TS <= epoch["since_ts"] < FIXED_TS + 120
    (standing,) = after["acknowledged"]
    assert (standing["by"], standing["why"], standing["until"]) == ("Ada", "lot step fixed", UNTIL_TS)
    shown = pipeline_v6(red.home, "status").stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("acknowledged: "))
    assert "no_upsizes by Ada on " in line
    assert "lot step fixed; silent until " in line


@pytest.mark.parametrize("fixed_at", [None, FIXED_TS, NOW])
def test_it_never_makes_a_verdict_pass(red: Settings, fixed_at: float | None) -> None:
    times = () if fixed_at is None else ("--fixed-at", str(fixed_at))
    before = as_json(pipeline_v6(red.home, "status", "--json"))
    for criterion in before["failed_criteria"]:
        assert acknowledge(red.home, criterion, *WHO, *times).exit_code == 0
        assert as_json(pipeline_v6(red.home, "status", "--json"))["verdict"] == "FAIL"
    assert pipeline_v6(red.home, "compare").exit_code == 0
    outcome = pipeline_v6(red.home, "status", "--json")
    assert outcome.exit_code != 0
    assert as_json(outcome)["verdict"] != "PASS"
    if fixed_at is None:
        assert as_json(outcome)["verdict"] == "FAIL"
