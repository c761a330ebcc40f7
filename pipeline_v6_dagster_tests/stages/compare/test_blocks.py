"""A run with many diffs appends several blocks; each is whole, and no line depends on where they end."""

from pathlib import Path

import pytest

from pipeline_v6_dagster.stages.compare import run as compare
from pipeline_v6_dagster_tests.live_builders import (
    Home,
    ack_row,
    attempt_row,
    error_row,
    fill_row,
    veto_row,
)

LATER = 9000.0
COUNT = 12


def busy_day(home: Home) -> None:
    """Twelve orders, one of them late, then a veto that is late."""
    for number in range(COUNT):
        at = 200.0 * number
        home.attempts(attempt_row(at, str(number)))
        if number not in (3, 4):
            home.orders(ack_row(at + 1, str(number)), fill_row(at + 2, str(number)))
    home.orders(ack_row(2300, "3"), fill_row(2301, "3"))
    home.vetoes(veto_row(2400, "4"))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_lines_are_those_of_one_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    home = Home(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="4")
    busy_day(home)
    home.run(LATER)
    diffs, summary = home.diff_lines(), home.summary()
    assert len(home.block_ends()) == 1
    monkeypatch.setattr(compare, "BLOCK_DIFFS", size)
    home.compare(LATER, rebuild=True)
    assert home.diff_lines() == diffs
    assert home.summary() == summary
    ends = home.block_ends()
    assert len(ends) > 2
    assert sum(end["diff_count"] for end in ends) == len(diffs)
    assert sum(bool(diff["revision_of"]) for diff in home.diffs()) == 2


def test_a_run_that_is_killed_between_two_blocks_goes_on_after_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    busy_day(home)
    monkeypatch.setattr(compare, "BLOCK_DIFFS", 2)
    home.run(LATER)
    whole = home.settings.compare_diffs.read_bytes()
    lines = whole.splitlines(keepends=True)
    for kept in range(len(lines)):
        home.settings.compare_diffs.write_bytes(b"".join(lines[:kept]))
        home.compare(LATER)
        assert home.settings.compare_diffs.read_bytes() == whole


def test_a_late_veto_or_error_tells_what_became_of_a_decision_that_nobody_answered(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(1, "2"), attempt_row(2, "3"))
    home.run(1000)
    home.vetoes(veto_row(1100, "1"), veto_row(1101, "9"))
    home.orders(error_row(1102, "2"), ack_row(1103, "3"), fill_row(1104, "3"), error_row(1105, "3"))
    home.run(LATER)
    revisions = {diff["intent_id"]: diff for diff in home.diffs() if diff["revision_of"]}
    assert {intent: (diff["live_outcome"], diff["match_method"]) for intent, diff in revisions.items()} == {
        "ord_1": ("vetoed", "intent_id"),
        "ord_2": ("error", "intent_id"),
        "ord_3": ("executed", "intent_id"),
    }
    quality = home.summary()["input_quality"]
    assert quality["risk_vetoes"]["unusable"] == {"unmatched_veto": 1}
    assert quality["orders_executed"]["unusable"] == {"unmatched_error": 1}
    assert home.summary()["coverage"]["unresolved"] == 0


def test_attempts_that_share_an_intent_have_each_their_own_order(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first, second = {"intent_id": "ord_x", "attempt_id": "sig_a"}, {"intent_id": "ord_x", "attempt_id": "sig_b"}
    home.attempts(attempt_row(0, "1") | first, attempt_row(3, "2") | second)
    home.orders(
        ack_row(1, "1") | first,
        ack_row(4, "2", order_id=2) | second,
        fill_row(5, "2", order_id=2) | second,
        fill_row(6, "1") | first,
    )
    home.run(LATER)
    # The shadow denies the second as a repeat of the first, and so has no size of its own for it.
    assert [(diff["size_pct_diff"], diff["sizing_diff_pct"], diff["is_upsize"]) for diff in home.diffs()] == [
        (None, 0.0, False),
        (0.0, 0.0, False),
    ]


def test_a_run_that_is_stopped_among_late_repeats_has_advanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    for number in range(COUNT):
        at = 200.0 * number
        home.attempts(attempt_row(at, str(number)))
        home.orders(ack_row(at + 1, str(number)), fill_row(at + 2, str(number)))
    home.run(LATER)
    diffs = home.diff_lines()
    for number in range(COUNT):
        home.orders(*[fill_row(LATER + 10 * number + poll, str(number)) for poll in range(10)])
    monkeypatch.setattr(compare, "BLOCK_ROWS", 20)
    home.compare(2 * LATER)
    assert home.diff_lines() == diffs  # Nothing came of them.
    read = [end["cursor"]["read"]["orders_executed"]["end"] for end in home.block_ends()[1:]]
    assert len(read) > 3
    assert read == sorted(read)
    assert read[-1] == home.log("orders_executed").stat().st_size
    assert len(set(read)) > 3
