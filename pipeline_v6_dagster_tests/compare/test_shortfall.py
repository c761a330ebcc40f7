"""Implementation shortfall in parts, by hand: 5 decided at 100."""

from typing import Any

import pytest

from pipeline_v6_dagster.compare.shortfall import measure_shortfall
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import LiveSide, Shortfall
from pipeline_v6_dagster_tests.live_builders import decision, denied


def live(**changes: Any) -> LiveSide:
    """All 5 filled at 100.5 for a fee of 0.25; the market stood at 100.2 when the order was sent."""
    fields = {"legs": (), "executed_qty": 5.0, "avg_price": 100.5, "arrival_price": 100.2, "fees_usd": 0.25}
    return LiveSide(**(dict.fromkeys(LiveSide.__slots__) | fields | changes))


def parts(found: Shortfall | None) -> tuple[float | None, ...]:
    assert found is not None
    return found.delay_usd, found.execution_usd, found.fees_usd, found.opportunity_usd, found.total_usd, found.total_bps


@pytest.mark.parametrize(
    ("side", "sign"),
    [(Side.BUY, 1.0), (Side.SELL, -1.0)],
)
def test_a_price_that_rose_costs_a_buyer_and_pays_a_seller(side: Side, sign: float) -> None:
    found = parts(measure_shortfall(decision(side=side), live(), None))
    total = sign * 2.5 + 0.25
    assert found == pytest.approx((sign * 1.0, sign * 1.5, 0.25, 0.0, total, 1e4 * total / 500))


def test_what_was_not_filled_costs_what_it_would_have_gained() -> None:
    found = parts(measure_shortfall(decision(), live(executed_qty=2.0), 110.0))
    assert found == pytest.approx((0.4, 0.6, 0.25, 30.0, 31.25, 625.0))


def test_nothing_filled_is_all_opportunity() -> None:
    nothing = live(executed_qty=0.0, avg_price=None, fees_usd=None)
    found = parts(measure_shortfall(decision(), nothing, 110.0))
    assert found == pytest.approx((0.0, 0.0, 0.0, 50.0, 50.0, 1000.0))


@pytest.mark.parametrize("changes", [{"executed_qty": 2.0}, {"executed_qty": 0.0, "avg_price": None}])
def test_what_was_not_filled_is_not_measured_without_a_later_price(changes: dict[str, Any]) -> None:
    found = measure_shortfall(decision(), live(**changes), None)
    assert found is not None
    assert (found.opportunity_usd, found.total_usd, found.total_bps) == (None, None, None)


def test_an_arrival_price_that_is_only_the_hint_says_nothing_of_the_delay() -> None:
    found = parts(measure_shortfall(decision(), live(arrival_price=100.0), None))
    assert found == (None, None, 0.25, 0.0, pytest.approx(2.75), pytest.approx(55.0))


def test_without_an_arrival_price_the_sum_is_known_and_its_two_parts_are_not() -> None:
    found = parts(measure_shortfall(decision(), live(arrival_price=None), None))
    assert found == (None, None, 0.25, 0.0, pytest.approx(2.75), pytest.approx(55.0))


@pytest.mark.parametrize("missing", [{"avg_price": None}, {"fees_usd": None}])
def test_a_sum_with_a_part_that_was_not_measured_is_none(missing: dict[str, Any]) -> None:
    found = measure_shortfall(decision(), live(**missing), None)
    assert found is not None
    assert (found.total_usd, found.total_bps) == (None, None)


def test_without_a_quantity_a_price_or_a_side_there_is_none() -> None:
    assert measure_shortfall(decision(), None, None) is None
    assert measure_shortfall(decision(), live(executed_qty=None), None) is None
    assert measure_shortfall(decision(price=None), live(), None) is None
    assert measure_shortfall(decision(side=None), live(), None) is None
    assert measure_shortfall(denied(quote_notional=None), live(), None) is None


def test_an_order_that_v6_denied_is_measured_against_what_was_asked_for() -> None:
    assert measure_shortfall(denied(), live(), None) == measure_shortfall(decision(), live(), None)
