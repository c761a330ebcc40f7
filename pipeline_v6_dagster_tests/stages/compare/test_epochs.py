"""Epochs over whole runs: what begins one, what counts in it, and that a rebuild comes to the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.logs.compare_log import Cursor, open_compare_log, read_cursor
from pipeline_v6_dagster.logs.evidence_records import read_records
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement, BoundaryRecord, IdentityRecord
from pipeline_v6_dagster.stages.outputs.acknowledge import acknowledge
from pipeline_v6_dagster.stages.outputs.gate import read_gate
from pipeline_v6_dagster_tests.live_builders import (
    RISK_LIMITS,
    T0,
    Home,
    ack_row,
    attempt_row,
    fill_row,
    shadow_row,
    veto_row,
)

DAY_S = 86_400.0
OTHER_LIMITS = RISK_LIMITS | {"max_leverage": 5}


def trade(home: Home, at: float, *names: str) -> None:
    """Attempts, ten seconds apart, each executed as asked for."""
    for place, name in enumerate(names):
        ts = at + 10 * place
        home.attempts(attempt_row(ts, name))
        home.orders(ack_row(ts + 1, name), fill_row(ts + 2, name))


def configure(home: Home, limits: dict[str, Any]) -> None:
    home.settings.risk_limits.write_text(json.dumps(limits))
    home.limits = load_configuration(home.settings.risk_limits, home.settings.pairs_universe).limits


def with_environ(home: Home, **environ: str) -> Settings:
    root = home.settings.config_dir.parent
    return load_settings({"PIPELINE_V6_HOME": str(root), **environ}, root)


def read_newest_cursor(home: Home) -> Cursor:
    cursor = read_cursor(open_compare_log(home.settings))
    assert cursor is not None
    return cursor


def list_records(home: Home, kind: type) -> list[Any]:
    records, _ = read_records(home.settings, None)
    return [record for record in records if isinstance(record, kind)]


def acknowledge_fixed(home: Home, at: float, fixed_at: float) -> None:
    acknowledge(
        home.settings,
        Acknowledgement(ts=T0 + at, criterion="no_upsizes", by="Ada", why="lot step fixed", fixed_at=T0 + fixed_at),
    )


def check_rebuild(home: Home, at: float) -> None:
    """A rebuild gives the same diffs, summary and cursor, and appends nothing to the alert log."""
    diffs, summary, cursor = home.diff_lines(), home.summary(), read_newest_cursor(home)
    records = read_records(home.settings, None)
    home.compare(at, rebuild=True)
    assert home.diff_lines() == diffs
    assert home.summary() | {"generated_ts": None} == summary | {"generated_ts": None}
    assert read_newest_cursor(home) == cursor
    assert read_records(home.settings, None) == records
    totals = summary["totals"]
    assert min(*totals["mismatch_kinds"].values(), totals["upsizes"], totals["decisions"], totals["live_only"]) >= 0


class TestIdentities:
    def test_the_first_run_records_the_identity_of_the_settings(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        trade(home, 0, "1")
        home.run(100)
        (record,) = list_records(home, IdentityRecord)
        assert (record.first_number, record.settings) == (0, {})
        home.run(200)
        assert list_records(home, IdentityRecord) == [record]
        check_rebuild(home, 300)

    def test_a_late_order_of_an_earlier_epoch_counts_in_none(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        trade(home, 0, "1", "2")
        home.attempts(attempt_row(50, "late"))
        home.run(2000)
        configure(home, OTHER_LIMITS)
        trade(home, 2100, "3")
        home.run(4000)
        configure(home, RISK_LIMITS)
        trade(home, 4100, "4")
        home.run(6000)
        evidence = read_newest_cursor(home).evidence
        assert (evidence.first_number, evidence.decisions) == (4, 1)
        home.orders(ack_row(6100, "late", qty=10.0), fill_row(6101, "late", qty=10.0))
        home.run(8000)
        assert home.diffs()[-1]["revision_of"] == next(
            diff["decision_id"] for diff in home.diffs() if diff["intent_id"] == "ord_late"
        )
        assert read_newest_cursor(home).evidence == evidence
        assert home.summary()["failed_criteria"] == []
        check_rebuild(home, 9000)

    def test_one_attempt_from_the_far_future_moves_no_epoch(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        trade(home, 0, "1", "2", "3")
        home.run(100)
        home.attempts(attempt_row(900 * DAY_S, "future"))
        trade(home, 200, "4", "5")
        home.run(2000)
        epoch = home.summary()["epoch"]
        assert (epoch["since_ts"], epoch["newest_ts"]) == (T0, T0 + 210)
        assert read_newest_cursor(home).evidence.first_number == 0
        check_rebuild(home, 3000)

    def test_of_a_wild_first_attempt_the_evidence_follows_the_corrected_beginning(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(900 * DAY_S, "future"))
        home.run(10)
        trade(home, 20, "1", "2", "3")
        home.orders(ack_row(60, "unknown", qty=3.0), fill_row(61, "unknown", qty=3.0))
        home.run(2000)
        cursor = read_newest_cursor(home)
        assert cursor.evidence.since_ts == cursor.epoch.since_ts == T0 + 20
        assert cursor.evidence.live_only == 1
        check_rebuild(home, 3000)

    def test_another_engine_begins_an_epoch(self, tmp_path: Path) -> None:
        home = Home(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
        home.append(home.settings.shadow_log, *(shadow_row(at, str(at), engine_version="a 1.0") for at in (0, 10)))
        home.compare(2000)
        home.append(home.settings.shadow_log, shadow_row(2100, "2100", engine_version="a 1.1"))
        home.compare(4000)
        evidence = read_newest_cursor(home).evidence
        assert (evidence.first_number, evidence.decisions) == (2, 1)
        check_rebuild(home, 5000)


class TestSettings:
    def test_one_run_at_a_lenient_error_rate_leaves_no_pass_behind(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        strict = home.settings
        trade(home, 0, "1", "2")
        home.run(2000)
        home.settings = with_environ(home, PIPELINE_VERDICT_ERROR_RATE="0.5")
        home.run(2100)
        home.settings = strict
        home.run(2200)
        assert home.summary()["verdict"] != "PASS"
        assert home.summary()["epoch"]["error_rate"] <= 0.05 / 2
        trade(home, 2300, "3")
        home.run(4000)
        # A new epoch, which holds nothing of what was judged before.
        assert read_newest_cursor(home).evidence.first_number in (0, 2)
        assert home.summary()["verdict"] == "INCONCLUSIVE"
        check_rebuild(home, 5000)

    def test_a_rebuild_under_other_settings_leaves_the_past_under_the_old(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        trade(home, 0, "1", "2")
        home.run(2000)
        home.settings = with_environ(home, PIPELINE_VERDICT_MIN_DAYS="20")
        home.compare(2100, rebuild=True)
        assert [record.first_number for record in list_records(home, IdentityRecord)] == [0, 2]
        trade(home, 2200, "3")
        home.run(4000)
        assert read_newest_cursor(home).evidence.first_number == 2
        check_rebuild(home, 5000)

    def test_after_the_limits_were_edited_the_epoch_is_not_current_until_there_are_decisions(
        self, tmp_path: Path
    ) -> None:
        home = Home(tmp_path)
        trade(home, 0, "1", "2")
        home.run(2000)
        assert self.is_current(home, 2000) is CriterionState.HOLDS
        configure(home, OTHER_LIMITS)
        assert self.is_current(home, 2000) is CriterionState.BROKEN
        home.run(2100)
        assert self.is_current(home, 2100) is CriterionState.BROKEN
        trade(home, 2200, "3")
        home.run(4000)
        assert self.is_current(home, 4000) is CriterionState.HOLDS
        check_rebuild(home, 5000)

    @staticmethod
    def is_current(home: Home, at: float) -> CriterionState:
        criteria = read_gate(home.settings, T0 + at).criteria
        return next(each.state for each in criteria if each.name == "epoch_is_current")


class TestAcknowledgements:
    def incident(self, home: Home) -> None:
        """A doubled order, the fix at 100, decisions after it, one of them still open."""
        trade(home, 0, "1")
        home.attempts(attempt_row(20, "doubled"))
        home.orders(ack_row(21, "doubled", qty=10.0), fill_row(22, "doubled", qty=10.0))
        trade(home, 100, "2", "3")
        home.vetoes(veto_row(121, "4"))
        home.attempts(attempt_row(120, "4"), attempt_row(130, "open"))
        home.orders(ack_row(140, "nobody", qty=3.0), fill_row(141, "nobody", qty=3.0))
        home.orders(ack_row(131, "open"))
        home.run(200)
        assert "no_upsizes" in home.summary()["failed_criteria"]

    def test_with_a_fix_in_the_past_the_evidence_counts_from_there(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.incident(home)
        acknowledge_fixed(home, 250, 100)
        home.compare(300)
        summary, cursor = home.summary(), read_newest_cursor(home)
        assert (cursor.evidence.first_number, cursor.evidence.since_ts) == (2, T0 + 100)
        assert cursor.evidence.decisions == 3
        assert "no_upsizes" not in summary["failed_criteria"]
        assert summary["verdict"] != "PASS"
        assert summary["epoch"]["number"] == 2
        (boundary,) = list_records(home, BoundaryRecord)
        assert (boundary.first_number, boundary.next_number) == (2, 6)
        check_rebuild(home, 400)

    @pytest.mark.parametrize("block", [1, 4000])
    def test_a_rebuild_repeats_it_after_more_trading(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
    ) -> None:
        home = Home(tmp_path)
        self.incident(home)
        acknowledge_fixed(home, 250, 100)
        home.compare(300)
        home.orders(fill_row(310, "open"))
        trade(home, 400, "5", "6")
        home.run(3000)
        assert read_newest_cursor(home).evidence.decisions == 6
        monkeypatch.setattr("pipeline_v6_dagster.stages.compare.run.BLOCK_DIFFS", block)
        check_rebuild(home, 4000)

    def test_after_the_compare_log_was_lost_it_is_repeated(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.incident(home)
        acknowledge_fixed(home, 250, 100)
        home.compare(300)
        cursor = read_newest_cursor(home)
        home.settings.compare_diffs.unlink()
        home.compare(400)
        assert read_newest_cursor(home) == cursor

    def test_a_rebuild_right_after_it_takes_effect_as_a_run_does(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.incident(home)
        acknowledge_fixed(home, 250, 100)
        home.compare(300, rebuild=True)
        assert read_newest_cursor(home).evidence.decisions == 3
        assert "no_upsizes" not in home.summary()["failed_criteria"]
        check_rebuild(home, 400)

    def test_it_begins_no_epoch_before_the_current_one(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.incident(home)
        acknowledge_fixed(home, 250, -50 * DAY_S)
        home.compare(300)
        assert read_newest_cursor(home).evidence.since_ts == T0
        assert "no_upsizes" in home.summary()["failed_criteria"]
        check_rebuild(home, 400)

    def test_an_attempt_from_the_far_future_is_not_taken_for_one_after_the_fix(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.attempts(attempt_row(900 * DAY_S, "future"))
        self.incident(home)
        acknowledge_fixed(home, 250, 100)
        home.compare(300)
        assert read_newest_cursor(home).evidence.first_number == 3
        assert "no_upsizes" not in home.summary()["failed_criteria"]
        check_rebuild(home, 400)

    def test_two_in_a_row_under_another_configuration(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        self.incident(home)
        configure(home, OTHER_LIMITS)
        trade(home, 1200, "7", "8", "9")
        home.run(3000)
        acknowledge_fixed(home, 3010, 1205)
        acknowledge_fixed(home, 3020, 1215)
        home.compare(3100)
        evidence = read_newest_cursor(home).evidence
        assert (evidence.first_number, evidence.decisions) == (8, 1)
        trade(home, 3200, "10")
        home.run(5000)
        check_rebuild(home, 6000)
