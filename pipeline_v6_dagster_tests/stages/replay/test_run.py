"""The history again under another configuration."""

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ConfigError, DataError
from pipeline_v6_dagster.domain.rollout import RolloutEvent
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import make_record
from pipeline_v6_dagster.stages.replay.file import replay_path, write_replay
from pipeline_v6_dagster.stages.replay.result import as_data
from pipeline_v6_dagster.stages.replay.run import Replay, replay
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home
from pipeline_v6_dagster_tests.live_builders import RISK_LIMITS, T0, Home, ack_row, attempt_row, fill_row
from pipeline_v6_dagster_tests.rollout.evidence import evidence, person

NOW = START_TS + 7200


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def another(settings: Settings, folder: Path, **limits: Any) -> Path:
    """The configuration of `settings` with other limits at the top level."""
    folder.mkdir()
    content = json.loads(settings.risk_limits.read_bytes()) | limits
    (folder / "risk_limits.json").write_text(json.dumps(content))
    (folder / "pairs_universe.json").write_bytes(settings.pairs_universe.read_bytes())
    return folder


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An hour of trading, decided and compared."""
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"))
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    return settings


@pytest.fixture(scope="module")
def restricted(traded: Settings, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """The same hour at a desk that may not trade SOLUSDT."""
    folder = another(traded, tmp_path_factory.mktemp("other") / "config", restricted_symbols=["SOLUSDT"])
    return replay(traded, folder, fixed(NOW))


def test_the_same_configuration_changes_nothing(traded: Settings) -> None:
    same = replay(traded, traded.config_dir, fixed(NOW))
    assert same.flips == ()
    assert same.not_replayed == 0
    assert same.dollars.then == same.dollars.now
    assert same.dollars.then.gross_usd > 0
    assert same.then is not None
    assert (same.now.status, same.now.verdict, same.now.config_hash) == (
        same.then.status,
        same.then.verdict,
        same.then.config_hash,
    )


def test_what_the_rollout_halted_stays_halted(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=1200.0)
    halt = make_record(Rollout(), RolloutEvent.HALT, person(START_TS + 600.0), evidence())
    open_rollout_log(settings).append([encode_record(halt)])
    replace_file(settings.rollout_state, b'{"trading_state":"halted"}')
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    assert b'"trading_state":"halted"' in settings.shadow_log.read_bytes()
    assert replay(settings, settings.config_dir, fixed(NOW)).flips == ()


def test_what_a_stricter_desk_stops_is_told_by_rule_symbol_and_dollars(traded: Settings, restricted: Replay) -> None:
    diffs = [json.loads(line) for line in traded.compare_diffs.read_bytes().splitlines()]
    was_allowed = [
        row
        for row in diffs
        if "mismatch_kind" in row and row["symbol"] == "SOLUSDT" and row["shadow"] and row["shadow"]["is_allowed"]
    ]
    assert len(was_allowed) > 20
    assert {flip.decision_id for flip in restricted.flips} == {row["decision_id"] for row in was_allowed}
    assert all(flip.is_stopped and flip.rules == ("restricted_symbol",) for flip in restricted.flips)
    data = as_data(restricted)
    (by_rule,) = data["flips"]["by_rule"]
    (by_symbol,) = data["flips"]["by_symbol"]
    assert (by_rule["rules"], by_symbol["symbol"]) == ("restricted_symbol", "SOLUSDT")
    executed_usd = sum(row["live"]["executed_gross_usd"] or 0 for row in was_allowed if row["live"])
    assert by_rule["executed_gross_usd"] == pytest.approx(executed_usd)
    assert -data["dollars"]["change"]["gross_usd"] == pytest.approx(executed_usd)
    fees_usd = sum(row["live"]["fees_usd"] or 0 for row in was_allowed if row["live"])
    # Of a flip the reduce leg is in the fees, and not in the opening's gross.
    assert -data["dollars"]["change"]["fees_usd"] == pytest.approx(fees_usd)


def test_the_verdict_that_would_have_stood_is_the_real_one(restricted: Replay) -> None:
    assert restricted.then is not None
    assert (restricted.then.status, restricted.then.verdict != "FAIL") == ("green", True)
    assert restricted.now.verdict == "FAIL"
    assert restricted.now.reasons[0].startswith("decisions_agree: ")


def test_back_again_the_same_decisions_are_let_through(traded: Settings, restricted: Replay, tmp_path: Path) -> None:
    strict = make_settings(
        tmp_path, PIPELINE_V6_LOGS_DIR=str(tmp_path / "logs"), PIPELINE_V6_CONFIG_DIR=str(restricted.config_dir)
    )
    strict.logs_dir.mkdir()
    (strict.logs_dir / "execution").symlink_to(traded.logs_dir / "execution")
    environ = {"PIPELINE_V6_CONFIG_DIR": str(restricted.config_dir)}
    for command in ("shadow", "compare"):
        assert pipeline_v6(tmp_path, command, **environ).exit_code == 0
    back = replay(strict, traded.config_dir, fixed(NOW))
    assert {flip.decision_id for flip in back.flips} == {flip.decision_id for flip in restricted.flips}
    assert not any(flip.is_stopped for flip in back.flips)
    assert back.dollars.change["gross_usd"] == pytest.approx(-restricted.dollars.change["gross_usd"])


def test_the_live_logs_are_only_read_and_nothing_is_left_behind(
    traded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = another(traded, tmp_path / "config", max_leverage=1)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    before = read_files(traded.home)
    replay(traded, folder, fixed(NOW))
    replay(traded, folder, fixed(NOW), to_ts=START_TS + 1800)
    assert read_files(traded.home) == before
    assert list((tmp_path / "tmp").iterdir()) == []


def test_bounds_count_the_decisions_between_them(traded: Settings, restricted: Replay) -> None:
    early, late = START_TS + 900, START_TS + 2700
    part = replay(traded, restricted.config_dir, fixed(NOW), from_ts=early, to_ts=late)
    expected = {flip.decision_id for flip in restricted.flips if early <= flip.ts <= late}
    assert expected
    assert {flip.decision_id for flip in part.flips} == expected
    assert part.decisions < restricted.decisions
    whole = replay(traded, restricted.config_dir, fixed(NOW), from_ts=START_TS, to_ts=NOW)
    assert whole.flips == restricted.flips
    assert whole.dollars == restricted.dollars


def test_profit_is_that_of_the_order_until_it_was_closed(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_COMPARE_MIN_SAMPLE="1")
    for number, (side, price, reduces) in enumerate([("BUY", 100.0, False), ("SELL", 110.0, True)]):
        changes: dict[str, Any] = {"side": side}
        home.attempts(attempt_row(number, str(number), reduce_only=reduces, **changes))
        changes["reduceOnly"] = reduces
        home.orders(
            ack_row(number + 0.2, str(number), **changes),
            fill_row(number + 0.4, str(number), avgPrice=price, fee_total=0.5, **changes),
        )
    home.run(2000)
    folder = tmp_path / "strict"
    folder.mkdir()
    (folder / "risk_limits.json").write_text(json.dumps(RISK_LIMITS | {"restricted_symbols": ["BTCUSDT"]}))
    (folder / "pairs_universe.json").write_bytes(home.settings.pairs_universe.read_bytes())
    data = as_data(replay(home.settings, folder, fixed(T0 + 2000)))
    opening, closing = data["orders_not_placed"]
    assert (opening["intent_id"], opening["profit_usd"], opening["is_profit_marked"]) == ("ord_0", 50.0, False)
    assert (closing["intent_id"], closing["profit_usd"]) == ("ord_1", None)
    assert data["not_placed"] == {"orders": 2, "earned_usd": 50.0, "lost_usd": 0, "without_profit": 1}
    assert data["dollars"]["change"] == {
        "orders": -2,
        "placed_usd": -500.0 - 500.0,
        "gross_usd": -500.0 - 550.0,
        "fees_usd": -1.0,
        "slippage_usd": 50.0,  # sold 10 above the decision price: a gain that is gone
        "profit_usd": -50.0,
    }


def test_garbage_is_looked_for_again_afterwards(traded: Settings, tmp_path: Path) -> None:
    replay(traded, traded.config_dir, fixed(NOW))
    assert gc.isenabled()
    with pytest.raises(ConfigError):
        replay(traded, tmp_path, fixed(NOW))
    assert gc.isenabled()


def test_before_anything_was_compared_it_says_what_to_run(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=60)
    with pytest.raises(DataError, match="run pipeline-v6 shadow and compare first"):
        replay(settings, settings.config_dir, fixed(NOW))


def test_a_configuration_that_cannot_be_used_is_named(traded: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"risk_limits\.json"):
        replay(traded, tmp_path, fixed(NOW))


def test_the_asset_writes_the_answer_beside_the_report(traded: Settings, restricted: Replay, tmp_path: Path) -> None:
    written = write_replay(traded, restricted.config_dir, fixed(NOW), "", "")
    assert written.path == replay_path(traded)
    assert json.loads(written.path.read_bytes())["flips"] == as_data(restricted)["flips"]
    written.path.unlink()
    with pytest.raises(ConfigError, match=r"from_time = '2026-01-01'.*; .*to_time = 'soon'"):
        write_replay(traded, restricted.config_dir, fixed(NOW), "2026-01-01", "soon")


# As a command.


def test_the_command_answers_as_table_and_as_json(traded: Settings, restricted: Replay) -> None:
    arguments = ("replay", "--config-dir", str(restricted.config_dir))
    table = pipeline_v6(traded.home, *arguments)
    assert (table.exit_code, table.stderr) == (0, "")
    stopped = len(restricted.flips)
    assert f"{stopped} decisions would be stopped, 0 let through" in table.stdout
    assert "gross notional executed" in table.stdout
    answer = json.loads(pipeline_v6(traded.home, *arguments, "--json").stdout)
    assert answer["flips"]["stopped"] == stopped
    # A reason that both verdicts have stands once.
    reasons = {name: set(answer[name]["reasons"]) for name in ("then", "now")}
    both = reasons["then"] & reasons["now"]
    assert both and reasons["now"] - both
    for mark, its in (("both:", both), ("then:", reasons["then"] - both), ("now: ", reasons["now"] - both)):
        assert {line[8:] for line in table.stdout.splitlines() if line.startswith(f"  {mark} ")} == its
    bounded = pipeline_v6(traded.home, *arguments, "--to", "2026-09-21T14:30:00Z", "--from", str(START_TS), "--json")
    assert json.loads(bounded.stdout)["decisions"] < restricted.decisions


def test_what_no_order_has_a_figure_of_is_not_measured(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_COMPARE_MIN_SAMPLE="1")
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(1, "1"))  # It rests on the market: no fill, no fee, no profit.
    home.run(2000)
    folder = another(home.settings, tmp_path / "strict", restricted_symbols=["BTCUSDT"])
    arguments = ("replay", "--config-dir", str(folder))
    dollars = json.loads(pipeline_v6(tmp_path, *arguments, "--json").stdout)["dollars"]
    unknown = ("gross_usd", "fees_usd", "slippage_usd", "profit_usd")
    assert {dollars["then"][name] for name in unknown} == {None}
    assert {dollars["change"][name] for name in unknown} == {None}
    assert {dollars["now"][name] for name in unknown} == {0}
    assert dollars["then"]["placed_usd"] == 500.0
    rows = [line.split("  ") for line in pipeline_v6(tmp_path, *arguments).stdout.splitlines()]
    (fees,) = [[cell.strip() for cell in row if cell] for row in rows if row[0] == "fees"]
    assert fees == ["fees", "not measured", "0.00", "not measured"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--config-dir"),
        (["--config-dir", "/nowhere"], "does not exist"),
        (["--config-dir", "/", "--from", "soon"], "ISO-8601 with a zone"),
        (["--config-dir", "/", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"], "--from is after"),
    ],
)
def test_bad_usage_is_one_line(tmp_path: Path, arguments: list[str], part: str) -> None:
    outcome = pipeline_v6(tmp_path, "replay", *arguments)
    assert outcome.exit_code == 64
    assert outcome.stderr.count("\n") == 1
    assert part in outcome.stderr
