"""Exposure on its way: attempts, acks, fills and ends in any mix, held against a naive recomputation."""

from copy import copy
from math import nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline_v6_dagster.domain.account_events import (
    AccountEvent,
    OrderEnded,
    OrderFailed,
    OrderFilled,
    OrderPlaced,
    PositionsSnapshot,
)
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.live import OrderStatus, Veto
from pipeline_v6_dagster.domain.position_book import order_key
from pipeline_v6_dagster.domain.position_state import PositionRow
from pipeline_v6_dagster.domain.risk import DenyReason, RiskDecision
from pipeline_v6_dagster.shadow.pending import DEFAULT_TOLERANCE_S
from pipeline_v6_dagster.shadow.pipeline import Engines, run_pipeline_v6_shadow
from pipeline_v6_dagster.shadow.rolling import RollingState
from pipeline_v6_dagster_tests.builders import AS_OF, NAV_USD, PRICE, SYMBOL, account, attempt, limits, nav, unhurried

OTHER = "ETHUSDT"
OPEN_LIMITS = limits({"max_trade_nav_pct": 100, "trade_equity_nav_pct": 100, "allow_pyramiding": True})


def decide(rolling: RollingState, rules: Any = OPEN_LIMITS, **changes: Any) -> RiskDecision:
    return run_pipeline_v6_shadow(attempt(**changes), rolling, rules, Engines.built_in(rules)).risk_decision


def placed(number: int, ts: float, qty: float = 5.0, **changes: Any) -> OrderPlaced:
    fields: dict[str, Any] = {"symbol": SYMBOL, "side": Side.BUY, "status": OrderStatus.NEW, "is_reduce_only": False}
    fields |= changes
    return OrderPlaced(
        ts=ts,
        order_key=order_key(str(number), f"i{number}", None),
        position_side=PositionSide.LONG,
        requested_qty=qty,
        intent_id=f"i{number}",
        **fields,
    )


def filled(number: int, ts: float, qty: float, status: OrderStatus, **changes: Any) -> OrderFilled:
    fields: dict[str, Any] = {"symbol": SYMBOL, "side": Side.BUY, "avg_price": PRICE, "is_reduce_only": False}
    fields |= changes
    return OrderFilled(
        ts=ts,
        order_key=order_key(str(number), f"i{number}", None),
        position_side=PositionSide.LONG,
        executed_qty=qty,
        status=status,
        intent_id=f"i{number}",
        **fields,
    )


def test_of_sixty_orders_of_ten_percent_on_one_snapshot_five_are_allowed_under_a_limit_of_half() -> None:
    for limit, most, reason in (
        ("max_symbol_exposure_pct", 5, DenyReason.SYMBOL_NAV_CAP),
        ("max_gross_nav_pct", 5, DenyReason.PORTFOLIO_CAP),
    ):
        rules = limits({limit: 50})
        rolling = account(rules)
        decisions = [
            decide(rolling, rules, qty=10.0, intent_id=f"i{number}", attempt_id=None, as_of=AS_OF + number)
            for number in range(60)
        ]
        assert [decision.allowed for decision in decisions] == [number < most for number in range(60)]
        assert {decision.reasons for decision in decisions[most:]} == {(reason,)}


def test_an_answered_attempt_counts_as_live_until_its_order_ends() -> None:
    rules = limits({"max_symbol_exposure_pct": 20})
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
    rolling.apply(placed(1, AS_OF + 1, 15.0))
    assert not decide(rolling, rules, qty=6.0, intent_id="i2", as_of=AS_OF + 2).allowed
    assert decide(rolling, rules, qty=5.0, intent_id="i3", as_of=AS_OF + 3).allowed
    rolling.apply(OrderEnded(AS_OF + 4, SYMBOL, order_key("1", "i1", None), OrderStatus.CANCELED))
    assert decide(rolling, rules, qty=10.0, intent_id="i4", as_of=AS_OF + 5).allowed


def test_what_was_filled_counts_until_a_snapshot_taken_after_the_fill() -> None:
    rules = limits({"max_symbol_exposure_pct": 10, "allow_pyramiding": True})
    rolling = account(rules)
    rolling.apply(placed(1, AS_OF + 1, 8.0))
    rolling.apply(filled(1, AS_OF + 2, 8.0, OrderStatus.FILLED))
    old = nav(age_s=5.0)
    assert not decide(rolling, rules, qty=5.0, intent_id="i2", as_of=AS_OF + 3, nav=old).allowed
    fresh = nav(age_s=0.0)
    assert decide(rolling, rules, qty=5.0, intent_id="i3", as_of=AS_OF + 3, nav=fresh).allowed


