"""Rolling state over real files: cut anywhere into runs, the decisions are those of one run."""

import json
import shutil
from bisect import bisect_right
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.rollout import RolloutEvent
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import make_record
from pipeline_v6_dagster.stages.shadow import account_state as account_history
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster_tests.builders import unhurried
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home
from pipeline_v6_dagster_tests.rollout.evidence import evidence, person

SECONDS = 2400.0
INPUTS = ("order_attempts", "orders_executed", "order_metrics", "position_state", "risk_vetoes")


def configure(home: Settings) -> None:
    """Limits on everything that rolling state is kept for, each of which denies now and then."""
    content = json.loads(home.risk_limits.read_text())
    content |= {
        "cooldown_sec": 20,
        "cooldown_minutes_after_stop": 2,
        "max_trades_per_symbol_per_hour": 40,
        "burst_limit": {"window_sec": 30, "max_orders": 2},
        "circuit_breaker": {"window_sec": 600, "max_errors": 1},
        "daily_loss_limit_pct": 0.0005,
        "max_nav_drawdown_pct": 0.01,
        "price_collar_pct": 0.004,
        "duplicate_window_sec": 60,
        "reset_timezone": "Asia/Kolkata",
        "allow_pyramiding": False,
    }
    content["global"] |= {"allow_pyramiding": False}
    home.risk_limits.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home, _ = simulated_home(tmp_path_factory.mktemp("traded"), seconds=SECONDS, attempts_per_s=0.4)
    configure(home)
    return home


def read_rows(path: Path) -> list[tuple[float, bytes]]:
    """(when it was logged, line) of each row."""
    found = []
    for line in path.read_bytes().splitlines(keepends=True):
        ts = json.loads(line)["ts"]
        found.append((ts if isinstance(ts, float) else datetime.fromisoformat(ts).timestamp(), line))
    return found


def run(home: Settings) -> dict[str, int]:
    limits = load_configuration(home.risk_limits, home.pairs_universe).limits
    return dict(run_shadow(home, limits, fixed(START_TS + SECONDS)).deny_reasons)


