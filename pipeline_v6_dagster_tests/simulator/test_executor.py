"""The simulated executor: repeatable, readable by this project's parsers, and honest about what it did."""

import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import islice, pairwise
from typing import Any, TypeVar

import pytest

from pipeline_v6_dagster.config.files import PairsUniverseFile, RiskLimitsFile
from pipeline_v6_dagster.config.limits import resolve
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.live import EventKind, OrderEvent, OrderStatus, Veto
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.shadow.pipeline import Engines, run_pipeline_v6_shadow
from pipeline_v6_dagster.simulator.configuration import INSTRUMENTS, pairs_universe, risk_limits
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster_tests.builders import account

Record = TypeVar("Record", Attempt, OrderEvent, Veto)
START_TS = 1_762_000_000.0
NAV_USD = 1_000_000.0
PARSERS = {"orders_attempted": parse_attempt, "orders_executed": parse_order_event, "risk_vetoes": parse_veto}


def simulated(seconds: float, rate: float = 1.0, seed: int = 7, **options: float) -> list[LogLine]:
    return list(SimulatedExecutor(seed, START_TS, rate, **options).run(START_TS + seconds))


@pytest.fixture(scope="module")
def lines() -> list[LogLine]:
    """Some 3,000 attempts with rare vetoes and errors."""
    return simulated(3000)


def parsed(line: LogLine) -> Attempt | OrderEvent | Veto | Unusable:
    return PARSERS[line.log](json.dumps(line.row, allow_nan=False).encode())


def records(lines: list[LogLine], kind: type[Record]) -> list[Record]:
    return [record for line in lines if line.log in PARSERS and isinstance(record := parsed(line), kind)]


def rows(lines: list[LogLine], event_type: str) -> list[dict[str, Any]]:
    return [line.row for line in lines if line.row.get("event_type") == event_type]


def opening_qty(lines: list[LogLine]) -> dict[str, float]:
    """What was asked of the exchange per intent: of orders that another followed what they executed."""
    orders: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    reducing = {row["intent_id"] for row in rows(lines, "order_attempt") if row["reduce_only"]}
    for event in records(lines, OrderEvent):
        if event.kind is EventKind.ERROR or event.intent_id is None or event.intent_id in reducing:
            continue
        if event.is_reduce_only:
            continue
        order = orders[event.intent_id].setdefault(event.order_id, {"requested": 0.0, "executed": 0.0})
        order["requested"] = event.requested_qty or order["requested"]
        order["executed"] = event.executed_qty or order["executed"]
    return {
        intent_id: sum(order["executed"] for order in list(of.values())[:-1]) + list(of.values())[-1]["requested"]
        for intent_id, of in orders.items()
    }


# Repeatable.


def test_the_same_arguments_give_the_same_rows(lines: list[LogLine]) -> None:
    assert simulated(3000) == lines


def test_another_seed_gives_other_rows() -> None:
    assert simulated(60, seed=8) != simulated(60, seed=7)


@pytest.mark.parametrize("steps", [2, 97])
def test_a_run_in_steps_equals_one_run(lines: list[LogLine], steps: int) -> None:
    executor = SimulatedExecutor(7, START_TS, 1.0)
    ends = [START_TS + 3000 * step / steps for step in range(1, steps + 1)]
    assert [line for end in ends for line in executor.run(end)] == lines


def test_an_abandoned_run_loses_no_row(lines: list[LogLine]) -> None:
    executor = SimulatedExecutor(7, START_TS, 1.0)
    first = list(islice(executor.run(START_TS + 3000), 1234))
    assert first + list(executor.run(START_TS + 3000)) == lines


def test_a_run_up_to_an_earlier_time_gives_nothing() -> None:
    executor = SimulatedExecutor(7, START_TS, 1.0)
    assert list(executor.run(START_TS + 60))
    assert list(executor.run(START_TS + 30)) == []


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="attempts_per_s"):
        SimulatedExecutor(7, START_TS, rate)


# Readable.


def test_the_parsers_take_every_row(lines: list[LogLine]) -> None:
    unusable = Counter(
        (line.row.get("event_type"), result.kind)
        for line in lines
        if line.log in PARSERS and isinstance(result := parsed(line), Unusable)
    )
    assert not unusable
    assert {line.log for line in lines} == {*PARSERS, "order_metrics", "position_state"}


def test_rows_stand_in_log_time_order_and_say_so_themselves(lines: list[LogLine]) -> None:
    assert all(before.ts <= after.ts for before, after in pairwise(lines))
    assert START_TS < lines[0].ts
    assert lines[-1].ts <= START_TS + 3000
    for line in lines:
        ts = line.row["ts"]
        logged = datetime.fromisoformat(ts).timestamp() if isinstance(ts, str) else ts
        assert logged == pytest.approx(line.ts, abs=1e-6)


