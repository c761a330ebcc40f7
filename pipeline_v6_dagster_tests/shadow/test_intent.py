from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.account_events import OrderFilled
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.intent import build_intent
from pipeline_v6_dagster_tests.builders import (
    AS_OF,
    NAV_USD,
    SYMBOL,
    account,
    attempt,
    intent,
    limits,
    nav,
    state,
    unhurried,
)

NO_LIMITS = limits()


def built(rules: Limits = NO_LIMITS, **changes: Any) -> tuple[OrderIntent, RiskState]:
    return build_intent(attempt(**changes), account(rules), rules)


def test_an_attempt_of_a_flat_account_becomes_its_intent_and_state() -> None:
    assert built() == (intent(500.0, leverage=None), state(position_qty=None, snapshot_ts=AS_OF))


def test_ids_and_strategy_are_carried_over() -> None:
    found, _ = built(intent_id="i", attempt_id=None, strategy_id="s", is_reduce_only=True)
    assert (found.intent_id, found.attempt_id, found.strategy_id, found.reduce_only) == ("i", None, "s", True)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("BUY", Side.BUY),
        ("LONG", Side.BUY),
        ("SELL", Side.SELL),
        ("SHORT", Side.SELL),
        ("", None),
        ("BOTH", None),
        ("FLAT", None),
    ],
)
def test_long_is_a_buy_short_a_sell_and_another_word_no_side(text: str, side: Side | None) -> None:
    assert built(side=text)[0].side is side


@pytest.mark.parametrize(
    ("qty", "price", "notional", "expected"),
    [
        (5.0, 100.0, None, (5.0, 500.0)),
        (-5.0, 100.0, None, (-5.0, 500.0)),
        (5.0, 100.0, 450.0, (5.0, 450.0)),
        (None, 100.0, 450.0, (4.5, 450.0)),
        (None, None, 450.0, (None, 450.0)),
        (None, 0.0, 450.0, (None, 450.0)),
        (5.0, None, None, (5.0, None)),
        (5.0, None, 450.0, (5.0, 450.0)),
        (None, 100.0, None, (None, None)),
        (0.0, 100.0, None, (0.0, 0.0)),
    ],
)
def test_a_missing_notional_or_quantity_follows_from_the_other_and_the_price(
    qty: float | None, price: float | None, notional: float | None, expected: tuple[float | None, float | None]
) -> None:
    found, _ = built(qty=qty, price=price, quote_notional_usd=notional)
    assert (found.qty, found.quote_notional) == expected


def test_leverage_is_the_attempts_else_the_universes_else_unknown() -> None:
    rules = limits(target_leverage=3)
    assert built(rules, leverage=2.0)[0].leverage == 2
    assert built(rules)[0].leverage == 3
    assert built()[0].leverage is None
    assert built(rules, leverage=0.0)[0].leverage == 0  # a wrong one is for the rules to deny
    assert built(rules, symbol="OTHER")[0].leverage is None


def test_the_tier_is_the_attempts_else_the_universes() -> None:
    rules = limits(tier="CORE")
    assert built(rules, tier="SATELLITE")[0].tier_name == "SATELLITE"
    assert built(rules)[0].tier_name == "CORE"
    assert built(rules, tier="")[0].tier_name == "CORE"
    assert built()[0].tier_name is None


# (gross_usd, symbol_gross_usd) -> (symbol's gross, portfolio's gross, open positions, is this symbol held, open qty)
EXPOSURES = [
    ((0.0, None), (0.0, 0.0, 0, False, 0.0)),
    ((0.0, {}), (0.0, 0.0, 0, False, 0.0)),
    ((900.0, {SYMBOL: 300.0, "B": 600.0}), (300.0, 900.0, 2, True, None)),
    ((600.0, {"B": 600.0}), (0.0, 600.0, 1, False, 0.0)),
    ((900.0, {SYMBOL: -300.0, "B": -600.0}), (300.0, 900.0, 2, True, None)),
    ((600.0, {SYMBOL: 0.0, "B": 600.0, "C": 0.0}), (0.0, 600.0, 1, False, 0.0)),
    ((None, {SYMBOL: 300.0, "B": -600.0}), (300.0, 900.0, 2, True, None)),
    ((0.0, {SYMBOL: 300.0, "B": 600.0}), (300.0, 900.0, 2, True, None)),
    ((-5.0, {SYMBOL: 300.0}), (300.0, -5.0, 1, True, None)),
    ((900.0, None), (900.0, 900.0, None, None, None)),
    ((900.0, {}), (900.0, 900.0, None, None, None)),
    ((None, None), (None, None, None, None, None)),
    ((None, {}), (None, None, None, None, None)),
]