def test_an_unanswered_attempt_drops_out_after_the_match_tolerance_and_an_answered_error_at_once() -> None:
    rules = limits({"max_symbol_exposure_pct": 10})
    for wait_s, is_allowed in ((DEFAULT_TOLERANCE_S, False), (DEFAULT_TOLERANCE_S + 1, True)):
        rolling = account(rules)
        assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
        assert decide(rolling, rules, qty=10.0, intent_id="i2", as_of=AS_OF + wait_s).allowed is is_allowed
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
    rolling.apply(OrderFailed(ts=AS_OF + 1, symbol=SYMBOL, order_key=None, intent_id="i1"))
    assert decide(rolling, rules, qty=10.0, intent_id="i2", as_of=AS_OF + 2).allowed


def vetoed(ts: float, **changes: Any) -> Veto:
    fields: dict[str, Any] = {"symbol": SYMBOL, "side": None, "intent_id": None, "attempt_id": None, "reason": "x"}
    return Veto(ts=ts, **(fields | changes))


@pytest.mark.parametrize(
    ("changes", "is_answered"),
    [
        ({"intent_id": "i1"}, True),
        ({"intent_id": "i1", "attempt_id": "other"}, True),
        ({"intent_id": "i2"}, False),
        ({}, True),
        ({"side": Side.BUY}, True),
        ({"side": Side.SELL}, False),
        ({"symbol": OTHER}, False),
        ({"symbol": None}, False),
    ],
)
def test_a_veto_answers_the_attempt_that_it_names_else_the_newest_of_its_symbol(
    changes: dict[str, Any], is_answered: bool
) -> None:
    rules = limits({"max_symbol_exposure_pct": 10})
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
    rolling.apply(vetoed(AS_OF + 1, **changes))
    assert decide(rolling, rules, qty=10.0, intent_id="i3", as_of=AS_OF + 2).allowed is is_answered


def test_a_veto_without_ids_answers_no_older_attempt_where_v6_denied_the_newest() -> None:
    rules = limits({"max_symbol_exposure_pct": 10})
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
    assert not decide(rolling, rules, qty=10.0, intent_id="i2", as_of=AS_OF + 1).allowed
    rolling.apply(vetoed(AS_OF + 2))
    assert not decide(rolling, rules, qty=10.0, intent_id="i3", as_of=AS_OF + 3).allowed


def test_a_veto_that_is_logged_twice_answers_one_attempt() -> None:
    rules = limits({"max_symbol_exposure_pct": 20})
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
    assert decide(rolling, rules, qty=10.0, intent_id="i2", as_of=AS_OF + 1).allowed
    rolling.apply(vetoed(AS_OF + 2))
    rolling.apply(vetoed(AS_OF + 2.5, side=Side.BUY, intent_id="i2"))
    assert decide(rolling, rules, qty=10.0, intent_id="i3", as_of=AS_OF + 3).allowed
    assert not decide(rolling, rules, qty=1.0, intent_id="i4", as_of=AS_OF + 4).allowed


def test_pending_positions_count_as_open_ones() -> None:
    rules = limits({"max_concurrent_positions": 1})
    rolling = account(rules)
    rolling.apply(placed(1, AS_OF - 1, 1.0, symbol=OTHER))
    rolling.apply(filled(1, AS_OF - 0.5, 0.5, OrderStatus.PARTIALLY_FILLED, symbol=OTHER))
    decision = decide(rolling, rules)
    assert decision.reasons == (DenyReason.MAX_CONCURRENT,)


def test_an_amendment_replaces_what_it_amends() -> None:
    rules = limits({"max_symbol_exposure_pct": 10})
    rolling = account(rules)
    assert decide(rolling, rules, qty=8.0, intent_id="i1").allowed
    assert decide(rolling, rules, qty=10.0, intent_id="i1", amends="i1", as_of=AS_OF + 1).allowed
    assert not decide(rolling, rules, qty=1.0, intent_id="i2", as_of=AS_OF + 2).allowed


