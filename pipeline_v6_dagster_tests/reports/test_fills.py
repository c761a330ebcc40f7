"""Which prices the fills plots show, and that they are drawn whatever the names and the numbers."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.reports.fills import collect_fills
from pipeline_v6_dagster.reports.series import SizedOrder, collect_sized_orders
from pipeline_v6_dagster.reports.verdict_plots import fills_plot, sizing_plot
from pipeline_v6_dagster_tests.live_builders import T0, decision, denied, diff, leg, live

HOSTILE = "\"><script>alert('$x_1$')</script>\x00\ud800"


def _filled(number: int, symbol: str = "BTCUSDT", price: float = 101.0, **changes: object) -> Diff:
    made = decision(number, symbol=symbol)
    return diff(
        number,
        symbol=symbol,
        shadow=made,
        live=live(legs=(leg(),), avg_price=price, last_fill_ts=T0 + number + 2),
        **changes,
    )


def test_decisions_fills_and_upsizes_stand_at_their_own_times_and_prices() -> None:
    vetoed = diff(20, shadow=denied(20), live=None)
    (one,) = collect_fills([vetoed, _filled(10, is_upsize=True), _filled(0)])
    assert one.orders == 2
    assert one.allowed == [(T0, 100.0), (T0 + 10, 100.0)]
    assert one.denied == [(T0 + 20, 100.0)]
    assert one.fills == [(T0 + 2, 101.0)]
    assert one.upsizes == [(T0 + 12, 101.0)]


def test_the_symbols_with_most_orders_come_first_and_the_rest_is_left_out() -> None:
    diffs = [_filled(number, f"S{number % 6}") for number in range(16)]
    assert [one.symbol for one in collect_fills(diffs, most=4)] == ["S0", "S1", "S2", "S3"]
    assert [one.orders for one in collect_fills(diffs, most=6)] == [3, 3, 3, 3, 2, 2]


def test_a_symbol_without_any_price_is_left_out() -> None:
    assert collect_fills([diff(shadow=decision(price=None), live=live(legs=(leg(),)))]) == []
    assert collect_fills([]) == []


def test_an_upsize_without_a_fill_stands_at_the_decision_price() -> None:
    placed = diff(5, is_upsize=True, shadow=decision(), live=live(legs=(leg(),), first_ack_ts=T0 + 6))
    (one,) = collect_fills([placed])
    assert one.upsizes == [(T0 + 6, 100.0)]


def test_sizes_are_doublings_and_both_directions_are_marked() -> None:
    sizes = collect_sized_orders(
        [
            diff(sizing_diff_pct=1.0, is_upsize=True),
            diff(sizing_diff_pct=-0.75, is_downsize=True),
            diff(sizing_diff_pct=0.0),
            diff(sizing_diff_pct=-1.0),
        ]
    )
    assert [one.log2_ratio for one in sizes] == [1.0, -2.0, 0.0, None]
    drawn = sizing_plot(sizes)
    assert "live larger (1)" in drawn
    assert "v6 larger (1)" in drawn
    assert "live larger" not in sizing_plot(sizes[2:3])


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_is_no_size_has_no_logarithm(ratio: float) -> None:
    found = SizedOrder(T0, ratio, is_upsize=False).log2_ratio
    assert (found is None) is not (0 < ratio < float("inf"))


def test_a_hostile_name_is_text_in_the_drawing() -> None:
    (one,) = collect_fills([_filled(0, HOSTILE)])
    drawn = fills_plot(one, 1)
    assert "<script" not in drawn
    assert "\x00" not in drawn
    drawn.encode()


def test_drawings_of_names_that_look_alike_share_no_id() -> None:
    first, second = collect_fills([_filled(0, "A" * 30 + "1"), _filled(1, "A" * 30 + "2")])
    assert fills_plot(first, 1).split('clipPath id="')[1][:20] != fills_plot(second, 2).split('clipPath id="')[1][:20]
