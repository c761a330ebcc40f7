"""What the newest diffs add up to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.compare.summary import MAX_UPSIZES, mismatch_pct, newest_states, summarise
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MatchMethod, MismatchKind, RootCause
from pipeline_v6_dagster.domain.summary import Quantiles, SizingStats, Window
from pipeline_v6_dagster_tests.live_builders import T0, decision, diff, live

ABSENT = MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT


def live_only(number: int) -> Diff:
    return diff(number, decision_id=None, mismatch_kind=MismatchKind.LIVE_ONLY, veto_mismatch=None)


def upsize(number: int, ratio: float = 2.0) -> Diff:
    return diff(
        number,
        intent_id=f"ord_{number}",
        sizing_diff_pct=ratio - 1,
        is_upsize=True,
        shadow=decision(),
        live=live(gross_usd=500.0 * ratio),
    )


class TestWindow:
    def test_it_covers_the_newest_decisions(self) -> None:
        diffs = [diff(number) for number in range(10)]
        assert [found.decision_id for found in newest_states(reversed(diffs), 3)] == ["d9", "d8", "d7"]

    def test_a_revision_stands_in_the_place_of_what_it_revises(self) -> None:
        log = [diff(0), diff(1, live_outcome=LiveOutcome.UNRESOLVED), diff(2), diff(1, revision_of="d1")]
        window = newest_states(reversed(log), 10)
        assert [(found.decision_id, found.live_outcome) for found in window] == [
            ("d2", LiveOutcome.EXECUTED),
            ("d1", LiveOutcome.EXECUTED),
            ("d0", LiveOutcome.EXECUTED),
        ]

    def test_revisions_do_not_crowd_decisions_out(self) -> None:
        log = [diff(0), diff(1), *[diff(1, revision_of="d1") for _ in range(5)]]
        assert {found.decision_id for found in newest_states(reversed(log), 2)} == {"d0", "d1"}

    def test_a_revision_of_an_old_decision_pushes_no_newer_one_out(self) -> None:
        log = [*[diff(number) for number in range(5)], diff(0, revision_of="d0"), diff(1, revision_of="d1")]
        assert [found.decision_id for found in newest_states(reversed(log), 3)] == ["d4", "d3", "d2"]

    def test_a_decision_that_waited_for_its_deadline_pushes_no_newer_one_out(self) -> None:
        log = [diff(1), diff(2), diff(3), diff(0)]
        assert [found.decision_id for found in newest_states(reversed(log), 3)] == ["d3", "d2", "d1"]

    def test_orders_without_a_decision_take_no_place(self) -> None:
        log = [diff(0), live_only(1), diff(2), live_only(3)]
        assert len(newest_states(reversed(log), 2)) == 4

    def test_what_is_older_than_the_window_is_not_read(self) -> None:
        def newest_first() -> object:
            yield from (diff(number) for number in range(200, 0, -1))
            raise AssertionError("read on")

        window = newest_states(newest_first(), 2)  # type: ignore[arg-type]
        assert [found.decision_id for found in window] == ["d200", "d199"]

    @given(st.lists(st.integers(0, 6), max_size=25), st.integers(1, 8))
    def test_it_holds_the_last_line_of_each_of_the_newest_decisions(self, numbers: list[int], limit: int) -> None:
        log = [
            diff(number, match_dt_s=float(place), revision_of=f"d{number}" if number in numbers[:place] else None)
            for place, number in enumerate(numbers)
        ]
        last = {f"d{number}": float(place) for place, number in enumerate(numbers)}
        newest = sorted(last.items(), reverse=True)[:limit]
        assert [(found.decision_id, found.match_dt_s) for found in newest_states(reversed(log), limit)] == newest


class TestStatistics:
    def test_those_of_nothing_are_null_and_not_zero(self) -> None:
        summary = summarise([], 500, 200)
        assert summary.size_diff_stats == Quantiles(None, None, None)
        assert summary.slippage_diff_bps == Quantiles(None, None, None)
        assert summary.sizing_diff_stats == SizingStats(None, None, 0, 0)
        assert (summary.sample_size, summary.veto_mismatch_pct) == (0, None)
        assert summary.window == Window(500, None, None)

    def test_those_of_diffs_without_figures_are_null_and_not_zero(self) -> None:
        summary = summarise([diff(0), diff(1)], 500, 2)
        assert summary.size_diff_stats == Quantiles(None, None, None)
        assert summary.sizing_diff_stats == SizingStats(None, None, 0, 0)
        assert (summary.sample_size, summary.veto_mismatch_pct) == (2, 0.0)

    def test_sizes_are_absolute_and_slippage_is_signed(self) -> None:
        diffs = [
            diff(0, size_pct_diff=-10.0, sizing_diff_pct=-0.2, slippage_diff_bps=-3.0),
            diff(1, size_pct_diff=20.0, sizing_diff_pct=0.4, slippage_diff_bps=1.0),
            diff(2),
        ]
        summary = summarise(diffs, 500, 2)
        assert summary.size_diff_stats == Quantiles(15.0, 15.0, pytest.approx(19.5))
        assert summary.slippage_diff_bps == Quantiles(-1.0, -1.0, pytest.approx(0.8))
        assert summary.sizing_diff_stats == SizingStats(pytest.approx(0.3), pytest.approx(0.39), 0, 2)

    def test_orders_without_a_decision_count_for_coverage_alone(self) -> None:
        summary = summarise([diff(0), live_only(1)], 500, 1)
        assert (summary.sample_size, summary.coverage.live_only, summary.veto_mismatch_pct) == (1, 1, 0.0)
        assert summary.window == Window(500, T0, T0)

    def test_mismatches_are_a_share_of_the_samples(self) -> None:
        diffs = [diff(0), diff(1), diff(2), diff(3, mismatch_kind=ABSENT, veto_mismatch=True), live_only(4)]
        summary = summarise(diffs, 500, 1)
        assert summary.veto_mismatch_pct == 25.0
        unknown = diff(5, mismatch_kind=MismatchKind.LIVE_UNKNOWN, veto_mismatch=None)
        assert mismatch_pct([*diffs[:4], unknown]) == 25.0
        assert mismatch_pct([unknown]) is None
        assert summary.mismatch_kinds == {
            "match": 3,
            "match_veto": 0,
            "shadow_allowed_live_absent": 1,
            "shadow_vetoed_live_executed": 0,
            "opposite_side": 0,
            "wrong_symbol": 0,
            "live_unknown": 0,
            "live_only": 1,
        }

    def test_coverage_says_what_paired(self) -> None:
        diffs = [
            diff(0, match_method=MatchMethod.TIME),
            diff(1, match_method=MatchMethod.INTENT_ID),
            diff(2, match_method=MatchMethod.TIME),
            diff(3, live_outcome=LiveOutcome.UNRESOLVED),
        ]
        coverage = summarise(diffs, 500, 1).coverage
        assert (coverage.matched, coverage.unresolved, coverage.by_method) == (3, 1, {"intent_id": 1, "time": 2})

    def test_an_order_that_nobody_can_call_an_upsize_or_none_is_unsized(self) -> None:
        diffs = [
            diff(0, is_upsize=False),
            diff(1, is_upsize=True),
            diff(2, is_upsize=None),
            diff(3, is_upsize=None, mismatch_kind=MismatchKind.LIVE_ONLY),
            diff(4, is_upsize=None, live_outcome=LiveOutcome.VETOED),
        ]
        coverage = summarise(diffs, 500, 1).coverage
        assert (coverage.executed, coverage.unsized) == (3, 1)

    def test_causes_are_counted(self) -> None:
        diffs = [diff(0, root_cause=RootCause.UNRESOLVED), diff(1, root_cause=RootCause.UNRESOLVED), diff(2)]
        assert summarise(diffs, 500, 1).root_causes == {"unresolved": 2}

    def test_one_bad_symbol_shows(self) -> None:
        diffs = [
            diff(0, impact_usd=1.0),
            diff(1, impact_usd=2.0),
            diff(2, symbol="ETHUSDT", mismatch_kind=ABSENT, veto_mismatch=True),
        ]
        by_symbol = summarise(diffs, 500, 1).by_symbol
        assert (by_symbol["BTCUSDT"].veto_mismatch_pct, by_symbol["BTCUSDT"].impact_usd) == (0.0, 3.0)
        assert (by_symbol["ETHUSDT"].veto_mismatch_pct, by_symbol["ETHUSDT"].impact_usd) == (100.0, None)


class TestWarmup:
    @pytest.mark.parametrize(
        ("size", "is_warmup", "reason"), [(1, True, "sample_size_below_min"), (2, False, None), (3, False, None)]
    )
    def test_it_ends_at_the_minimum(self, size: int, is_warmup: bool, reason: str | None) -> None:
        summary = summarise([diff(number) for number in range(size)], 500, 2)
        assert (summary.is_warmup, summary.warmup_reason, summary.min_sample_size) == (is_warmup, reason, 2)

    def test_orders_without_a_decision_do_not_end_it(self) -> None:
        assert summarise([diff(0), live_only(1), live_only(2)], 500, 2).is_warmup


class TestUpsizes:
    def test_the_newest_are_named_with_ratio_and_excess(self) -> None:
        summary = summarise([upsize(3), diff(2), upsize(1, ratio=1.5)], 500, 1)
        assert summary.sizing_diff_stats.upsize_count == 2
        assert [(found.intent_id, found.ratio, found.excess_usd) for found in summary.upsizes] == [
            ("ord_3", 2.0, 500.0),
            ("ord_1", 1.5, 250.0),
        ]

    def test_the_newest_stand_first_in_whatever_order_they_were_settled(self) -> None:
        summary = summarise([upsize(2), upsize(9), upsize(5)], 500, 1)
        assert [found.intent_id for found in summary.upsizes] == ["ord_9", "ord_5", "ord_2"]

    def test_all_are_counted_and_the_newest_listed(self) -> None:
        summary = summarise([upsize(number) for number in range(MAX_UPSIZES + 5, 0, -1)], 500, 1)
        assert summary.sizing_diff_stats.upsize_count == MAX_UPSIZES + 5
        assert len(summary.upsizes) == MAX_UPSIZES
        assert summary.upsizes[0].decision_id == f"d{MAX_UPSIZES + 5}"
