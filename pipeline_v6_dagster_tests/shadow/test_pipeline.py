import json
import os
import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.decision import ShadowDecision
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import DenyReason
from pipeline_v6_dagster.logs.shadow_log import Source, encode_decision
from pipeline_v6_dagster.shadow.pipeline import ENGINE_VERSION, Engines, run_pipeline_v6_shadow
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster_tests.builders import (
    AS_OF,
    SYMBOL,
    account,
    attempt,
    attempt_row,
    limits,
    line,
    nav,
    unhurried,
)

RISK = {
    "max_leverage": 3,
    "nav_freshness_seconds": 90,
    "max_gross_nav_pct": 150,
    "max_concurrent_positions": 4,
    "tiers": {"CORE": {"per_symbol_nav_pct": 30.0}, "SATELLITE": {"per_symbol_nav_pct": 20.0}},
    "restricted_symbols": ["C", "D", "E"],
    "whitelist": [SYMBOL, "F", "G"],
}
OWN = {"max_nav_pct": 0.2, "max_open_qty": 50, "min_notional": 5, "max_order_notional": 800}
RULES = limits(RISK, OWN, tier="CORE", step_size=0.01, tick_size=0.1, target_leverage=1)
BARE = limits()


def run(record: Attempt, rules: Limits = RULES) -> ShadowDecision:
    return run_pipeline_v6_shadow(record, account(rules), rules, Engines.built_in(rules))


def encoded(decision: ShadowDecision, rules: Limits = RULES) -> bytes:
    return encode_decision(
        decision,
        "id",
        Source(log="log", head="head", start=0, end=1, skipped={}),
        rules.config_hash,
        ENGINE_VERSION,
        AS_OF,
    )


