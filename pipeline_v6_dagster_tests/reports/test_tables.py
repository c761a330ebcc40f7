"""The tables of the worst cases."""

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.reports import tables
from pipeline_v6_dagster_tests.live_builders import decision, denied, diff, live


def test_upsizes_stand_by_their_excess_and_the_rest_is_counted() -> None:
    diffs = [
        diff(number, is_upsize=True, sizing_diff_pct=number / 5, shadow=decision(), live=live(gross_usd=500.0 + number))
        for number in range(1, 13)
    ]
    table = tables.upsizes([*diffs, diff(99, is_upsize=False)])
    assert [row[-1] for row in table.rows] == [f"{number}.00 USD" for number in range(12, 2, -1)]
    assert table.rest == 2
    assert all(len(row) == len(table.headings) for row in table.rows)


def test_mismatches_say_what_each_side_did() -> None:
    refused = diff(1, veto_mismatch=True, shadow=denied(reasons=("symbol_cap", "tier_cap")), impact_usd=10.0)
    vetoed = diff(
        2,
        veto_mismatch=True,
        live_outcome=LiveOutcome.VETOED,
        shadow=decision(),
        live=live(reason="min_notional"),
        impact_usd=-20.0,
    )
    first, second = tables.mismatches([refused, vetoed, diff(3, veto_mismatch=False)]).rows
    assert first[4:6] == ("allows", "vetoed: min_notional")
    assert second[4:6] == ("denies: symbol_cap, tier_cap", "executed")
    assert (first[-1], second[-1]) == ("-20.00 USD", "10.00 USD")


def test_what_was_not_measured_says_so() -> None:
    (row,) = tables.upsizes([diff(1, is_upsize=True, sizing_diff_pct=None, shadow=None, live=None)]).rows
    assert row[4:] == ("not measured",) * 4
    assert tables.slippages([diff(1, slippage_diff_bps=None)]).rows == ()


def test_figures_read_as_people_write_them() -> None:
    bought = diff(
        1,
        slippage_diff_bps=12.345,
        shadow=decision(price=60_000.0),
        live=live(avg_price=0.1 + 0.2, executed_gross_usd=1e6),
    )
    (row,) = tables.slippages([bought]).rows
    assert row[0] == "2025-11-01 12:26:41 UTC"
    assert row[4:] == ("60,000", "0.3", "12.3 bps", "1,000,000.00 USD")


def test_criteria_say_what_to_do_only_where_they_do_not_hold() -> None:
    def criterion(state: CriterionState) -> Criterion:
        return Criterion(
            name="no_upsizes",
            group=CriterionGroup.CRITICAL,
            state=state,
            measured="3",
            limit="0",
            description="3 orders larger than v6's size",
            to_do="Explain each.",
        )

    table = tables.list_criteria([criterion(CriterionState.HOLDS), criterion(CriterionState.BROKEN)])
    assert [row[-1] for row in table.rows] == ["-", "3 orders larger than v6's size. Explain each."]
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert max(table.long) < len(table.headings)


def test_sides_are_counted_by_symbol_and_delay() -> None:
    def sided(delay_s: float | None, side: Side, symbol: str = "BTCUSDT") -> Diff:
        return diff(symbol=symbol, match_dt_s=delay_s, shadow=decision(), live=live(side=side))

    table = tables.compare_sides(
        [
            sided(1.0, Side.BUY),
            sided(0.5, Side.SELL),
            sided(1.1, Side.BUY),
            sided(None, Side.BUY, "ETHUSDT"),
            sided(601.0, Side.SELL, "ETHUSDT"),
            diff(shadow=decision(), live=None),
        ]
    )
    assert set(table.rows) == {
        ("BTCUSDT", "up to 1 s", "2", "1", "1"),
        ("BTCUSDT", "up to 10 s", "1", "1", "0"),
        ("ETHUSDT", "not measured", "1", "1", "0"),
        ("ETHUSDT", "above 10 min", "1", "0", "1"),
    }


def test_the_first_divergence_of_each_symbol_is_its_oldest() -> None:
    samples = [
        diff(1),
        diff(2, veto_mismatch=True, shadow=decision()),
        diff(3, veto_mismatch=True, shadow=decision()),
        diff(4, symbol="ETHUSDT", veto_mismatch=True, shadow=denied()),
    ]
    table = tables.first_divergences(tables.find_first_divergences(samples))
    assert [row[1:4:2] for row in table.rows] == [("BTCUSDT", "d2"), ("ETHUSDT", "d4")]
