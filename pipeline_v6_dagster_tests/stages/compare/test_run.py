"""The compare stage on real files. Tolerance 900 s unless a test says otherwise, times in seconds after T0."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.errors import BusyError, DataError, StorageError
from pipeline_v6_dagster.storage import lock
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster_tests.live_builders import (
    ATTEMPTS,
    ORDERS,
    T0,
    VETOES,
    Feed,
    Home,
    ack_row,
    attempt_row,
    error_row,
    fill_row,
    iso,
    shadow_row,
    veto_row,
)

TOLERANCE_S = 900
LATER = 5000.0


def small_day(home: Home) -> None:
    """A match, a doubled order, a live veto, an order that v6 denies, one that both refuse, an unknown one."""
    home.attempts(
        attempt_row(0, "1"),
        attempt_row(10, "2"),
        attempt_row(20, "3"),
        attempt_row(30, "4", qty=50.0),
        attempt_row(40, "5", qty=50.0),
    )
    home.orders(
        ack_row(1, "1"),
        fill_row(2, "1"),
        ack_row(11, "2", qty=10.0),
        fill_row(12, "2", qty=10.0),
        ack_row(31, "4", qty=50.0),
        fill_row(32, "4", qty=50.0),
        ack_row(50, "9", qty=7.0),
        fill_row(51, "9", qty=7.0),
    )
    home.vetoes(veto_row(21, "3"), veto_row(41, "5"))


def kinds(home: Home) -> dict[str | None, str]:
    return {diff["intent_id"]: diff["mismatch_kind"] for diff in home.diffs()}


class TestARun:
    def test_it_says_how_each_decision_compares(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        run = home.run(LATER)
        assert kinds(home) == {
            "ord_1": "match",
            "ord_2": "match",
            "ord_3": "shadow_allowed_live_absent",
            "ord_4": "shadow_vetoed_live_executed",
            "ord_5": "match_veto",
            "ord_9": "live_only",
        }
        assert (run.diff_count, run.open_decisions, run.missing) == (6, 0, [])
        assert {diff["intent_id"] for diff in home.diffs() if diff["is_upsize"]} == {"ord_2"}

    def test_a_line_has_the_fields_of_the_contract(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        fields = {
            *("symbol", "ts", "decision_id", "intent_id", "side", "match_method", "match_dt_s", "live_outcome"),
            *("mismatch_kind", "veto_mismatch", "size_pct_diff", "sizing_diff_pct", "slippage_diff_bps"),
            *("impact_usd", "root_cause", "shadow", "live", "heartbeat"),
        }
        assert all(fields <= set(diff) for diff in home.diffs())
        assert all(diff["heartbeat"] is False for diff in home.diffs())

    def test_its_block_ends_with_the_summary_that_the_file_holds(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        (end,) = home.block_ends()
        assert set(end) == {"ts", "diff_count", "heartbeat", "summary", "cursor"}
        assert (end["ts"], end["diff_count"], end["heartbeat"]) == (T0 + LATER, 6, False)
        assert end["summary"] == home.summary()

    def test_the_summary_has_the_fields_of_the_contract(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        summary = home.summary()
        assert {
            *("generated_ts", "sample_size", "veto_mismatch_pct", "size_diff_stats", "slippage_diff_bps"),
            *("sizing_diff_stats", "is_warmup", "warmup_reason", "min_sample_size", "status", "verdict"),
            *("mismatch_kinds", "coverage", "input_quality", "by_symbol", "upsizes", "window", "config_hash", "totals"),
            *("verdict_reasons", "criteria", "failed_criteria", "epoch", "passed_symbols", "not_covered"),
        } <= set(summary)
        assert not {"evidence", "sequential_test"} & set(summary)
        assert (summary["sample_size"], summary["veto_mismatch_pct"]) == (5, 40.0)
        # The doubled order and the one without a decision are critical, also during warmup.
        assert (summary["status"], summary["verdict"], summary["is_warmup"]) == ("warmup", "FAIL", True)
        states = {criterion["name"]: criterion["state"] for criterion in summary["criteria"]}
        broken = {name for name, state in states.items() if state == "broken"}
        assert {"no_upsizes", "orders_explained"} <= broken
        assert set(summary["failed_criteria"]) <= broken
        assert summary["sizing_diff_stats"]["upsize_count"] == 1
        assert summary["coverage"] == {
            "matched": 5,
            "live_only": 1,
            "unresolved": 0,
            "by_method": {"intent_id": 5},
            "executed": 3,
            "unsized": 0,
        }

    def test_a_second_run_writes_its_heartbeat_line_alone(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        before = home.settings.compare_diffs.read_bytes()
        home.run(LATER + 900)
        after = home.settings.compare_diffs.read_bytes()
        (line,) = after.removeprefix(before).splitlines()
        end = json.loads(line)
        assert (end["diff_count"], end["heartbeat"]) == (0, True)
        first, second = (row["summary"] for row in home.block_ends())
        assert second == first | {"generated_ts": T0 + LATER + 900}

    def test_the_window_covers_the_newest_decisions(self, tmp_path: Path) -> None:
        home = Home(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="2", PIPELINE_COMPARE_MIN_SAMPLE="2")
        small_day(home)
        home.run(LATER)
        summary = home.summary()
        assert (summary["sample_size"], summary["window"]["last_ts"]) == (2, T0 + 40)
        assert summary["totals"]["decisions"] == 5

    def test_red_names_its_failing_orders(self, tmp_path: Path) -> None:
        home = Home(tmp_path, PIPELINE_COMPARE_MIN_SAMPLE="5")
        small_day(home)
        home.run(LATER)
        summary = home.summary()
        assert (summary["status"], summary["verdict"]) == ("red", "FAIL")
        (failing,) = summary["upsizes"]
        assert (failing["intent_id"], failing["ratio"], failing["excess_usd"]) == ("ord_2", 2.0, 500.0)


class TestSettlement:
    def test_an_open_decision_waits_for_the_next_run(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        assert home.run(10).open_decisions == 1
        home.orders(ack_row(20, "1"))
        assert home.run(30).open_decisions == 1
        home.orders(fill_row(40, "1"))
        assert home.run(50).open_decisions == 0
        (diff,) = home.diffs()
        assert (diff["mismatch_kind"], diff["live"]["first_ack_ts"]) == ("match", T0 + 20)

    def test_the_deadline_settles_what_nobody_answered(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.run(TOLERANCE_S)
        assert home.diffs() == []
        home.run(TOLERANCE_S + 1)
        (diff,) = home.diffs()
        assert (diff["live_outcome"], diff["root_cause"]) == ("unresolved", "unresolved")

    @pytest.mark.parametrize("is_split", [True, False])
    def test_a_late_order_leaves_one_revision(self, tmp_path: Path, is_split: bool) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        if is_split:
            home.run(TOLERANCE_S + 1)
        home.orders(ack_row(1000, "1"), fill_row(1001, "1"))
        home.run(LATER)
        home.orders(fill_row(LATER, "1"))  # The executor polls once more.
        home.run(2 * LATER)
        first, revision = home.diffs()
        assert (first["live_outcome"], first["revision_of"]) == ("unresolved", None)
        assert (revision["live_outcome"], revision["revision_of"]) == ("executed", first["decision_id"])
        assert revision["decision_id"] == first["decision_id"]
        summary = home.summary()
        assert (summary["sample_size"], summary["veto_mismatch_pct"]) == (1, 0.0)
        assert summary["coverage"]["unresolved"] == 0
        assert summary["totals"]["revisions"] == 1

    @pytest.mark.parametrize("is_split", [True, False])
    @pytest.mark.parametrize("stop", ["STOP_MARKET", "LIMIT"])
    def test_an_order_that_protects_a_filled_one_is_on_the_other_side(
        self, tmp_path: Path, is_split: bool, stop: str
    ) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        if is_split:
            home.run(TOLERANCE_S + 1)
        home.orders(ack_row(2.5, "1", 2, side="SELL", reduceOnly=True, order_type=stop))
        home.run(LATER)
        assert {(diff["mismatch_kind"], diff["live"]["side"]) for diff in home.diffs()} == {("match", "BUY")}
        # One that is not labelled so is an order on the wrong side.
        home.orders(ack_row(3, "1", 3, side="SELL"))
        home.run(2 * LATER)
        assert home.diffs()[-1]["mismatch_kind"] == "opposite_side"

    def test_a_diff_whose_clock_was_behind_does_not_hide_older_ones_from_a_late_order(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        days_ago = -200_000.0
        home.attempts(attempt_row(0, "1"), attempt_row(1, "2"), attempt_row(days_ago, "behind"))
        home.run(TOLERANCE_S + 0.5)
        home.run(TOLERANCE_S + 10)
        home.attempts(attempt_row(days_ago, "behind too"))
        home.run(TOLERANCE_S + 20)
        home.orders(ack_row(1000, "1"))
        home.run(LATER)
        assert [diff["intent_id"] for diff in home.diffs() if diff["revision_of"]] == ["ord_1"]

    def test_an_order_after_the_revision_horizon_is_nobodys(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        day = 86_400
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(day + 1, "1"))
        home.run(2 * day)
        assert [diff["mismatch_kind"] for diff in home.diffs()] == ["live_unknown", "live_only"]

    def test_an_order_that_nobody_explains_is_told_once_however_long_it_is_polled(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.orders(*(fill_row(at, "9") for at in range(0, 4000, 100)))
        home.run(9000)
        home.orders(fill_row(9100, "9"))
        home.run(20_000)
        assert [diff["mismatch_kind"] for diff in home.diffs()] == ["live_only"]

    def test_orders_wait_for_a_shadow_that_is_behind(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        run = home.compare(LATER)
        assert (run.diff_count, run.waits_for_shadow) == (0, True)
        home.shadow(LATER)
        assert home.compare(LATER).waits_for_shadow is False
        assert kinds(home) == {"ord_1": "match"}

    def test_decisions_before_the_one_that_is_missing_do_not_wait(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"), attempt_row(10, "2"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        home.shadow(20)
        home.attempts(attempt_row(2000, "3"))
        home.orders(ack_row(2001, "3"), fill_row(2002, "3"), ack_row(2003, "8"))
        run = home.compare(LATER)
        assert run.waits_for_shadow
        assert kinds(home) == {"ord_1": "match", "ord_2": "live_unknown"}
        home.run(LATER)
        assert kinds(home) == {
            "ord_1": "match",
            "ord_2": "live_unknown",
            "ord_3": "match",
            "ord_8": "live_only",
        }

    def test_they_wait_also_where_the_first_that_is_missing_is_from_the_future(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(1e6, "9"), attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        run = home.compare(LATER)
        assert (run.diff_count, run.waits_for_shadow) == (0, True)
        home.run(LATER)
        assert kinds(home) == {"ord_1": "match"}

    def test_garbage_after_the_last_attempt_is_not_waited_for(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.shadow(10)
        home.attempts(b"garbage\n", b'{"torn": ')
        assert home.compare(LATER).waits_for_shadow is False
        assert len(home.diffs()) == 1

    def test_a_row_from_the_future_holds_nothing_up(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        ahead = 1e6
        home.attempts(attempt_row(0, "1"), attempt_row(1, "2"))
        home.orders(
            ack_row(1, "1"), ack_row(ahead, "7"), fill_row(2, "1"), ack_row(3, "2", order_id=2), fill_row(4, "2", 2)
        )
        home.run(10)
        assert kinds(home) == {"ord_1": "match", "ord_2": "match"}

    @pytest.mark.parametrize("count", [1, 200])
    def test_rows_from_the_future_settle_nothing_too_early(self, tmp_path: Path, count: int) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(*(ack_row(1e6 + number, f"ahead_{number}") for number in range(count)))
        assert home.run(10).open_decisions == 1

    def test_rows_after_one_whose_clock_ran_ahead_are_in_time(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.orders(ack_row(9000, "ahead"))
        for number in range(8):
            at = 1000 * number
            home.attempts(attempt_row(at, str(number)))
            home.orders(ack_row(at + 1, str(number)), fill_row(at + 2, str(number)))
        home.run(20_000)
        assert [diff["mismatch_kind"] for diff in home.diffs()] == ["match"] * 8 + ["live_only"]

    def test_rows_from_the_future_on_both_sides_settle_nothing_too_early(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        ahead = 1e6
        home.attempts(attempt_row(0, "1"), attempt_row(ahead, "7"), attempt_row(5, "2"))
        home.orders(ack_row(1, "1"), ack_row(ahead, "7"), fill_row(3, "1"))
        home.run(10)
        assert kinds(home) == {"ord_1": "match"}
        home.orders(ack_row(20, "2"), fill_row(21, "2"))
        home.run(30)
        assert kinds(home) == {"ord_1": "match", "ord_2": "match"}

    def test_where_both_logs_are_ahead_the_clock_is_behind(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"), attempt_row(2000, "2"))
        home.orders(ack_row(2001, "2"), fill_row(2002, "2"))
        home.run(-500)
        assert [diff["intent_id"] for diff in home.diffs()] == ["ord_1", "ord_2"]

    def test_an_order_that_was_filled_a_little_ahead_of_our_clock_is_settled(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        home.run(0.5)
        assert [diff["live_outcome"] for diff in home.diffs()] == ["executed"]
        home.run(5)
        assert len(home.diffs()) == 1

    def test_what_is_logged_while_a_run_reads_is_not_ahead_of_its_clock(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        home.shadow(1.5)
        assert home.compare(1.5, lasts_s=1).diff_count == 0
        assert home.compare(3).diff_count == 1

    def test_another_order_is_waited_for_also_where_a_cancel_is_a_little_ahead(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1", qty=1.0, status="CANCELED"))
        assert home.run(1).diff_count == 0
        home.orders(ack_row(4, "1", 2), fill_row(5, "1", 2))
        home.run(LATER)
        assert [(diff["live"]["executed_qty"], diff["revision_of"]) for diff in home.diffs()] == [(6.0, None)]


class TestInputs:
    def test_a_home_without_logs_runs_and_says_so(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        run = home.compare(0)
        assert sorted(run.missing) == sorted(
            [home.settings.shadow_log, home.settings.orders_executed, home.settings.risk_vetoes]
        )
        summary = home.summary()
        assert (summary["status"], summary["verdict"], summary["sample_size"]) == ("no_data", "NO_DATA", 0)
        assert summary["sizing_diff_stats"] == {"p50": None, "p95": None, "upsize_count": 0, "sample_size": 0}

    def test_empty_logs_are_there(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        for write in (home.attempts, home.orders, home.vetoes):
            write(b"")
        assert home.run(0).missing == [home.settings.shadow_log]

    def test_garbage_alone_is_counted_by_kind_and_no_data(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.orders(b"{not json\n", b'{"qty": Infinity}\n', b"17\n", {"event_type": "order_ack", "symbol": "BTCUSDT"})
        home.vetoes(b"\xff\n", {"event_type": "risk_veto"})
        home.run(LATER)
        summary = home.summary()
        assert summary["status"] == "no_data"
        orders, vetoes = summary["input_quality"]["orders_executed"], summary["input_quality"]["risk_vetoes"]
        assert orders["unusable"] == {"no_time": 1, "not_finite": 1, "not_json": 1, "not_object": 1}
        assert (orders["lines"], orders["malformed_ratio"]) == (4, 1.0)
        assert vetoes["unusable"] == {"no_time": 1, "not_utf8": 1}

    def test_garbage_is_counted_once_however_often_it_is_met(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.orders(b"\n\n", b"{not json\n", b"\n", b'{"torn": ')
        home.run(LATER)
        quality = home.summary()["input_quality"]["orders_executed"]
        home.run(LATER + 900)
        home.run(LATER + 1800)
        assert home.summary()["input_quality"]["orders_executed"] == quality
        assert (quality["lines"], quality["unusable"]) == (11, {"blank": 2, "not_json": 1})

    def test_unknown_events_and_dry_runs_are_counted_and_are_no_orders(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1", dry_run=True), {"event_type": "order_close", "ts": T0 + 2, "symbol": "BTCUSDT"})
        home.run(LATER)
        assert kinds(home) == {"ord_1": "live_unknown"}
        assert home.summary()["input_quality"]["orders_executed"]["unusable"] == {"dry_run": 1}

    def test_vetoes_and_errors_that_nothing_wants_are_counted_once(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.vetoes(veto_row(0, None), veto_row(1, "9"))
        home.orders(error_row(2, "9"))
        for at in (10, 1000, LATER, 2 * LATER):
            home.run(at)
        quality = home.summary()["input_quality"]
        assert quality["risk_vetoes"]["unusable"] == {"unmatched_veto": 2}
        assert quality["orders_executed"]["unusable"] == {"unmatched_error": 1}

    def test_what_nothing_can_want_any_more_is_counted_at_once(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.vetoes(veto_row(0, None), veto_row(1700, None))
        home.run(1900)
        assert home.summary()["input_quality"]["risk_vetoes"]["unusable"] == {"unmatched_veto": 1}

    def test_the_quality_of_the_attempts_counts_too(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(b"{not json\n", attempt_row(0, "1"))
        home.run(LATER)
        assert home.summary()["input_quality"]["order_attempts"] == {
            "lines": 2,
            "malformed_ratio": 0.5,
            "unusable": {"not_json": 1},
            "recent_malformed_ratio": 0.5,
            "is_offset_lost": False,
            "lost_bytes": 0,
            "newest_ts": T0,
        }

    def test_after_a_truncation_orders_that_were_read_are_not_read_again(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.orders(ack_row(0, None), ack_row(1, None, order_id=2))
        home.run(10)
        home.orders(ack_row(20, None, order_id=3))
        home.run(LATER)
        lines = home.log(ORDERS).read_bytes().splitlines(keepends=True)
        home.log(ORDERS).write_bytes(b"".join(lines[:2]))
        home.orders(ack_row(LATER + 10, None, order_id=4))
        home.run(3 * LATER)
        assert [diff["live"]["legs"][0]["order_id"] for diff in home.diffs()] == ["1", "2", "3", "4"]
        quality = home.summary()["input_quality"]["orders_executed"]
        assert (quality["is_offset_lost"], quality["lost_bytes"]) == (True, len(lines[2]))
        home.run(4 * LATER)
        assert home.summary()["input_quality"]["orders_executed"] == quality

    def test_attempts_that_are_gone_before_they_were_decided_are_told_of(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"), attempt_row(1, "2"))
        home.run(10)
        whole = home.summary()["input_quality"]["order_attempts"]
        gone = home.log(ATTEMPTS).stat().st_size
        home.log(ATTEMPTS).unlink()
        home.attempts(attempt_row(20, "3"))
        home.run(30)
        quality = home.summary()["input_quality"]["order_attempts"]
        assert (whole["is_offset_lost"], whole["lost_bytes"]) == (False, 0)
        assert (quality["is_offset_lost"], quality["lost_bytes"]) == (True, gone)
        home.attempts(attempt_row(40, "4"))
        home.run(50)
        assert home.summary()["input_quality"]["order_attempts"]["lost_bytes"] == gone
        home.compare(60, rebuild=True)
        assert home.summary()["input_quality"]["order_attempts"]["lost_bytes"] == gone

    def test_bytes_that_are_gone_are_counted_once_however_long_nothing_follows_them(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.orders(ack_row(0, "1"), fill_row(1, "1"))
        home.run(10)
        gone = home.log(ORDERS).stat().st_size
        home.log(ORDERS).write_bytes(b"")
        for at in (20, 30, 40):
            home.run(at)
        home.orders(ack_row(50, "2"))
        home.run(60)
        home.run(70)
        quality = home.summary()["input_quality"]["orders_executed"]
        assert (quality["is_offset_lost"], quality["lost_bytes"]) == (True, gone)


class TestArrivals:
    def metrics(self, home: Home, at: float, name: str, mark: float) -> None:
        row = {"ts": T0 + at, "intent_id": f"ord_{name}", "attempt_id": f"sig_{name}", "prices": {"mark": mark}}
        home.append(home.settings.order_metrics, row)

    def test_the_shortfall_is_split_at_the_arrival_price(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.orders(ack_row(1, "1"), fill_row(2, "1", avgPrice=100.5))
        self.metrics(home, 1.5, "1", 100.2)
        self.metrics(home, 1.6, "1", 107.0)  # of a later poll
        home.run(LATER)
        (diff,) = home.diffs()
        assert diff["live"]["arrival_price"] == 100.2
        assert (diff["shortfall"]["delay_usd"], diff["shortfall"]["execution_usd"]) == pytest.approx((1.0, 1.5))
        assert home.summary()["shortfall"]["measured"] == 1

    def test_an_executor_that_writes_metrics_is_given_a_moment_to_write_them(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"), attempt_row(10, "2"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"), ack_row(11, "2"), fill_row(12, "2"))
        self.metrics(home, 2.01, "1", 100.2)
        home.run(12.2)
        assert home.run(12.2).open_decisions == 1
        self.metrics(home, 12.3, "2", 100.3)
        home.run(13)
        assert [diff["live"]["arrival_price"] for diff in home.diffs()] == [None, 100.3]

    def test_metrics_of_nobody_are_counted(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.metrics(home, 1, "9", 100.0)
        home.run(10)
        assert home.summary()["input_quality"]["order_metrics"]["unusable"] == {"unmatched_arrival": 1}


class TestPositions:
    def test_lines_of_positions_are_counted_and_too_many_malformed_ones_withhold_the_verdict(
        self, tmp_path: Path
    ) -> None:
        home = Home(tmp_path)
        held = {"symbol": "BTCUSDT", "pos_qty": 1.0, "mode": "LONG", "ts": T0}
        home.append(home.settings.position_state, held, held | {"pos_qty": "one"})
        home.run(10)
        summary = home.summary()
        counted = summary["input_quality"]["position_state"]
        assert (counted["lines"], counted["unusable"]) == (2, {"bad_field": 1})
        assert counted["recent_malformed_ratio"] == 0.5
        (usable,) = (one for one in summary["criteria"] if one["name"] == "inputs_usable")
        assert (usable["group"], usable["state"]) == ("evidence", "broken")
        home.append(home.settings.position_state, held)
        home.run(20)
        assert home.summary()["input_quality"]["position_state"]["lines"] == 3

    def test_an_executor_without_them_is_waited_for_no_longer(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        assert home.settings.position_state not in home.run(10).missing


class TestExternalShadow:
    def home(self, tmp_path: Path) -> Home:
        return Home(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external", PIPELINE_COMPARE_MIN_SAMPLE="2")

    def test_rows_of_another_producer_are_compared(self, tmp_path: Path) -> None:
        home = self.home(tmp_path)
        home.append(home.settings.shadow_log, shadow_row(0, "1"), shadow_row(10, "2"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"), ack_row(11, "2", qty=10.0), fill_row(12, "2", qty=10.0))
        run = home.compare(LATER)
        assert (run.waits_for_shadow, kinds(home)) == (False, {"ord_1": "match", "ord_2": "match"})
        assert len({diff["decision_id"] for diff in home.diffs()}) == 2
        assert home.summary()["status"] == "red"

    @pytest.mark.parametrize("ids", [{}, {"decision_id": "own"}])
    @pytest.mark.parametrize("hours", [0, 1, 23])
    def test_a_repeated_row_of_an_external_shadow_log_is_no_second_decision(
        self, tmp_path: Path, ids: dict[str, str], hours: int
    ) -> None:
        home = self.home(tmp_path)
        row = shadow_row(0, "1", **ids)
        home.append(home.settings.shadow_log, row, shadow_row(3600 * hours + 10, "2"))
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        at = 3600 * hours + 2 * LATER
        home.compare(at)
        diffs = home.diff_lines()
        assert len(diffs) == 2
        for repeat in (1, 2):
            home.append(home.settings.shadow_log, row)
            home.compare(at + 10 * repeat)
            home.compare(at + 3 * LATER)
            assert home.diff_lines() == diffs
            quality = home.summary()["input_quality"]["shadow_log"]
            assert quality["unusable"] == {"repeated_decision": repeat}
        home.append(home.settings.shadow_log, shadow_row(3600 * hours + 20, "3"))
        home.compare(at + 4 * LATER)
        assert len(home.diff_lines()) == 3

    @pytest.mark.parametrize("hours", [0, 23])
    @pytest.mark.parametrize(
        ("row", "repeat"),
        [
            (shadow_row(0), shadow_row(0, logged_ts=T0 + 99)),
            (shadow_row(0), dict(reversed(shadow_row(0).items()))),
            (shadow_row(0), shadow_row(0, timestamp=None, ts=iso(50_000))),
            (shadow_row(0), shadow_row(0, risk_decision={"allowed": False, "reasons": ["cooldown"]})),
            (shadow_row(0, decision_id="own"), shadow_row(50_000, None, decision_id="own")),
            (shadow_row(0, intent_id=None), shadow_row(0, intent_id=None, ts=iso(99))),
            (shadow_row(0, attempt_id=None), shadow_row(0, attempt_id=None, note="again")),
            (shadow_row(0, None), dict(reversed(shadow_row(0, None, logged_ts=T0 + 99, ts=iso(99)).items()))),
        ],
    )
    def test_an_attempt_that_is_appended_again_with_other_bytes_is_the_same_decision(
        self, tmp_path: Path, hours: int, row: dict[str, Any], repeat: dict[str, Any]
    ) -> None:
        home = self.home(tmp_path)
        at = 3600 * hours + 2 * LATER
        home.append(home.settings.shadow_log, row | {"config_hash": "a"})
        assert home.compare(1).open_decisions == 1
        home.append(home.settings.shadow_log, repeat | {"config_hash": "a"})
        home.orders(ack_row(1, "1"), fill_row(2, "1"))
        home.compare(at)
        home.append(home.settings.shadow_log, shadow_row(3600 * hours + 10, "2", config_hash="b"))
        home.compare(at)
        diffs, epoch = home.diff_lines(), home.summary()["epoch"]
        home.append(home.settings.shadow_log, repeat | {"config_hash": "a"})
        home.compare(at + 10)
        home.compare(at + 3 * LATER)
        assert home.diff_lines() == diffs
        assert len({diff["decision_id"] for diff in home.diffs()}) == 2
        # It was made under an earlier configuration, and begins no epoch of it again.
        assert home.summary()["epoch"] == epoch
        assert home.summary()["input_quality"]["shadow_log"]["unusable"] == {"repeated_decision": 2}

    @pytest.mark.parametrize(
        ("row", "other"),
        [
            (shadow_row(0), shadow_row(0, attempt_id="sig_other")),
            (shadow_row(0), shadow_row(0, intent=shadow_row(0)["intent"] | {"qty": 6.0})),
            (shadow_row(0), shadow_row(0, intent=shadow_row(0)["intent"] | {"side": "SHORT"})),
            (shadow_row(0, attempt_id=None), shadow_row(1, attempt_id=None)),
            (shadow_row(0, None), shadow_row(1, None)),
            (shadow_row(0, decision_id="own"), shadow_row(0, decision_id="other")),
        ],
    )
    def test_another_attempt_is_another_decision(
        self, tmp_path: Path, row: dict[str, Any], other: dict[str, Any]
    ) -> None:
        home = self.home(tmp_path)
        home.append(home.settings.shadow_log, row)
        home.compare(LATER)
        home.append(home.settings.shadow_log, other)
        home.compare(2 * LATER)
        assert len({diff["decision_id"] for diff in home.diffs()}) == 2

    def test_heartbeat_rows_are_never_samples_and_never_end_the_warmup(self, tmp_path: Path) -> None:
        home = self.home(tmp_path)
        beats = [
            shadow_row(at, None, heartbeat=True, size_decision={"gross_usd": 0.0, "qty": 0.0})
            for at in range(0, 500, 5)
        ]
        home.append(home.settings.shadow_log, *beats, shadow_row(600, "1"))
        home.orders(ack_row(601, "1"), fill_row(602, "1"))
        home.compare(LATER)
        summary = home.summary()
        assert (summary["sample_size"], summary["status"]) == (1, "warmup")
        assert summary["input_quality"]["shadow_log"]["unusable"] == {"heartbeat": len(beats)}

    def test_malformed_decisions_are_counted(self, tmp_path: Path) -> None:
        home = self.home(tmp_path)
        home.append(
            home.settings.shadow_log, shadow_row(0, "1"), b"{not json\n", shadow_row(1, "2", risk_decision=None)
        )
        home.compare(LATER)
        quality = home.summary()["input_quality"]
        assert quality["shadow_log"]["unusable"] == {"bad_field": 1, "not_json": 1}
        assert "order_attempts" not in quality

    def test_an_open_decision_outlives_the_log_that_it_came_from(self, tmp_path: Path) -> None:
        home = self.home(tmp_path)
        home.append(home.settings.shadow_log, shadow_row(0, "1"))
        assert home.compare(10).open_decisions == 1
        home.settings.shadow_log.write_bytes(b"")
        home.orders(ack_row(20, "1"), fill_row(21, "1"))
        home.compare(LATER)
        assert kinds(home) == {"ord_1": "match"}


class TestOurLog:
    def test_what_a_killed_rebuild_left_is_no_part_of_the_next_one(self, tmp_path: Path) -> None:
        home, other = Home(tmp_path / "home"), Home(tmp_path / "other")
        small_day(home)
        home.run(LATER)
        other.attempts(attempt_row(0, "other"))
        other.run(LATER)
        diffs = home.diff_lines()
        left = home.settings.compare_diffs.with_name(f".{home.settings.compare_diffs.name}.rebuild")
        shutil.copy(other.settings.compare_diffs, left)
        home.compare(LATER, rebuild=True)
        assert home.diff_lines() == diffs

    def test_deleting_every_state_file_loses_nothing(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.run(10)
        before = home.block_ends()
        shutil.rmtree(home.settings.compare_summary.parent)
        home.orders(ack_row(20, "1"), fill_row(21, "1"))
        home.run(30)
        assert kinds(home) == {"ord_1": "match"}
        assert home.block_ends()[0] == before[0]
        assert home.summary()["sample_size"] == 1

    def test_killed_at_any_byte_it_goes_on_as_if_nothing_had_happened(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(35)
        first = home.settings.compare_diffs.read_bytes()
        home.run(LATER)
        whole = home.settings.compare_diffs.read_bytes()
        for size in range(len(first), len(whole), 149):
            home.settings.compare_diffs.write_bytes(whole[:size])
            run = home.compare(LATER)
            assert home.settings.compare_diffs.read_bytes() == whole
            assert run.cut_bytes == size - len(first)

    def test_lines_of_another_program_are_refused_and_left_alone(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.append(home.settings.compare_diffs, {"hello": "world"})
        with pytest.raises(DataError, match="another program"):
            home.compare(0)
        assert home.settings.compare_diffs.read_bytes() == b'{"hello": "world"}\n'

    def test_a_cursor_of_another_version_is_refused_and_rebuilt_on_demand(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        whole = home.settings.compare_diffs.read_bytes()
        home.settings.compare_diffs.write_bytes(whole.replace(b'"cursor":{"read":', b'"cursor":{"read":7,"was":'))
        with pytest.raises(DataError, match="rebuild"):
            home.compare(LATER)
        home.compare(LATER, rebuild=True)
        assert home.settings.compare_diffs.read_bytes() == whole

    def test_a_shadow_log_that_was_made_anew_is_refused_and_rebuilt_on_demand(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        diffs = home.diff_lines()
        home.settings.shadow_log.unlink()
        home.rotate(ATTEMPTS)
        home.attempts(attempt_row(LATER, "6"))
        home.shadow(LATER)
        home.settings.shadow_log.write_bytes(home.settings.shadow_log.read_bytes().replace(b"ord_1", b"ord_0", 1))
        with pytest.raises(DataError, match="rebuild"):
            home.compare(2 * LATER)
        assert home.diff_lines() == diffs
        assert home.compare(2 * LATER, rebuild=True).diff_count > 0

    def test_a_home_that_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("in the way")
        home = Home(tmp_path, PIPELINE_V6_LOGS_DIR=str(blocked / "logs"))
        with pytest.raises(StorageError):
            home.compare(0)
        assert blocked.read_text() == "in the way"

    def test_a_second_writer_leaves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lock, "LOCK_TIMEOUT_S", 0.0)
        home = Home(tmp_path)
        with locked(home.settings.compare_diffs, 0), pytest.raises(BusyError, match="another process"):
            home.compare(0)

    def test_a_rebuild_that_fails_leaves_the_log_as_it_was(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        whole = home.settings.compare_diffs.read_bytes()
        home.log(ORDERS).unlink()
        home.log(ORDERS).mkdir()
        with pytest.raises(StorageError):
            home.compare(LATER, rebuild=True)
        assert home.settings.compare_diffs.read_bytes() == whole

    def test_a_rebuild_leaves_nothing_else_behind(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        small_day(home)
        home.run(LATER)
        before = sorted(path.name for path in home.settings.logs_dir.iterdir())
        home.compare(LATER, rebuild=True)
        assert sorted(path.name for path in home.settings.logs_dir.iterdir()) == before


Episode = list[tuple[float, str, object]]


def answered(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    return [
        (at + delay, ORDERS, ack_row(at + delay, name, order_id)),
        (at + delay + 1, ORDERS, fill_row(at + delay + 1, name, order_id, 2.0, status="PARTIALLY_FILLED")),
        (at + delay + 9, ORDERS, fill_row(at + delay + 9, name, order_id, 2.0, status="PARTIALLY_FILLED")),
        (at + delay + 30, ORDERS, fill_row(at + delay + 30, name, order_id)),
        (at + delay + 70, ORDERS, fill_row(at + delay + 70, name, order_id)),
    ]


def flipped(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    reduce = {"attempt_id": f"sig_{name}_reduce", "reduceOnly": True} if name else {"reduceOnly": True}
    return [
        (at + delay, ORDERS, ack_row(at + delay, name, order_id, 9.0, **reduce)),
        (at + delay + 1, ORDERS, fill_row(at + delay + 1, name, order_id, 9.0, **reduce)),
        *answered(name, at, order_id + 1, delay + 2),
    ]


def retried(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    return [
        (at + delay, ORDERS, ack_row(at + delay, name, order_id)),
        (at + delay + 1, ORDERS, fill_row(at + delay + 1, name, order_id, 1.0, status="CANCELED")),
        *answered(name, at, order_id + 1, delay + 4),
    ]


def vetoed(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    return [(at + delay, VETOES, veto_row(at + delay, name))]


def failed(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    return [(at + delay, ORDERS, error_row(at + delay, name))]


def ignored(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    return []


def garbled(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    return [(at + delay, ORDERS, b"{not json\n"), (at + delay, VETOES, b"\n"), (at + delay, ATTEMPTS, b"{torn\n")]


def bare_fills(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    """Acks with ids, fills without."""
    return [
        row if row[2]["event_type"] == "order_ack" else (row[0], ORDERS, row[2] | {"intent_id": None, "attempt_id": ""})
        for row in answered(name, at, order_id, delay)
        if isinstance(row[2], dict)
    ]


def measured(name: str | None, at: float, order_id: int, delay: float) -> Episode:
    """An order with its metrics: one row before the fill, one shortly after it, as the executor writes them."""
    rows: Episode = []
    for later, price in ((0.1, 100.1), (30.01, 100.2)):
        moment = at + delay + later
        ids = {"intent_id": f"ord_{name}", "attempt_id": f"sig_{name}"} if name else {}
        rows.append((moment, "order_metrics", {"ts": T0 + moment, "prices": {"mark": price}, "qty": order_id, **ids}))
    return sorted([*answered(name, at, order_id, delay), *rows[at % 1 == 0 :]], key=lambda row: row[0])


ANSWERS: list[Callable[[str | None, float, int, float], Episode]] = [
    *(answered, flipped, retried, vetoed, failed, ignored, garbled, bare_fills, measured)
]


@st.composite
def episodes(draw: st.DrawFn, number: int) -> Episode:
    at = draw(st.integers(0, 1200)) / 2
    name = draw(st.sampled_from([None, str(number)]))
    # Before its attempt, soon, at the end of the tolerance of 60 s, too late.
    delay = draw(st.sampled_from([-1.5, 0.0, 0.5, 20.0, 59.5, 60.0, 75.0, 130.0, 300.0]))
    order_id = draw(st.sampled_from([1, 10 * number + 10]))
    row = attempt_row(at, name, qty=draw(st.sampled_from([5.0, 50.0])), side=draw(st.sampled_from(["BUY", "LONG"])))
    asked: Episode = [(at, ATTEMPTS, row)] if draw(st.integers(0, 5)) else []  # Else nobody knows of the order.
    rows = [*asked, *draw(st.sampled_from(ANSWERS))(name, at, order_id, delay)]
    return [(at, log, marked(row, number)) for at, log, row in rows]


def marked(row: object, number: int) -> object:
    """No two lines of a real log are the same, and a log that begins twice alike cannot be told from itself."""
    if isinstance(row, dict):
        return row | {"pid": number}
    return row if row == b"\n" else f"{number} {row!r}\n".encode()


@st.composite
def feeds(draw: st.DrawFn) -> Episode:
    return [row for number in range(draw(st.integers(1, 8))) for row in draw(episodes(number))]


@st.composite
def runs(draw: st.DrawFn, rows: Episode) -> list[tuple[float, float, bool, list[str]]]:
    """(when, how long it lasts, whether the shadow runs too, which logs are rotated before); half of them at a row."""
    at_a_row = st.sampled_from([at - early for at, *_ in rows for early in (0.0, 0.5)] or [0.0])
    moments = at_a_row | st.integers(-3, 2100).map(lambda half: half / 2)
    times = sorted(draw(st.lists(moments, max_size=4, unique=True)))
    logs = st.lists(st.sampled_from([ATTEMPTS, ORDERS, VETOES]), unique=True)
    lasts = st.sampled_from([0.0, 0.25, 1.0, 8.0])
    return [(at, draw(lasts), draw(st.booleans()), draw(logs)) for at in times]


def without_time(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name != "generated_ts"}


@given(feeds().flatmap(lambda rows: st.tuples(st.just(rows), runs(rows))))
@pytest.mark.slow
def test_run_after_run_writes_what_a_rebuild_writes(
    tmp_path_factory: pytest.TempPathFactory, day: tuple[Episode, list[tuple[float, float, bool, list[str]]]]
) -> None:
    rows, runs = day
    home = Home(
        tmp_path_factory.mktemp("home"), PIPELINE_COMPARE_MATCH_TOLERANCE="60", PIPELINE_COMPARE_SHADOW_LIMIT="5"
    )
    feed = Feed(rows)
    for at, lasts_s, is_shadow_up, rotated in runs:
        for name in rotated:
            home.rotate(name)
        feed.write(home, T0 + at + lasts_s)
        if is_shadow_up:
            home.shadow(at)
        home.compare(at, lasts_s=lasts_s)
    feed.write(home)
    home.run(LATER)
    diffs, summary = home.diff_lines(), home.summary()

    home.compare(LATER, rebuild=True)
    assert home.diff_lines() == diffs
    assert without_time(home.summary()) == without_time(summary)

    settled = [diff["decision_id"] for diff in home.diffs() if diff["decision_id"] and not diff["revision_of"]]
    decided = home.settings.shadow_log.read_bytes().splitlines() if home.settings.shadow_log.exists() else []
    assert sorted(settled) == sorted(json.loads(row)["decision_id"] for row in decided)


class TestEvidenceOfTheAccount:
    def test_an_order_that_repeats_a_vetoed_decision_counts_as_that_decisions(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(0, "1"))
        home.vetoes(veto_row(1, "1"))
        home.orders(ack_row(30, "again", qty=5.1), fill_row(31, "again", qty=5.1))
        home.run(LATER)
        first, revision = home.diffs()
        assert (first["mismatch_kind"], first["live_outcome"]) == ("shadow_allowed_live_absent", "vetoed")
        assert (revision["mismatch_kind"], revision["live_outcome"]) == ("match", "executed")
        assert revision["revision_of"] == revision["retries"] == first["decision_id"]

    @pytest.mark.parametrize(("held_qty", "label"), [(9.0, "honest"), (4.0, "exceeded"), (None, "unknown")])
    def test_a_reduce_only_order_is_held_against_the_position(
        self, tmp_path: Path, held_qty: float | None, label: str
    ) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(10, "1"))
        if held_qty is not None:
            row = {"symbol": "BTCUSDT", "pos_qty": held_qty, "mode": "SHORT", "ts": iso(0)}
            home.append(home.settings.position_state, row)
        reduce = {"reduceOnly": True, "attempt_id": "sig_1_reduce"}
        home.orders(ack_row(11, "1", 7, qty=9.0, **reduce), fill_row(12, "1", 7, qty=9.0, **reduce))
        home.orders(ack_row(13, "1", 8), fill_row(14, "1", 8))
        home.run(LATER)
        (diff,) = home.diffs()
        assert (diff["reduce_label"], diff["is_upsize"]) == (label, label == "exceeded")
