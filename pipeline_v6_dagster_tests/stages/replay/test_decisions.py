"""The decisions of a replay are those of the shadow stage, without its log."""

from copy import deepcopy
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.logs.shadow_rows import parse_shadow_row
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.compare.undecided import find_undecided
from pipeline_v6_dagster.stages.replay.decisions import decide_again
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row

NOW = START_TS + 7200


@pytest.mark.slow
def test_they_say_what_the_shadow_log_says_and_compare_the_same(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, upsize_share=0.05)
    with settings.order_attempts.open("ab") as log:
        log.write(b'{"symbol": "BTCUSDT"}\n[1]\n')
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    told: list[int] = []
    decisions = decide_again(settings, limits, told.append)[0]
    assert told == list(range(500, len(decisions.rows) + 1, 500))
    as_decided = deepcopy(decisions.rows)  # The comparison numbers them.
    summary = run_compare(settings, limits, fixed(NOW), decisions=decisions).summary
    assert not settings.shadow_log.exists()
    diffs = settings.compare_diffs.read_bytes()

    run_shadow(settings, limits, fixed(NOW))
    assert [parse_shadow_row(line) for line in settings.shadow_log.read_bytes().splitlines()] == as_decided
    assert run_compare(settings, limits, fixed(NOW), rebuild=True).summary == summary
    # All but the end of the block, which says how far the shadow log was read.
    assert settings.compare_diffs.read_bytes().splitlines()[:-1] == diffs.splitlines()[:-1]


def test_an_attempt_that_comes_meanwhile_holds_the_comparison_up(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_COMPARE_MIN_SAMPLE="1")
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(0.2, "1"), fill_row(0.4, "1"))
    decisions = decide_again(home.settings, home.limits, lambda count: None)[0]
    home.attempts(attempt_row(10, "2"))
    home.orders(ack_row(10.2, "2"), fill_row(10.4, "2"))
    assert find_undecided(home.settings, decisions).first_ts == T0 + 10
    run = run_compare(home.settings, home.limits, fixed(T0 + 5000), decisions=decisions)
    assert run.waits_for_shadow
    assert dict(run.mismatch_kinds) == {"match": 1}


def test_without_an_attempt_there_is_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    decisions = decide_again(home.settings, home.limits, lambda count: None)[0]
    assert decisions == ([], None)
    assert find_undecided(home.settings, decisions).first_ts is None


def test_a_desk_that_signs_what_it_sells_reads_the_same_either_way(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_COMPARE_MIN_SAMPLE="1")
    home.attempts(attempt_row(0, "1", side="SELL", qty=-5.0, notional=-500.0))
    home.orders(ack_row(0.2, "1", qty=10.0, side="SELL"), fill_row(0.4, "1", qty=10.0, side="SELL"))
    decisions = decide_again(home.settings, home.limits, lambda count: None)[0]
    run_shadow(home.settings, home.limits, fixed(T0 + 10))
    assert [parse_shadow_row(line) for line in home.settings.shadow_log.read_bytes().splitlines()] == decisions.rows
    summary = run_compare(home.settings, home.limits, fixed(T0 + 5000)).summary
    # Denied, and twice the notional that it asked for all the same.
    assert summary.sizing_diff_stats.upsize_count == 1
    assert summary.upsizes[0].ratio == 2.0
