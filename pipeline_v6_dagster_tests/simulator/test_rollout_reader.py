"""The reader that executors copy: off for every file that is torn, stale, missing, replayed or odd."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.rollout_reader import RolloutReader

NOW = 1_790_000_000.0
CONTENT = {
    "state": "canary",
    "stage": "one",
    "symbols": ["BTCUSDT"],
    "notional_share": 0.25,
    "trading_state": "active",
    "valid_until": NOW + 60,
    "sequence": 7,
    "reason": "as planned",
}
OFF = (frozenset[str](), 0.0)


class Polled:
    """A file that is written and read again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pipeline_v6_rollout.json"
        self.now = NOW
        self.reader = RolloutReader(self.path, lambda: self.now)

    def read(self, **changes: Any) -> tuple[frozenset[str], float]:
        self.path.write_text(json.dumps(CONTENT | changes))
        return self.reader.read()


@pytest.fixture
def polled(tmp_path: Path) -> Polled:
    return Polled(tmp_path)


def test_a_good_file_lets_v6_trade(polled: Polled) -> None:
    assert polled.read() == (frozenset({"BTCUSDT"}), 0.25)


def test_a_missing_file_is_off(polled: Polled) -> None:
    assert polled.reader.read() == OFF


def test_a_file_that_is_torn_anywhere_is_off(polled: Polled) -> None:
    content = json.dumps(CONTENT).encode()
    for size in range(len(content)):
        polled.path.write_bytes(content[:size])
        assert polled.reader.read() == OFF, size


def test_a_stale_file_is_off(polled: Polled) -> None:
    polled.read()
    polled.now = NOW + 61
    assert polled.reader.read() == OFF


def test_a_replayed_file_is_off_until_a_newer_one_comes(polled: Polled) -> None:
    polled.read(sequence=8)
    assert polled.read(sequence=7) == OFF
    assert polled.read(sequence=8) != OFF


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "paused"},
        {"state": "LIVE"},
        {"notional_share": 0},
        {"notional_share": 1.1},
        {"notional_share": float("nan")},
        {"notional_share": "all"},
        {"valid_until": float("inf")},
        {"valid_until": float("nan")},
        {"valid_until": None},
        {"sequence": None},
        {"sequence": float("inf")},
        {"symbols": None},
        {"trading_state": "off"},
    ],
)
def test_a_file_that_says_anything_odd_is_off(polled: Polled, changes: dict[str, Any]) -> None:
    assert polled.read(**changes) == OFF


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "7", "null", '"canary"', "{}", "\x00" * 40])
def test_a_file_that_is_no_state_is_off(polled: Polled, content: str) -> None:
    polled.path.write_text(content)
    assert polled.reader.read() == OFF


def test_the_share_is_of_orders(polled: Polled) -> None:
    polled.read()
    taken = sum(polled.reader.is_v6(f"ord_{number}", "BTCUSDT") for number in range(4000))
    assert 900 < taken < 1100
    assert polled.reader.is_v6("ord_1", "BTCUSDT") == polled.reader.is_v6("ord_1", "BTCUSDT")
    assert not any(polled.reader.is_v6(f"ord_{number}", "ETHUSDT") for number in range(100))


def test_a_halt_outlives_the_file_that_said_so(polled: Polled) -> None:
    polled.read(trading_state="halted", sequence=8)
    polled.path.unlink()
    assert not polled.reader.may_trade(is_reducing=True)
    polled.read(trading_state="active", sequence=7)
    assert not polled.reader.may_trade(is_reducing=False)
    polled.read(trading_state="reducing", sequence=9)
    assert polled.reader.may_trade(is_reducing=True)
    assert not polled.reader.may_trade(is_reducing=False)


def test_a_replayed_file_that_halts_is_obeyed_and_a_newer_one_lifts_it(polled: Polled) -> None:
    polled.read(sequence=10**6)
    assert polled.read(sequence=9, trading_state="halted") == OFF
    assert not polled.reader.may_trade(is_reducing=True)
    assert polled.read(sequence=10**6 + 1) != OFF
    assert polled.reader.may_trade(is_reducing=False)


def test_a_file_that_has_expired_halts_all_the_same(polled: Polled) -> None:
    assert polled.read(trading_state="halted", valid_until=NOW - 1) == OFF
    assert not polled.reader.may_trade(is_reducing=True)


class Trading:
    """A simulated executor that reads the file before every order, a minute of trading at a time."""

    def __init__(self, polled: Polled) -> None:
        self.polled = polled
        self.executor = SimulatedExecutor(3, NOW, 2.0, veto_share=0.0, error_share=0.0)
        self.executor.obey(lambda is_reducing: polled.reader.may_trade(is_reducing=is_reducing))

    def trade(self, seconds: float = 60.0) -> list[LogLine]:
        """The rows of so many seconds."""
        self.polled.now += seconds
        return list(self.executor.run(self.polled.now))


def acks(lines: list[LogLine]) -> list[bool]:
    """Of each order that went out, whether it reduces."""
    return [bool(line.row.get("reduceOnly")) for line in lines if line.row.get("event_type") == "order_ack"]


def refused(lines: list[LogLine]) -> int:
    return sum(line.row.get("veto_reason") == "trading_state" for line in lines)


@pytest.fixture
def trading(polled: Polled) -> Trading:
    found = Trading(polled)
    polled.read(valid_until=NOW + 300)
    lines = found.trade(100.0)
    assert {True, False} == set(acks(lines))
    assert not refused(lines)
    return found


# What becomes of a file that said so: it still holds, whatever the executor finds in its place.
AFTERMATHS: dict[str, Callable[[Polled], object]] = {
    "as it was": lambda polled: None,
    "expired": lambda polled: setattr(polled, "now", polled.now + 300),
    "torn": lambda polled: polled.path.write_bytes(polled.path.read_bytes()[:40]),
    "missing": lambda polled: polled.path.unlink(),
    "replayed": lambda polled: polled.read(sequence=7),
}


@pytest.mark.parametrize("aftermath", AFTERMATHS)
@pytest.mark.parametrize("trading_state", ["halted", "reducing"])
def test_the_executor_obeys_a_trading_state_whatever_becomes_of_the_file(
    trading: Trading, trading_state: str, aftermath: str
) -> None:
    polled = trading.polled
    polled.read(trading_state=trading_state, sequence=8, valid_until=NOW + 300)
    # An order that has left for the exchange is acked within its latency, of at most three seconds.
    trading.trade(3.0)
    trading.trade(1.0)
    AFTERMATHS[aftermath](polled)
    lines = trading.trade(100.0)
    assert refused(lines)
    assert all(acks(lines)) if trading_state == "reducing" else not acks(lines)
    assert bool(acks(lines)) is (trading_state == "reducing")
    polled.read(sequence=9)
    assert {True, False} == set(acks(trading.trade(100.0)))


def test_what_is_given_up_in_a_halt_holds_no_room_back(trading: Trading) -> None:
    for sequence in range(8, 28):
        trading.polled.read(trading_state="halted" if sequence % 2 else "active", sequence=sequence)
        trading.trade(3.0)
    trading.polled.read(trading_state="halted", sequence=28)
    trading.trade(60.0)
    account = trading.executor._account
    assert {held.closing_lots for held in account.positions.values()} == {0}
    assert all(abs(usd) < 1e-6 for usd in trading.executor._in_flight_usd.values())
