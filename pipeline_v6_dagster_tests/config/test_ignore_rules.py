"""Ignore rules: an owner, a reason, a date, and never silent."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.ignore_rules import expired_rules, load_ignore_rules
from pipeline_v6_dagster.domain.errors import ConfigError, StorageError
from pipeline_v6_dagster.stages.doctor.run import examine
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row

DAY_S = 86_400.0
RULE = {
    "name": "doubled on purpose",
    "owner": "desk",
    "reason": "size test of 1 November",
    "expires": "2025-11-02",
    "intent_id": "ord_2",
}


def write(home: Home, *rules: dict[str, Any]) -> Path:
    path = home.settings.ignore_rules
    path.write_text(json.dumps({"rules": rules}))
    return path


def doubled(home: Home, name: str, at: float) -> None:
    home.attempts(attempt_row(at, name))
    home.orders(ack_row(at + 1, name, qty=10.0), fill_row(at + 2, name, qty=10.0))


def test_without_a_file_nothing_is_ignored(tmp_path: Path) -> None:
    assert load_ignore_rules(tmp_path / "none.json") == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"owner": ""}, "owner"),
        ({"reason": " "}, "reason"),
        ({"expires": "some day"}, "expires"),
        ({"expires": None}, "expires"),
        ({"colour": "red"}, "colour"),
        ({"mismatch_kind": "close enough"}, "mismatch_kind"),
        ({"intent_id": None}, "not ignore everything"),
    ],
)
def test_a_rule_that_nobody_answers_for_or_that_is_not_understood_stops_the_run(
    tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    home = Home(tmp_path)
    write(home, RULE | change)
    with pytest.raises(ConfigError, match=word):
        home.run(10)


def test_a_file_that_does_not_open_is_a_fault_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "compare_ignore.json").mkdir()
    with pytest.raises(StorageError, match="check its owner and mode"):
        load_ignore_rules(tmp_path / "compare_ignore.json")


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several rules"):
        load_ignore_rules(write(Home(tmp_path), RULE, RULE))


def test_what_a_rule_ignores_is_no_sample_and_is_counted_by_its_name(tmp_path: Path) -> None:
    home = Home(tmp_path)
    doubled(home, "1", 0)
    doubled(home, "2", 10)
    write(home, RULE)
    home.run(5000)
    summary = home.summary()
    assert summary["ignored"] == {"doubled on purpose": 1}
    assert (summary["sample_size"], summary["sizing_diff_stats"]["upsize_count"]) == (1, 1)
    assert summary["totals"]["decisions"] == 2
    assert {diff["intent_id"]: diff["ignored_by"] for diff in home.diffs()} == {
        "ord_1": None,
        "ord_2": "doubled on purpose",
    }


def test_after_its_date_a_rule_ignores_nothing_and_the_doctor_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    doubled(home, "2", DAY_S)  # T0 is 1 November 2025.
    path = write(home, RULE)
    home.run(2 * DAY_S)
    assert home.summary()["ignored"] == {}
    assert expired_rules(path, T0) == ()
    (said,) = expired_rules(path, T0 + DAY_S)
    assert "desk" in said
    assert "size test of 1 November" in said
    environ = {"PIPELINE_V6_HOME": str(tmp_path)}
    assert any("'doubled on purpose'" in warning for warning in examine(environ, tmp_path, T0 + DAY_S).warnings)
    path.write_text("{")
    assert any(str(path) in problem for problem in examine(environ, tmp_path, T0).problems)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = write(Home(tmp_path), RULE)
    rules = load_ignore_rules(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_ignore_rules(path) == rules