numbers = st.none() | st.floats() | st.sampled_from([0.0, 1.0, 5.0, 100.0, -100.0, 1e-308, 1e308])
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False) | st.sampled_from([1.0, 5.0, 100.0])
words = st.sampled_from(["", SYMBOL, "OTHER", "CORE", "BUY", "SELL", "SHORT"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=5
)
names = st.none() | words


@st.composite
def wild_attempts(draw: st.DrawFn) -> Attempt:
    snapshot = nav(
        nav_usd=draw(numbers | st.just(10_000.0)),
        gross_usd=draw(numbers),
        symbol_gross_usd=draw(st.none() | st.dictionaries(words, st.floats(), max_size=3)),
        age_s=draw(numbers),
    )
    return Attempt(
        symbol=draw(st.just(SYMBOL) | words),
        side=draw(st.just("BUY") | words),
        qty=draw(numbers),
        price=draw(numbers),
        quote_notional_usd=draw(numbers),
        leverage=draw(numbers),
        tier=draw(names),
        strategy_id=draw(names),
        is_reduce_only=draw(st.booleans()),
        intent_id=draw(names),
        attempt_id=draw(names),
        as_of=draw(st.floats(1e9, 1e10)),
        nav=draw(st.none() | st.just(snapshot)),
    )


@st.composite
def plausible_attempts(draw: st.DrawFn) -> Attempt:
    """Attempts of which many are allowed."""
    price = draw(st.sampled_from([0.1, 17.352, 100.0, 60_000.0]))
    notional = draw(st.floats(1, 2_000))
    return attempt(
        side=draw(st.sampled_from(["BUY", "SELL", "LONG", "SHORT"])),
        qty=draw(st.none() | st.just(notional / price) | st.floats(0.001, 20)),
        price=price,
        quote_notional_usd=draw(st.none() | st.just(notional)),
        is_reduce_only=draw(st.booleans()),
        nav=nav(
            gross_usd=draw(st.none() | st.floats(0, 20_000)),
            symbol_gross_usd=draw(st.none() | st.dictionaries(st.sampled_from([SYMBOL, "B"]), st.floats(0, 2_000))),
        ),
    )


def assert_sound(record: Attempt, rules: Limits) -> None:
    decision = run(record, rules)
    risk, size = decision.risk_decision, decision.size_decision
    assert (size is not None) is (decision.router_decision is not None) is risk.allowed
    assert decision.sizing.sized_gross_usd == (size.gross_usd if size else None)
    row = json.loads(encoded(decision, rules), parse_constant=pytest.fail)
    assert row["risk_decision"]["allowed"] is risk.allowed
    assert row["risk_decision"]["reasons"] == list(risk.reasons)
    if size is None:
        return
    order = decision.intent
    assert order.qty is not None
    assert order.price is not None
    assert order.quote_notional is not None
    assert 0 <= size.qty <= order.qty
    assert 0 <= size.gross_usd <= order.quote_notional
    cap = rules.of(order.symbol).max_order_notional_usd
    if cap is not None and not order.reduce_only:
        assert size.qty * order.price <= cap * (1 + 1e-8)


@unhurried
@given(wild_attempts(), st.sampled_from([RULES, BARE]))
def test_any_attempt_is_decided_and_written(record: Attempt, rules: Limits) -> None:
    assert_sound(record, rules)


@unhurried
@given(positive, positive, positive, positive, st.booleans())
def test_numbers_of_any_size_are_decided_and_written(
    qty: float, price: float, notional: float, nav_usd: float, is_reduce_only: bool
) -> None:
    snapshot = nav(nav_usd=nav_usd)
    record = attempt(
        qty=qty, price=price, quote_notional_usd=notional, nav=snapshot, is_reduce_only=is_reduce_only, leverage=1.0
    )
    assert_sound(record, RULES)
    assert_sound(record, BARE)


@unhurried
@given(plausible_attempts(), st.sampled_from([RULES, BARE]))
def test_a_plausible_attempt_is_sized_within_what_was_asked_and_every_cap(record: Attempt, rules: Limits) -> None:
    assert_sound(record, rules)


def test_an_allowed_attempt_is_sized_and_routed() -> None:
    decision = run(attempt(qty=5.005))
    assert decision.risk_decision.allowed
    assert decision.as_of == AS_OF
    assert decision.size_decision is not None
    assert decision.size_decision.qty == 5.0
    assert decision.router_decision is not None
    sizing = decision.sizing
    assert sizing.screener_gross_usd == sizing.executor_gross_usd == pytest.approx(500.5)
    assert sizing.sized_gross_usd == pytest.approx(500.0)


def test_a_denied_attempt_is_neither_sized_nor_routed() -> None:
    decision = run(attempt(symbol="OTHER", leverage=1.0))
    assert decision.risk_decision.reasons == (DenyReason.UNKNOWN_SYMBOL, DenyReason.NOT_WHITELISTED)
    assert (decision.size_decision, decision.router_decision, decision.sizing.sized_gross_usd) == (None, None, None)


def test_an_attempt_that_says_nothing_is_denied_for_all_that_it_does_not_say() -> None:
    found = parse_attempt(line({"ts": AS_OF}))
    assert isinstance(found, Attempt)
    reasons = run(found).risk_decision.reasons
    assert reasons[:2] == (DenyReason.INVALID_INTENT, DenyReason.NAV_STALE)
    assert DenyReason.UNKNOWN_SYMBOL in reasons


def test_deciding_changes_none_of_its_inputs() -> None:
    record, rules = attempt(nav=nav(symbol_gross_usd={SYMBOL: 9.0})), deepcopy(RULES)
    before = deepcopy(record)
    run(record, rules)
    assert record == before
    assert rules == RULES


@unhurried
@given(plausible_attempts() | wild_attempts())
def test_the_same_inputs_give_the_same_bytes(record: Attempt) -> None:
    again = limits(
        dict(reversed(RISK.items())),
        dict(reversed(OWN.items())),
        target_leverage=1,
        tick_size=0.1,
        step_size=0.01,
        tier="CORE",
    )
    assert encoded(run(record)) == encoded(run(deepcopy(record), again), again)


def rows() -> list[dict[str, Any]]:
    snapshot = {"nav_usd": 10_000.0, "gross_usd": 900.0, "symbol_gross_usd": {SYMBOL: 300.0, "B": 600.0}}
    return [
        attempt_row(),
        attempt_row(symbol="D", side="x", qty=-1, nav_snapshot=None),
        attempt_row(qty=99.0, leverage=9, nav_snapshot=snapshot, tier="NONE"),
    ]


def print_bytes() -> None:
    """What a process of its own prints for the test below."""
    for row in rows():
        record = parse_attempt(line(row))
        assert isinstance(record, Attempt)
        sys.stdout.write(encoded(run(record)).decode() + "\n")


@pytest.mark.slow
def test_other_processes_with_other_hash_seeds_give_the_same_bytes() -> None:
    program = "from pipeline_v6_dagster_tests.shadow.test_pipeline import print_bytes; print_bytes()"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1
    assert len(printed.pop().splitlines()) == len(rows())
