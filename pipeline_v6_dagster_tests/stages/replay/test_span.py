"""A span in the middle of the history comes out as it does in a replay of all of it, without reading all of it."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.history.append import append_history
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster.stages.history.questions import build_query
from pipeline_v6_dagster.stages.replay.results import Month, list_configurations, replay_month
from pipeline_v6_dagster.stages.replay.run import replay
from pipeline_v6_dagster.stages.replay.span import replay_span
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home

pytestmark = pytest.mark.slow

HOURS = 8
END_TS = START_TS + HOURS * 3600
SPAN = (START_TS + 5 * 3600, START_TS + 6 * 3600)


def write_configuration(settings: Settings, name: str, **changes: object) -> Path:
    folder = settings.config_dir / "replay" / name
    folder.mkdir(parents=True)
    limits = json.loads(settings.risk_limits.read_bytes()) | changes
    (folder / "risk_limits.json").write_text(json.dumps(limits))
    (folder / "pairs_universe.json").write_bytes(settings.pairs_universe.read_bytes())
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), seconds=HOURS * 3600, attempts_per_s=0.05)
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_shadow(settings, limits, fixed(END_TS))
    run_compare(settings, limits, fixed(END_TS))
    write_configuration(settings, "same")
    write_configuration(settings, "strict", restricted_symbols=["SOLUSDT"])
    write_configuration(settings, "small", max_notional_usd=2_000, max_trade_nav_pct=0.02)
    return settings


@pytest.mark.parametrize("name", ["same", "strict", "small"])
def test_it_flips_the_decisions_and_dollars_that_a_whole_replay_flips(settings: Settings, name: str) -> None:
    config_dir = settings.config_dir / "replay" / name
    from_ts, to_ts = SPAN
    whole = replay(settings, config_dir, fixed(END_TS), from_ts=from_ts, to_ts=to_ts)
    span = replay_span(settings, config_dir, from_ts, to_ts)
    assert span.decisions == whole.decisions > 150
    assert (span.flips, span.dollars, span.not_replayed) == (whole.flips, whole.dollars, 0)
    assert bool(span.flips) is (name != "same")


def test_what_came_before_and_after_is_not_decided_again(settings: Settings) -> None:
    span = replay_span(settings, settings.config_dir / "replay" / "same", *SPAN)
    assert span.decisions < span.decided < HOURS * 180 / 2


def test_it_reads_the_same_from_the_history(settings: Settings) -> None:
    config_dir = settings.config_dir / "replay" / "strict"
    before = replay_span(settings, config_dir, *SPAN)
    append_history(settings)
    assert replay_span(settings, config_dir, *SPAN) == before


def test_the_results_say_which_limits_would_have_changed_what(settings: Settings) -> None:
    append_history(settings)
    month = Month("2026-09", *SPAN)
    for _ in range(2):  # The newer one counts.
        replays = replay_month(settings, month, list_configurations(settings), fixed(END_TS))
    by_name = {each.configuration: each.answer for each in replays}
    rows = query_history(settings, build_query("replays")).as_dicts()
    assert [row["configuration"] for row in rows] == ["same", "small", "strict"]
    for row in rows:
        answer = by_name[row["configuration"]]
        assert row["decisions"] == answer.decisions
        assert row["stopped"] == sum(flip.is_stopped for flip in answer.flips)
        assert row["profit_usd_change"] == answer.dollars.change["profit_usd"]
    rules = query_history(settings, build_query("limits", ["configuration", "rule"])).as_dicts()
    of_strict = [row for row in rules if row["configuration"] == "strict"]
    assert [(row["rule"], row["stopped"] > 30) for row in of_strict] == [("restricted_symbol", True)]
    total = query_history(settings, "SELECT max(run), count(*) FROM replays WHERE rule IS NULL").rows
    assert total == [(2, 3)]


def test_a_question_about_replays_is_about_whole_months() -> None:
    with pytest.raises(DataError, match="replays is about whole months"):
        build_query("replays", from_ts=1.0)


def test_a_home_without_configurations_says_where_they_go(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config/replay: holds no configuration; add a folder with risk_limits\.json"):
        list_configurations(make_settings(tmp_path))