@pytest.mark.parametrize("nav_usd", [None, 0.0, -1.0, nan])
def test_a_snapshot_without_a_usable_nav_does_not_end_the_run_of_the_same_figures(nav_usd: float | None) -> None:
    rules = limits({"max_symbol_exposure_pct": 10})
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1").allowed
    assert not decide(rolling, rules, qty=1.0, intent_id="i2", as_of=AS_OF + 1, nav=nav(nav_usd=nav_usd)).allowed
    assert not decide(rolling, rules, qty=1.0, intent_id="i3", as_of=AS_OF + 2).allowed


def test_an_amendment_of_another_symbols_attempt_frees_nothing() -> None:
    rules = limits({"max_gross_nav_pct": 10, "max_symbol_exposure_pct": 10})
    rolling = account(rules)
    assert decide(rolling, rules, qty=10.0, intent_id="i1", attempt_id="a1").allowed
    for amends in ("i1", "a1"):
        other = decide(rolling, rules, intent_id="i2", symbol=OTHER, amends=amends, as_of=AS_OF + 1)
        assert DenyReason.PORTFOLIO_CAP in other.reasons
    rolling.apply(placed(1, AS_OF + 2, 10.0))
    other = decide(rolling, rules, intent_id="i3", symbol=OTHER, amends="i1", as_of=AS_OF + 3)
    assert DenyReason.PORTFOLIO_CAP in other.reasons
    assert decide(rolling, rules, qty=10.0, intent_id="i4", amends="i1", as_of=AS_OF + 4).allowed


def test_a_rate_counts_what_v6_sent_and_nothing_has_answered() -> None:
    rules = limits({"max_trades_per_symbol_per_hour": 10, "allow_pyramiding": True})
    rolling = account(rules)
    decisions = [
        decide(rolling, rules, qty=0.5, intent_id=f"i{number}", attempt_id=None, as_of=AS_OF + number)
        for number in range(60)
    ]
    assert [decision.allowed for decision in decisions] == [number < 10 for number in range(60)]
    # A live order answers its attempt and counts in its place, a veto frees it.
    for number in range(9):
        rolling.apply(placed(number, AS_OF + 100 + number, 0.5))
    rolling.apply(vetoed(AS_OF + 120, intent_id="i9"))
    assert decide(rolling, rules, qty=0.5, intent_id="i61", as_of=AS_OF + 130).allowed
    assert not decide(rolling, rules, qty=0.5, intent_id="i62", as_of=AS_OF + 131).allowed


def test_events_with_equal_times_may_come_in_any_order() -> None:
    ack, fill = placed(1, AS_OF + 1, 8.0), filled(1, AS_OF + 1, 3.0, OrderStatus.PARTIALLY_FILLED)
    found = []
    for events in ((ack, fill), (fill, ack)):
        rolling = account(OPEN_LIMITS)
        decide(rolling, intent_id="i1", qty=8.0)
        for event in events:
            rolling.apply(event)
        found.append(rolling.pending.exposure(SYMBOL, Side.BUY, AS_OF + 2, AS_OF, rolling.find_price))
    assert found[0] == found[1]
    assert found[0].live_usd == 8.0 * PRICE


wide = st.sampled_from([None, 5, 20, 60])


@st.composite
def pending_limits(draw: st.DrawFn) -> Limits:
    """Limits that count what is pending, each of them now and then."""
    keys = (
        "max_symbol_exposure_pct",
        "max_gross_nav_pct",
        "max_net_exposure_pct",
        "symbol_notional_share_cap_pct",
        "max_margin_pct",
    )
    risk: dict[str, Any] = {key: value for key in keys if (value := draw(wide)) is not None}
    risk |= {"max_trade_nav_pct": 100, "trade_equity_nav_pct": 100, "allow_pyramiding": draw(st.booleans())}
    for key, value in (("max_open_orders", 2), ("max_concurrent_positions", 1), ("max_position_usd", 3_000)):
        if draw(st.booleans()):
            risk[key] = value
    own = draw(st.sampled_from([None, {"max_position_qty": 30}, {"max_open_qty": 30}]))
    brackets = [{"leverage": 5, "max_position_usd": 4_000}]
    entry: dict[str, Any] = draw(st.sampled_from([{}, {"leverage_brackets": brackets}, {"tier": "CORE"}]))
    tiers = {"tiers": {"CORE": {"per_symbol_nav_pct": 30}}}
    return limits(risk | (tiers if "tier" in entry else {}), own, target_leverage=2, **entry)


