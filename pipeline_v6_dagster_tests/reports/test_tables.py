"""The tables of the worst cases."""

from pipeline_v6_dagster.domain.comparison import LiveOutcome
from pipeline_v6_dagster.reports import tables
from pipeline_v6_dagster_tests.live_builders import decision, denied, diff, live


def test_upsizes_stand_by_their_excess_and_the_rest_is_counted() -> None:
    diffs = [
        diff(number, is_upsize=True, sizing_diff_pct=number / 5, shadow=decision(), live=live(gross_usd=500.0 + number))
        for number in range(1, 13)
    ]
    table = tables.upsizes([*diffs, diff(99, is_upsize=False)])
    assert [row[-1] for row in table.rows] == [f"{number}.00" for number in range(12, 2, -1)]
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
    assert (first[-1], second[-1]) == ("-20.00", "10.00")


def test_what_was_not_measured_says_so() -> None:
    (row,) = tables.upsizes([diff(1, is_upsize=True, sizing_diff_pct=None, shadow=None, live=None)]).rows
    assert row[4:] == ("not measured",) * 4
    assert tables.slippages([diff(1, slippage_diff_bps=None)]).rows == ()


def test_figures_read_as_people_write_them() -> None:
    assert tables.number(1234567.891, 2) == "1,234,567.89"
    assert tables.number(0.421500, 6) == "0.4215"
    assert tables.number(60000.0, 6) == "60,000"
    assert tables.number(None, 2) == "not measured"