def test_quantities_are_whole_lots_and_prices_whole_ticks(lines: list[LogLine]) -> None:
    for row in rows(lines, "order_attempt"):
        instrument = INSTRUMENTS[row["symbol"]]
        for steps in (row["qty"] / instrument.lot_step, row["price_hint"] / instrument.tick_size):
            assert steps >= 1
            assert steps == pytest.approx(round(steps), abs=1e-6)


@pytest.mark.parametrize(("rate", "seconds"), [(0.05, 60_000), (20, 100), (200, 15)])
def test_attempts_come_at_the_rate_asked_for(rate: float, seconds: float) -> None:
    assert len(rows(simulated(seconds, rate), "order_attempt")) == pytest.approx(rate * seconds, rel=0.1)


# Faithful.


def test_fills_are_cumulative_and_repeat_until_their_order_ends(lines: list[LogLine]) -> None:
    requested = {row["orderId"]: row["request_qty"] for row in rows(lines, "order_ack")}
    assert len(requested) == len(rows(lines, "order_ack")), "an order id was used twice"
    fills: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows(lines, "order_fill"):
        fills[row["orderId"]].append(row)
    endings: Counter[str] = Counter()
    for order_id, of in fills.items():
        assert all(before["executedQty"] <= after["executedQty"] for before, after in pairwise(of))
        assert all(before["tradeIds"] == after["tradeIds"][: len(before["tradeIds"])] for before, after in pairwise(of))
        assert {row["status"] for row in of[:-1]} <= {OrderStatus.PARTIALLY_FILLED}
        endings[of[-1]["status"]] += 1
        is_filled = of[-1]["status"] == OrderStatus.FILLED
        assert is_filled == (of[-1]["executedQty"] == requested[order_id])
    assert endings[OrderStatus.FILLED] > endings[OrderStatus.CANCELED] > 0
    assert any(before["executedQty"] == after["executedQty"] for of in fills.values() for before, after in pairwise(of))


def test_a_flip_closes_before_it_opens(lines: list[LogLine]) -> None:
    acks = rows(lines, "order_ack")
    flips = [ack for ack in acks if ack["attempt_id"].endswith("_reduce")]
    opened = {ack["intent_id"]: ack for ack in reversed(acks) if not ack["attempt_id"].endswith("_reduce")}
    legs = [(flip, opened[flip["intent_id"]]) for flip in flips if flip["intent_id"] in opened]
    assert len(legs) >= len(flips) - 5, "only flips at the very end may lack their opening leg"
    for reduce_leg, opening_leg in legs:
        assert reduce_leg["reduceOnly"] is True
        assert "reduceOnly" not in opening_leg
        assert reduce_leg["attempt_id"] == f"{opening_leg['attempt_id']}_reduce"
        assert reduce_leg["side"] == opening_leg["side"]
        assert reduce_leg["positionSide"] != opening_leg["positionSide"]
        assert reduce_leg["ts"] < opening_leg["ts"]
    assert len(flips) > 100


def test_a_cancelled_maker_order_is_followed_by_a_taker_for_the_rest(lines: list[LogLine]) -> None:
    asked = {row["intent_id"]: row["qty"] for row in rows(lines, "order_attempt")}
    for intent_id, qty in opening_qty(lines).items():
        assert qty == pytest.approx(asked[intent_id])
    types = defaultdict(list)
    for ack in rows(lines, "order_ack"):
        types[ack["intent_id"]].append(ack["order_type"])
    assert Counter(tuple(of) for of in types.values())["LIMIT", "MARKET"] > 100


def test_positions_and_equity_follow_from_the_fills() -> None:
    held: dict[tuple[str, str], float] = defaultdict(float)
    last: dict[int, dict[str, Any]] = {}
    cash_usd, flat = NAV_USD, 0
    for line in simulated(150_000, rate=0.01):
        row: dict[str, Any] = line.row
        event_type = row.get("event_type")
        if event_type == "order_fill":
            before = last.get(row["orderId"], {"executedQty": 0.0, "fee_total": 0.0})
            sign = 1 if row["side"] == "BUY" else -1
            held[row["symbol"], row["positionSide"]] += sign * (row["executedQty"] - before["executedQty"])
            cash_usd -= row["fee_total"] - before["fee_total"]
            last[row["orderId"]] = row
        elif event_type == "order_close":
            cash_usd += row["realizedPnlUsd"]
        elif event_type == "position_snapshot":
            assert row["pos_qty"] == pytest.approx(held[row["symbol"], row["mode"]], abs=1e-6)
            assert row["pos_qty"] >= 0 if row["mode"] == "LONG" else row["pos_qty"] <= 0
        elif event_type == "order_attempt" and not row["nav_snapshot"]["gross_usd"]:
            flat += 1
            assert row["nav_snapshot"]["nav_usd"] == pytest.approx(cash_usd, abs=0.01)
    assert flat > 3


