"""What the plots show, in numbers."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MatchMethod, MismatchKind, RootCause
from pipeline_v6_dagster.logs.compare_log import open_compare_log, read_summaries_backward
from pipeline_v6_dagster.reports.series import (
    collect_quality,
    collect_sized_orders,
    count_causes,
    group_bins,
    summarize_slippages,
)
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, decision, diff, fill_row, live


def test_groups_cover_every_decision_once_in_order() -> None:
    samples = [diff(number, veto_mismatch=number % 4 == 0) for number in range(101)]
    bins = group_bins(samples)
    assert sum(one.count for one in bins) == 101
    assert all(before.ts < after.ts for before, after in pairwise(bins))
    assert sum(one.mismatch_pct * one.count for one in bins) == pytest.approx(100 * 26)


def test_few_decisions_are_one_group_and_none_are_none() -> None:
    assert len(group_bins([diff()])) == 1
    assert group_bins([]) == []


def test_coverage_is_what_has_a_counterpart_and_what_nobody_logged() -> None:
    samples = [
        diff(match_method=MatchMethod.INTENT_ID),
        diff(match_method=None, live_outcome=LiveOutcome.UNRESOLVED),
        diff(match_method=None, live_outcome=LiveOutcome.UNRESOLVED),
        diff(match_method=None, live_outcome=LiveOutcome.ERROR),
    ]
    (one,) = group_bins(samples)
    assert (one.matched_pct, one.unresolved_pct) == (25, 50)


def test_an_order_without_a_measured_size_is_left_out() -> None:
    orders = collect_sized_orders([diff(sizing_diff_pct=None), diff(sizing_diff_pct=1.0, is_upsize=True)])
    assert [(one.ratio, one.is_upsize) for one in orders] == [(2.0, True)]


def test_slippage_costs_on_either_side_and_is_measured_also_where_v6_would_refuse() -> None:
    bought = diff(shadow=decision(price=100.0, expected_slippage_bps=2.0), live=live(avg_price=100.1))
    sold = diff(shadow=decision(price=100.0, side=Side.SELL, expected_slippage_bps=None), live=live(avg_price=99.7))
    (one,) = summarize_slippages([bought, sold, diff(live=None)])
    assert (one.symbol, one.count, one.expected_bps) == ("BTCUSDT", 2, 2.0)
    assert one.p50_bps == pytest.approx(20.0)
    (refused,) = summarize_slippages([sold])
    assert refused.expected_bps is None


def test_causes_are_counted_once_for_what_differs() -> None:
    causes = count_causes(
        [
            diff(veto_mismatch=True, root_cause=RootCause.LIVE_VETO),
            diff(veto_mismatch=True, is_upsize=True, root_cause=RootCause.LIVE_VETO),
            diff(mismatch_kind=MismatchKind.LIVE_ONLY, veto_mismatch=None, root_cause=RootCause.NO_DECISION),
            diff(veto_mismatch=False, is_upsize=False, root_cause=None),
        ]
    )
    assert causes == [("live_veto", 2), ("no_decision", 1)]


def test_quality_is_what_each_run_measured_oldest_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(1, "1"), fill_row(2, "1"), b"[]\n", b"{\n")
    home.run(3)
    home.run(5000)
    newest, *_ = runs = list(read_summaries_backward(open_compare_log(home.settings)))
    assert newest.input_quality["orders_executed"].malformed_ratio == 0.5
    found = collect_quality(runs)
    assert [one.ts for one in found] == sorted(one.generated_ts for one in runs)
    assert found[-1].malformed_pct["orders_executed"] == 50.0
    nothing = replace(newest.input_quality["orders_executed"], malformed_ratio=None)
    (unmeasured,) = collect_quality([replace(newest, input_quality={"orders_executed": nothing})])
    assert unmeasured.malformed_pct == {}


def test_slippage_is_by_symbol_the_most_orders_first() -> None:
    def filled(symbol: str, price: float, expected: float | None) -> Diff:
        made = decision(symbol=symbol, expected_slippage_bps=expected)
        return diff(symbol=symbol, shadow=made, live=live(avg_price=price))

    first, second = summarize_slippages(
        [filled("ETHUSDT", 100.0, None), *(filled("BTCUSDT", 100.0 + n / 100, float(n)) for n in range(5))]
    )
    assert (first.symbol, first.count, first.expected_bps) == ("BTCUSDT", 5, 2.0)
    assert (first.p5_bps, first.p50_bps, first.p95_bps) == pytest.approx((0.2, 2.0, 3.8))
    assert (second.symbol, second.count, second.p50_bps, second.expected_bps) == ("ETHUSDT", 1, 0.0, None)


def test_of_no_order_there_is_no_slippage() -> None:
    assert summarize_slippages([diff(live=None)]) == []