live_orders = st.tuples(
    st.sampled_from([SYMBOL, OTHER]),
    st.sampled_from([Side.BUY, Side.SELL, None]),
    st.sampled_from([None, 0.5, 5.0, 40.0]),
)


@unhurried
@given(
    rules=pending_limits(),
    orders=st.lists(live_orders, max_size=4),
    added=live_orders,
    side=st.sampled_from(["BUY", "SELL"]),
    qty=st.sampled_from([1.0, 10.0, 50.0]),
    is_reduce_only=st.booleans(),
    has_snapshot=st.booleans(),
    held=st.sampled_from([0.0, 500.0, 5_000.0]),
)
def test_an_order_more_on_its_way_never_allows_more(
    rules: Limits,
    orders: list[tuple[str, Side | None, float | None]],
    added: tuple[str, Side | None, float | None],
    side: str,
    qty: float,
    is_reduce_only: bool,
    has_snapshot: bool,
    held: float,
) -> None:
    snapshot = nav(gross_usd=held, symbol_gross_usd={SYMBOL: held, OTHER: 0.0}, free_balance_usd=4_000.0)
    found = []
    for all_orders in (orders, [*orders, added]):
        rolling = account(rules)
        for number, (symbol, its_side, its_qty) in enumerate(all_orders, 10):
            fields = {"symbol": symbol, "side": its_side, "qty": its_qty}
            rolling.apply(placed(number, AS_OF - 60 + number, **fields))
        wanted = {"side": side, "qty": qty, "is_reduce_only": is_reduce_only, "intent_id": "i1", "attempt_id": None}
        found.append(decide(rolling, rules, **wanted, nav=snapshot if has_snapshot else nav(gross_usd=None)))
    less, more = found
    assert less.allowed or not more.allowed
    assert more.clamped_qty <= less.clamped_qty * (1 + 1e-9)
    assert set(less.reasons) <= set(more.reasons)


@st.composite
def events_of_one_time(draw: st.DrawFn) -> list[AccountEvent]:
    """What live logged of some orders in the same instant: acks, partial fills, vetoes, errors, a snapshot."""
    ts = AS_OF + 1
    found: list[AccountEvent] = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        match draw(st.sampled_from(["ack", "fill", "both", "veto", "error"])):
            case "veto":
                found.append(vetoed(ts, side=Side.BUY, intent_id=f"i{number}"))
            case "error":
                found.append(OrderFailed(ts=ts, symbol=SYMBOL, intent_id=f"i{number}"))
            case kind:
                found += [placed(number, ts, 4.0)] if kind != "fill" else []
                found += [filled(number, ts, 1.5, OrderStatus.PARTIALLY_FILLED)] if kind != "ack" else []
    if draw(st.booleans()):
        qty = draw(st.sampled_from([0.0, 2.5]))
        row = PositionRow(symbol=SYMBOL, position_side=PositionSide.LONG, qty=qty, entry_price=PRICE, is_net=False)
        found.append(PositionsSnapshot(ts=ts, positions=(row,)))
    return found


@unhurried
@given(events=events_of_one_time(), data=st.data())
def test_the_order_of_events_with_equal_times_changes_nothing(events: list[AccountEvent], data: st.DataObject) -> None:
    decisions = []
    for ordered in (events, data.draw(st.permutations(events))):
        rolling = account(OPEN_LIMITS)
        for number in range(1, 4):
            decide(rolling, qty=2.0, intent_id=f"i{number}", attempt_id=None)
        for event in ordered:
            rolling.apply(copy(event))
        asked = attempt(qty=1.0, intent_id="next", as_of=AS_OF + 2, position_side=PositionSide.LONG)
        decisions.append(run_pipeline_v6_shadow(asked, rolling, OPEN_LIMITS, Engines.built_in(OPEN_LIMITS)))
    assert decisions[0] == decisions[1]


