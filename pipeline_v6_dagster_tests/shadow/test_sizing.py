from decimal import Decimal
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.risk import RiskDecision
from pipeline_v6_dagster.shadow.lots import round_down
from pipeline_v6_dagster.shadow.sizing import LotStepSizer
from pipeline_v6_dagster_tests.builders import intent, limits, unhurried

STEPS = ["0.00001", "0.0001", "0.001", "0.01", "0.1", "0.25", "1", "5", "10", "1000"]
ALLOWED = RiskDecision(True, 1.0, (), (), (), {})


@pytest.mark.parametrize(
    ("qty", "step", "rounded"),
    [
        (0.3, 0.1, 0.3),
        (0.30000000000000004, 0.1, 0.3),
        (0.29999, 0.1, 0.2),
        (0.7, 0.1, 0.7),
        (1.15, 0.05, 1.15),
        (8.01, 0.01, 8.01),
        (283.6, 0.1, 283.6),
        (0.0991, 0.1, 0.0),
        (0.0995, 0.001, 0.099),
        (7.0, 5.0, 5.0),
        (12_345.678, 1.0, 12_345.0),
        (0.123456, None, 0.123456),
        (0.123456, 0.0, 0.123456),
        (1e308, 0.001, 1e308),
        (1e300, 1e-300, 1e300),
        (5e-324, 0.001, 0.0),
    ],
)
def test_a_quantity_is_rounded_down_to_whole_steps(qty: float, step: float | None, rounded: float) -> None:
    assert round_down(qty, step) == rounded


@unhurried
@given(st.integers(min_value=0, max_value=10**7), st.sampled_from(STEPS))
def test_whole_steps_stay_what_they_are(steps: int, step: str) -> None:
    qty = float(steps * Decimal(step))
    assert round_down(qty, float(step)) == qty


@unhurried
@given(st.floats(min_value=0, max_value=1e6), st.sampled_from(STEPS))
@example(0.1 + 0.2, "0.1")
def test_rounding_never_enlarges_and_loses_less_than_one_step(qty: float, step: str) -> None:
    rounded = round_down(qty, float(step))
    assert 0 <= rounded <= qty
    assert qty - rounded < float(step) * (1 + 1e-6)
    steps = rounded / float(step)
    assert abs(steps - round(steps)) < 1e-3


@unhurried
@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False), st.floats(min_value=0, exclude_min=True))
def test_no_quantity_and_no_step_break_the_rounding(qty: float, step: float) -> None:
    assert 0 <= round_down(qty, step) <= qty


def test_an_order_in_whole_steps_is_sized_as_asked() -> None:
    size = LotStepSizer(limits(step_size=0.001)).size_order(intent(500.0), ALLOWED)
    assert (size.qty, size.gross_usd, size.caps_applied) == (5.0, 500.0, ())


def test_an_order_between_steps_shrinks_with_its_notional_and_says_why() -> None:
    size = LotStepSizer(limits(step_size=0.1)).size_order(intent(505.0), ALLOWED)
    assert (size.qty, size.caps_applied) == (5.0, ("lot_step",))
    assert size.gross_usd == pytest.approx(500.0)


def test_an_order_of_a_symbol_without_a_step_is_sized_as_asked() -> None:
    size = LotStepSizer(limits()).size_order(intent(500.123), ALLOWED)
    assert (size.qty, size.gross_usd) == (500.123 / 100, 500.123)


@unhurried
@given(st.floats(min_value=0.01, max_value=1e6), st.floats(0.001, 1e5), st.sampled_from([*STEPS, None]))
def test_a_size_is_never_above_what_was_asked_for(notional: float, price: float, step: str | None) -> None:
    sizer = LotStepSizer(limits(step_size=None if step is None else float(step)))
    order = intent(notional, price=price, qty=notional / price)
    size = sizer.size_order(order, ALLOWED)
    assert order.qty is not None
    assert 0 <= size.qty <= order.qty
    assert 0 <= size.gross_usd <= notional
    assert size.gross_usd == pytest.approx(size.qty * price)
    assert bool(size.caps_applied) is (size.qty < order.qty) is (size.gross_usd < notional)
    assert size.qty < inf


def test_a_quantity_that_is_worth_more_than_the_notional_is_cut_to_what_the_notional_buys() -> None:
    size = LotStepSizer(limits(step_size=0.1)).size_order(intent(100.0, price=10.0, qty=50.0), ALLOWED)
    assert (size.qty, size.gross_usd, size.caps_applied) == (10.0, 100.0, ("notional",))


@pytest.mark.parametrize("qty", [float("nan"), float("inf"), float("-inf"), -1.797e306])
def test_what_is_no_quantity_is_left_as_it_is(qty: float) -> None:
    assert repr(round_down(qty, 0.01)) == repr(qty)
