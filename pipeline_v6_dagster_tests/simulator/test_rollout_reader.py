"""The reader that executors copy: off for every file that is torn, stale, missing, replayed or odd."""

import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("content", ["[]", "7", "null", '"canary"', "{}", "\x00" * 40])
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