@pytest.mark.parametrize(("snapshot", "expected"), EXPOSURES)
def test_exposure_is_what_the_snapshot_tells_and_never_less_than_it_can_be(
    snapshot: tuple[float | None, dict[str, float] | None], expected: tuple[Any, ...]
) -> None:
    gross_usd, symbol_gross_usd = snapshot
    found, known = built(nav=nav(gross_usd=gross_usd, symbol_gross_usd=symbol_gross_usd))
    assert (
        found.current_gross_notional,
        known.portfolio_gross_usd,
        found.open_positions_count,
        known.has_position,
        found.symbol_open_qty,
    ) == expected


def test_without_a_snapshot_the_account_is_unknown() -> None:
    found, known = built(nav=None)
    assert known == RiskState(as_of=AS_OF, nav_age_s=None, portfolio_gross_usd=None, has_position=None)
    assert (found.nav_usd, found.current_gross_notional, found.tier_gross_notional) == (None, None, None)
    assert (found.open_positions_count, found.symbol_open_qty) == (None, None)


def test_a_snapshot_without_a_time_of_its_own_is_as_fresh_as_the_attempt() -> None:
    assert built()[1].nav_age_s == 0
    assert built(nav=nav(age_s=90.0))[1].nav_age_s == 90
    assert built(nav=nav(nav_usd=None))[0].nav_usd is None
    assert built()[0].nav_usd == NAV_USD


@pytest.mark.parametrize(
    ("age_s", "is_in_trade", "open_qty"),
    [(None, False, 0.0), (5.0, False, 0.0), (20.0, True, 2.0)],
)
def test_a_snapshot_says_nothing_of_what_was_filled_after_it(
    age_s: float | None, is_in_trade: bool, open_qty: float
) -> None:
    known = account(NO_LIMITS)
    known.apply(
        OrderFilled(
            ts=AS_OF - 10,
            symbol=SYMBOL,
            order_key="7|",
            is_reduce_only=False,
            side=Side.BUY,
            position_side=None,
            executed_qty=2.0,
            avg_price=100.0,
            status=None,
        )
    )
    flat = nav(gross_usd=50.0, symbol_gross_usd={"OTHERUSDT": 50.0}, age_s=age_s)
    order, risk = build_intent(attempt(nav=flat), known, NO_LIMITS)
    assert (risk.is_in_trade, order.symbol_open_qty) == (is_in_trade, open_qty)


def test_the_gross_of_a_tier_is_that_of_all_its_symbols() -> None:
    rules = limits(tier="CORE")
    assert built(rules, nav=nav(symbol_gross_usd={SYMBOL: -300.0, "B": 600.0}))[0].tier_gross_notional == 300
    assert built(rules)[0].tier_gross_notional == 0
    assert built(rules, nav=nav(gross_usd=900.0))[0].tier_gross_notional is None
    assert built(nav=nav(gross_usd=900.0, symbol_gross_usd={SYMBOL: 900.0}))[0].tier_gross_notional is None


@unhurried
@given(
    st.none() | st.floats(min_value=0, max_value=1e6),
    st.none() | st.dictionaries(st.sampled_from([SYMBOL, "B", "C"]), st.floats(-1e6, 1e6), max_size=3),
)
def test_a_symbols_gross_is_never_above_the_portfolios(
    gross_usd: float | None, symbol_gross_usd: dict[str, float] | None
) -> None:
    found, known = built(nav=nav(gross_usd=gross_usd, symbol_gross_usd=symbol_gross_usd))
    if found.current_gross_notional is not None:
        assert known.portfolio_gross_usd is not None
        assert 0 <= found.current_gross_notional <= known.portfolio_gross_usd * (1 + 1e-12)