def shadow_rows(home: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in home.shadow_log.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def whole(traded: Settings) -> bytes:
    """The shadow log of one run."""
    denied = run(traded)
    fired = {"already_in_trade", "cooldown", "burst_limit", "circuit_breaker", "trade_rate_limit", "price_collar"}
    assert fired <= set(denied), denied
    return traded.shadow_log.read_bytes()


def in_parts(traded: Settings, home: Settings, cuts: list[float]) -> bytes:
    """The shadow log of runs over logs that grow from one cut to the next, as they did in time."""
    home.order_attempts.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(traded.risk_limits.parent, home.risk_limits.parent, dirs_exist_ok=True)
    home.shadow_log.unlink(missing_ok=True)
    logs = {name: read_rows(getattr(traded, name)) for name in INPUTS}
    for cut in [*sorted(cuts), START_TS + SECONDS * 2]:
        for name, rows in logs.items():
            until = bisect_right([ts for ts, _ in rows], cut)
            getattr(home, name).write_bytes(b"".join(line for _, line in rows[:until]))
        run(home)
    return home.shadow_log.read_bytes()


@settings(parent=unhurried, max_examples=12)
@given(cuts=st.lists(st.floats(START_TS, START_TS + SECONDS), min_size=1, max_size=4))
def test_runs_that_begin_and_end_anywhere_write_the_bytes_of_one(
    traded: Settings, whole: bytes, tmp_path_factory: pytest.TempPathFactory, cuts: list[float]
) -> None:
    home = make_settings(tmp_path_factory.mktemp("parts"))
    assert in_parts(traded, home, cuts) == whole


def test_a_decision_takes_the_trading_state_of_its_own_time_in_any_split(
    traded: Settings, whole: bytes, tmp_path: Path
) -> None:
    home, other = make_settings(tmp_path / "parts"), make_settings(tmp_path / "other")
    halt = START_TS + SECONDS / 2
    for each in (home, other):
        record = make_record(Rollout(), RolloutEvent.HALT, person(halt), evidence())
        open_rollout_log(each).append([encode_record(record)])
    in_parts(traded, home, [halt - 60.0, halt + 1.0, halt + 300.0])
    assert home.shadow_log.read_bytes() == in_parts(traded, other, [])
    for before, after in zip(map(json.loads, whole.splitlines()), shadow_rows(home), strict=True):
        is_halted = after["timestamp"] >= halt
        assert after["state"]["trading_state"] == ("halted" if is_halted else "active")
        assert ("trading_state" in after["risk_decision"]["reasons"]) is is_halted
        if not is_halted:
            assert after["risk_decision"] == before["risk_decision"]


@pytest.mark.parametrize("decisions", [7, 9, 100_000])
def test_how_often_the_state_is_written_down_decides_nothing(
    traded: Settings, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decisions: int
) -> None:
    monkeypatch.setattr(account_history, "CHECKPOINT_DECISIONS", decisions)
    home = make_settings(tmp_path)
    in_parts(traded, home, [START_TS + SECONDS / 3, START_TS + SECONDS / 2])
    for before, after in zip(map(json.loads, whole.splitlines()), shadow_rows(home), strict=True):
        for row in (before, after):
            row.pop("checkpoint", None)
            row.pop("chain")
        assert before == after


def test_live_logs_that_are_there_from_the_start_are_not_looked_at_ahead_of_time(
    traded: Settings, whole: bytes, tmp_path: Path
) -> None:
    home = make_settings(tmp_path)
    home.order_attempts.parent.mkdir(parents=True)
    shutil.copytree(traded.risk_limits.parent, home.risk_limits.parent)
    for name in INPUTS[1:]:
        shutil.copy(getattr(traded, name), getattr(home, name))
    lines = traded.order_attempts.read_bytes().splitlines(keepends=True)
    for count in (1, 300, 301, len(lines)):
        home.order_attempts.write_bytes(b"".join(lines[:count]))
        run(home)
    assert home.shadow_log.read_bytes() == whole


def ahead(rows: list[bytes], number: int, days: float) -> list[bytes]:
    """The rows with one more, of an order of its own and a clock that ran ahead (or, below 0, behind)."""
    row = json.loads(rows[number])
    for name in {"ts", "local_ts"} & row.keys():
        moment = row[name] if isinstance(row[name], float) else datetime.fromisoformat(row[name]).timestamp()
        row[name] = moment + days * 86_400
    for name in {"intent_id", "attempt_id", "orderId"} & row.keys():
        row[name] = "another"
    # Reduce-only, because an opening is pending whatever its clock says.
    row |= {"symbol": "NOWHEREUSDT", "reduceOnly": True}
    return [*rows[:number], json.dumps(row).encode() + b"\n", *rows[number:]]


def list_decided(home: Settings) -> list[tuple[Any, ...]]:
    """What was known and decided of each attempt."""
    rows = [row for row in shadow_rows(home) if row["symbol"] != "NOWHEREUSDT"]
    return [(row["intent_id"], row["intent"], row["state"], row["risk_decision"]) for row in rows]


@pytest.mark.parametrize("days", [400, -400])
@pytest.mark.parametrize("name", ["order_attempts", "orders_executed", "order_metrics"])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_row_whose_clock_was_wrong_lets_no_decision_see_more_or_less(
    traded: Settings, whole: bytes, tmp_path: Path, name: str, days: float, parts: int
) -> None:
    home = make_settings(tmp_path)
    home.order_attempts.parent.mkdir(parents=True)
    shutil.copytree(traded.risk_limits.parent, home.risk_limits.parent)
    for other in INPUTS:
        shutil.copy(getattr(traded, other), getattr(home, other))
    rows = ahead(getattr(home, name).read_bytes().splitlines(keepends=True), 200, days)
    getattr(home, name).write_bytes(b"".join(rows))
    attempts = home.order_attempts.read_bytes().splitlines(keepends=True)
    for part in range(1, parts + 1):
        home.order_attempts.write_bytes(b"".join(attempts[: len(attempts) * part // parts]))
        run(home)
    assert list_decided(home) == list_decided(traded)


def test_a_checkpoint_is_written_where_the_configuration_changes(traded: Settings, tmp_path: Path) -> None:
    home = make_settings(tmp_path)
    in_parts(traded, home, [])
    rows = home.order_attempts.read_bytes().splitlines(keepends=True)
    assert [i for i, row in enumerate(shadow_rows(home)) if "checkpoint" in row][:1] == [0]
    content = json.loads(home.risk_limits.read_text())
    home.risk_limits.write_text(json.dumps(content | {"cooldown_sec": 21}))
    with home.order_attempts.open("ab") as log:
        log.write(rows[-1])
        log.write(rows[-1])
    run(home)
    first, second = shadow_rows(home)[-2:]
    assert "checkpoint" in first
    assert "checkpoint" not in second
    assert "duplicate_intent" in second["risk_decision"]["reasons"]


def test_a_live_log_that_was_replaced_is_said_and_what_was_known_stays(traded: Settings, tmp_path: Path) -> None:
    home = make_settings(tmp_path)
    in_parts(traded, home, [])
    rows = home.order_attempts.read_bytes().splitlines(keepends=True)
    rows_executed = home.orders_executed.read_bytes().splitlines(keepends=True)
    home.orders_executed.write_bytes(b"".join(rows_executed[5:]))
    with home.order_attempts.open("ab") as log:
        log.write(rows[-1])
    limits = load_configuration(home.risk_limits, home.pairs_universe).limits
    assert run_shadow(home, limits, fixed(START_TS + SECONDS)).lost_inputs == ("orders_executed",)
    before, after = shadow_rows(home)[-2:]
    assert (
        after["state"]["reference_price"] == before["state"]["reference_price"] or before["symbol"] != after["symbol"]
    )
    assert after["state"]["openings_last_hour"] >= before["state"]["openings_last_hour"]
