"""Reachability: what is missing, the date of a PASS at the desk's own rates, or why there is none."""

from dataclasses import replace

import pytest

from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.verdict.criteria import evaluate_all
from pipeline_v6_dagster.verdict.policy import DAY_S, VerdictPolicy
from pipeline_v6_dagster.verdict.reach import Reach, Step, reach
from pipeline_v6_dagster_tests.live_builders import T0
from pipeline_v6_dagster_tests.verdict.evidence_builders import (
    DECISIONS,
    POLICY,
    absent,
    collect_evidence,
    desk,
    make_facts,
    settled,
    unresolved,
)

PER_DAY = DECISIONS / 15


def find_reach(diffs: list[Diff], policy: VerdictPolicy = POLICY) -> Reach:
    evidence = collect_evidence(diffs)
    facts = make_facts(diffs, evidence)
    return reach(evaluate_all(evidence, facts, policy), evidence, facts, policy)


def find_step(found: Reach, name: str) -> Step:
    return next(step for step in found.steps if step.name == name)


def test_on_a_desk_that_passes_nothing_is_missing() -> None:
    found = find_reach(desk())
    assert found.steps == ()
    assert found.possible_ts == pytest.approx(T0 + 15 * DAY_S, abs=DAY_S)


def test_a_clean_start_reaches_a_pass_after_14_days() -> None:
    found = find_reach([settled(number) for number in range(500)])
    assert found.blockers == ()
    assert found.possible_ts == pytest.approx(T0 + 14 * DAY_S, abs=600)
    assert find_step(found, "decisions_agree").days == pytest.approx((3200 - 500) / PER_DAY, rel=0.02)


def test_the_date_is_right_when_it_comes() -> None:
    found = find_reach([settled(number) for number in range(500)])
    assert found.possible_ts is not None
    until = int((found.possible_ts - T0) / DAY_S * PER_DAY) + 2
    assert find_reach([settled(number) for number in range(until)]).steps == ()


def test_a_critical_failure_is_never_waited_out() -> None:
    found = find_reach(desk(settled(5, is_upsize=True)))
    assert (found.blockers, found.possible_ts) == (("no_upsizes",), None)
    assert "acknowledge" in find_step(found, "no_upsizes").missing


def test_at_a_mismatch_rate_above_the_limit_waiting_does_not_help() -> None:
    found = find_reach(desk(*[absent(number) for number in range(0, DECISIONS, 10)]))
    assert "decisions_agree" in found.blockers
    assert "fewer mismatches" in find_step(found, "decisions_agree").missing


def test_a_symbol_without_orders_is_never_covered() -> None:
    found = find_reach(desk(), replace(POLICY, symbols=("BTCUSDT", "SOLUSDT")))
    assert found.blockers == ("symbols_covered",)
    assert "SOLUSDT" in find_step(found, "symbols_covered").missing


def test_unknown_outcomes_are_outweighed_by_known_ones() -> None:
    found = find_reach(desk(*[unresolved(number) for number in range(0, DECISIONS, 15)]))
    step = find_step(found, "coverage")
    assert not step.is_blocked
    assert step.days == pytest.approx((267 * 20 - DECISIONS) / PER_DAY, rel=0.1)


def test_an_epoch_that_has_just_begun_knows_no_rate_and_gives_no_date() -> None:
    found = find_reach([settled(0)])
    assert (found.possible_ts, found.blockers) == (None, ())
    assert find_reach([]).possible_ts is None


def test_a_limit_of_nothing_is_not_reached_and_does_not_crash() -> None:
    found = find_reach(desk(absent(5)), replace(POLICY, max_mismatch_ratio=0.0))
    assert "decisions_agree" in [step.name for step in found.steps]
    assert found.possible_ts is None