def test_vetoes_and_errors_come_in_both_shapes() -> None:
    lines = simulated(1000, veto_share=0.2, error_share=0.1, idless_share=0.5)
    asked = {attempt.intent_id: attempt for attempt in records(lines, Attempt)}
    vetoes = records(lines, Veto)
    errors = [event for event in records(lines, OrderEvent) if event.kind is EventKind.ERROR]
    for shapes in (vetoes, errors):
        assert {row.intent_id is None for row in shapes} == {True, False}
        assert all(row.intent_id in asked for row in shapes if row.intent_id is not None)
    assert {veto.reason for veto in vetoes} == {"min_notional", "per_trade_cap"}


# Honest: a correct shadow agrees with it.


@pytest.mark.parametrize(("rate", "seconds", "upsize_share"), [(0.05, 60_000, 0.1), (1, 3000, 0.0), (100, 40, 0.0)])
def test_the_shadow_allows_what_was_executed_and_denies_what_was_vetoed(
    rate: float, seconds: float, upsize_share: float
) -> None:
    limits = resolve(RiskLimitsFile.model_validate(risk_limits()), PairsUniverseFile.model_validate(pairs_universe()))
    lines = simulated(seconds, rate, upsize_share=upsize_share, idless_share=0.0)
    engines, known = Engines.built_in(limits), account(limits)
    decisions = {
        attempt.intent_id: run_pipeline_v6_shadow(attempt, known, limits, engines)
        for attempt in records(lines, Attempt)
    }
    executed = {event.intent_id for event in records(lines, OrderEvent) if event.kind is not EventKind.ERROR}
    vetoed = {veto.intent_id for veto in records(lines, Veto)}
    assert executed
    assert vetoed
    assert all(decisions[intent_id].risk_decision.allowed for intent_id in executed)
    assert not any(decisions[intent_id].risk_decision.allowed for intent_id in vetoed)
    for intent_id in executed:
        size = decisions[intent_id].size_decision
        assert size is not None
        assert size.caps_applied == ()


def test_allowed_openings_are_at_most_8_percent_of_nav() -> None:
    lines = simulated(1500, idless_share=0.0)
    vetoed = {veto.intent_id for veto in records(lines, Veto)}
    assert vetoed
    for row in rows(lines, "order_attempt"):
        if row["intent_id"] not in vetoed and not row["reduce_only"]:
            assert row["qty"] * row["price_hint"] <= 0.08 * row["nav_snapshot"]["nav_usd"]


@pytest.mark.parametrize("upsize_share", [0.0, 0.05, 1.0])
def test_the_share_of_upsized_openings_is_the_one_asked_for(upsize_share: float) -> None:
    executor = SimulatedExecutor(7, START_TS, 1.0, upsize_share)
    lines = list(executor.run(START_TS + 3000))
    asked = {row["intent_id"]: row["qty"] for row in rows(lines, "order_attempt")}
    ratios = {intent_id: qty / asked[intent_id] for intent_id, qty in opening_qty(lines).items()}
    upsized = [intent_id for intent_id, ratio in ratios.items() if ratio == pytest.approx(2.0)]
    assert sorted(upsized) == sorted(executor.upsized_intent_ids)
    assert all(ratio == pytest.approx(1.0) for intent_id, ratio in ratios.items() if intent_id not in upsized)
    assert len(upsized) / len(ratios) == pytest.approx(upsize_share, abs=0.02)
    assert all(asked[row["intent_id"]] == row["request_qty"] for row in reduce_only_acks(lines))


def reduce_only_acks(lines: list[LogLine]) -> list[dict[str, Any]]:
    """First orders of reduce-only attempts."""
    reducing = {row["intent_id"] for row in rows(lines, "order_attempt") if row["reduce_only"]}
    first = {row["intent_id"]: row for row in reversed(rows(lines, "order_ack")) if row["intent_id"] in reducing}
    return list(first.values())


def test_a_desk_that_trades_faster_goes_on_from_its_last_prices_and_at_one_rate() -> None:
    executor = SimulatedExecutor(7, START_TS, 0.01)
    until = START_TS + 86_400.0
    before = list(executor.run(until))
    executor.trade_faster(0.5, upsize_share=0.5)
    after = list(executor.run(until + 2000.0))
    assert min(line.ts for line in after) >= until
    last = {row["symbol"]: row["price_hint"] for row in rows(before, "order_attempt")}
    first = {row["symbol"]: row["price_hint"] for row in reversed(rows(after, "order_attempt"))}
    assert first == pytest.approx(last, rel=0.05)
    # The attempt that was due at the old rate begins no second stream of them.
    assert len(rows(after, "order_attempt")) == pytest.approx(0.5 * 2000.0, rel=0.15)
    assert executor.upsized_intent_ids