class PendingMachine(RuleBasedStateMachine):
    """Every order keeps its own plain record; what is pending is added up from all of them after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.rolling = account(OPEN_LIMITS)
        self.now = AS_OF
        self.attempts: dict[int, tuple[float, float]] = {}
        self.orders: dict[int, dict[str, Any]] = {}
        self.fills: list[tuple[float, float]] = []
        self.snapshot = nav()
        self.snapshot_ts: float | None = None
        self.count = 0

    @rule(qty=st.sampled_from([1.0, 2.5]), wait_s=st.sampled_from([0.0, 1.0, 300.0]))
    def attempt(self, qty: float, wait_s: float) -> None:
        self.now += wait_s
        self.count += 1
        if self.snapshot_ts is None:
            self.snapshot_ts = self.now
        decision = decide(
            self.rolling, qty=qty, intent_id=f"i{self.count}", attempt_id=None, as_of=self.now, nav=self.snapshot
        )
        if decision.allowed:
            self.attempts[self.count] = (self.now, qty)

    @rule()
    def take_snapshot(self) -> None:
        self.snapshot = nav(nav_usd=(self.snapshot.nav_usd or NAV_USD) + 1)
        self.snapshot_ts = None

    @precondition(lambda self: self.count)
    @rule(data=st.data(), qty=st.sampled_from([2.5, 4.0]))
    def ack(self, data: st.DataObject, qty: float) -> None:
        number = data.draw(st.integers(1, self.count))
        self.now += 1
        order = self.orders.setdefault(number, {"asked": None, "done": 0.0, "is_over": False})
        # A second ack that says NEW would be of another order with the same id.
        status = OrderStatus.NEW if order["asked"] is None else OrderStatus.PARTIALLY_FILLED
        self.rolling.apply(placed(number, self.now, qty, status=status))
        self.attempts.pop(number, None)
        if order["asked"] is None:
            order["asked"] = qty

    @precondition(lambda self: self.count)
    @rule(data=st.data(), done=st.sampled_from([0.5, 1.0, 2.5]), is_last=st.booleans())
    def fill(self, data: st.DataObject, done: float, is_last: bool) -> None:
        number = data.draw(st.integers(1, self.count))
        order = self.orders.setdefault(number, {"asked": None, "done": 0.0, "is_over": False})
        if order["is_over"]:
            done = min(done, order["done"])  # Late and repeated rows say no more than the last did.
            if not done:
                return
        self.now += 1
        status = OrderStatus.FILLED if is_last else OrderStatus.PARTIALLY_FILLED
        self.rolling.apply(filled(number, self.now, done, status))
        self.attempts.pop(number, None)
        if done > order["done"]:
            self.fills.append((self.now, done - order["done"]))
            order["done"] = done
        order["is_over"] = order["is_over"] or is_last

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.orders)))
        self.now += 1
        key = order_key(str(number), f"i{number}", None)
        self.rolling.apply(OrderEnded(self.now, SYMBOL, key, OrderStatus.CANCELED))
        self.orders[number]["is_over"] = True

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.count))
        self.now += 1
        key = order_key(str(number), f"i{number}", None)
        self.rolling.apply(OrderFailed(ts=self.now, symbol=SYMBOL, order_key=key, intent_id=f"i{number}"))
        self.attempts.pop(number, None)
        if number in self.orders:
            self.orders[number]["is_over"] = True

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def veto(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.count))
        self.now += 1
        self.rolling.apply(vetoed(self.now, side=Side.BUY, intent_id=f"i{number}"))
        self.attempts.pop(number, None)

    @invariant()
    def what_is_pending_is_the_sum_of_all_records(self) -> None:
        snapshot_ts = self.now if self.snapshot_ts is None else self.snapshot_ts
        found = self.rolling.pending.exposure(SYMBOL, Side.BUY, self.now, snapshot_ts, self.rolling.find_price)
        resting = [
            max(order["asked"] - order["done"], 0.0)
            for order in self.orders.values()
            if order["asked"] is not None and not order["is_over"]
        ]
        since_snapshot = sum(qty for ts, qty in self.fills if ts > snapshot_ts)
        since = max(snapshot_ts, self.now - DEFAULT_TOLERANCE_S)
        asked = [qty for ts, qty in self.attempts.values() if ts >= since]
        assert found.live_usd == (sum(resting) + since_snapshot) * PRICE
        assert found.v6_usd == sum(asked) * PRICE
        assert found.qty == sum(resting) + since_snapshot + sum(asked)
        assert found.portfolio_usd == found.live_usd + found.v6_usd


TestPending = PendingMachine.TestCase
TestPending.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
