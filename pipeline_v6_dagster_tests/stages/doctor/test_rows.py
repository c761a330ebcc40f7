"""What the newest rows carry."""

from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.stages.doctor.rows import RowShare, row_shares
from pipeline_v6_dagster.stages.doctor.run import Action, Findings, examine
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row


def look(home: Path, **environ: str) -> Findings:
    return examine({"PIPELINE_V6_HOME": str(home), **environ}, home, T0)


def share(home: Home, what: str) -> RowShare:
    (found,) = (each for each in row_shares(home.settings) if each.what == what)
    return found


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


@pytest.mark.parametrize(
    ("what", "keys"),
    [
        ("attempts without an id", ("intent_id", "attempt_id")),
        ("attempts without a price", ("price_hint", "price")),
        ("attempts without a NAV", ("nav_snapshot",)),
    ],
)
def test_the_share_of_attempts_that_carry_something(tmp_path: Path, what: str, keys: tuple[str, ...]) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), without(attempt_row(1, "2"), *keys), attempt_row(2, "3"), b"{torn")
    found = share(home, what)
    assert (found.count, found.total) == (2, 3)
    assert str(found) in look(tmp_path).warning_groups[Action.EXECUTOR]


def test_attempts_without_any_nav_are_a_problem_because_each_is_denied(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(*(without(attempt_row(at, str(at)), "nav_snapshot") for at in range(3)))
    findings = look(tmp_path)
    assert any("3 of the newest 3 attempts without a NAV: v6 denies each" in problem for problem in findings.problems)
    assert look(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external").problems == ()


def test_what_a_rule_assumes_is_said_and_is_no_warning(tmp_path: Path) -> None:
    home = Home(tmp_path)
    row = without(attempt_row(0, "1"), "leverage", "lev")
    row["nav_snapshot"] = without(row["nav_snapshot"], "ts", "updated_ts", "nav_age_s")
    home.attempts(row)
    findings = look(tmp_path)
    assert any("without leverage: v6 assumes" in text for text in findings.assumptions)
    assert any("without a time of their NAV: v6 assumes" in text for text in findings.assumptions)
    assert any("without a free balance: v6 assumes" in text for text in findings.assumptions)
    row["nav_snapshot"]["availableBalance"] = 100.0
    home.attempts(row)
    assert share(home, "attempts without a free balance").count == 1
    assert findings.warnings == ()


def test_acks_without_a_requested_quantity_are_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.orders(ack_row(1, "1"), without(ack_row(2, "2"), "request_qty"), fill_row(3, "1"))
    found = share(home, "acks without a requested quantity")
    assert (found.count, found.total) == (1, 2)


def test_closes_without_a_flag_matter_only_without_position_rows(tmp_path: Path) -> None:
    home = Home(tmp_path)
    close = without(fill_row(3, "1"), "reduceOnly") | {"event_type": "order_close"}
    home.orders(close, close | {"reduceOnly": True})
    assert share(home, "closes without a reduce-only flag").count == 1
    home.settings.position_state.write_text('{"symbol": "BTCUSDT", "pos_qty": 1, "ts": "2025-11-05T00:00:00+00:00"}\n')
    assert not any(each.what.startswith("closes") for each in row_shares(home.settings))


def test_times_without_a_zone_are_counted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    zoned, unzoned = "2025-11-01T00:00:00+00:00", "2025-11-01T00:00:00"
    home.orders(ack_row(1, "1") | {"ts": unzoned}, ack_row(2, "2") | {"ts": zoned}, ack_row(3, "3") | {"ts": "soon"})
    found = [each for each in row_shares(home.settings) if each.what == "rows without a time zone"]
    assert [(each.count, each.total) for each in found] == [(0, 0), (2, 3), (0, 0)]


def test_logs_without_rows_have_no_share(tmp_path: Path) -> None:
    shares = row_shares(Home(tmp_path).settings)
    assert {each.ratio for each in shares} == {None}
    assert not any(isinstance(each.ratio, float) for each in shares)
