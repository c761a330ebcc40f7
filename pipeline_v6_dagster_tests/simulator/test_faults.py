"""Every fault that can be injected is found, in the numbers in which it was injected."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.quality import Rejection, Unusable
from pipeline_v6_dagster.simulator.faults import Fault, Injected, parse_fault
from pipeline_v6_dagster.simulator.injector import ATTEMPTS, GARBAGE
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.sources.vetoes import parse_veto
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.run import (
    Feed,
    Plan,
    prepare_home,
    read_truth,
    simulate_history,
    simulate_live,
)
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings

SECONDS = 2400.0
TOLERANCE_S = "60"
INPUTS = {"orders_attempted": "order_attempts", "orders_executed": "orders_executed", "risk_vetoes": "risk_vetoes"}


class Found:
    """A home with one fault, decided and compared long after its end, so that all of it is settled."""

    def __init__(self, folder: Path, fault: Fault, share: float, idless_share: float = 0.25) -> None:
        self.settings = quick_settings(folder)
        prepare_home(self.settings)
        plan = Plan(seed=11, attempts_per_s=0.5, seconds=SECONDS, shares={fault: share}, idless_share=idless_share)
        self.run = simulate_history(self.settings, plan, START_TS, lambda share: None)
        self.truth = [one for one in read_truth(self.settings) if one.fault == fault]
        decide_and_compare(self.settings, START_TS + 3600)
        self.diffs = read_diffs(self.settings)
        self.summary: dict[str, Any] = json.loads(self.settings.compare_summary.read_bytes())

    def intents(self) -> set[str | None]:
        return {one.intent_id for one in self.truth}

    def those(self, is_one: Callable[[dict[str, Any]], bool]) -> set[str | None]:
        return {diff["intent_id"] for diff in self.diffs if is_one(diff)}


def quick_settings(folder: Path) -> Settings:
    """A tolerance of a minute, and a summary over everything."""
    return make_settings(folder, PIPELINE_COMPARE_MATCH_TOLERANCE=TOLERANCE_S, PIPELINE_COMPARE_SHADOW_LIMIT="100000")


def decide_and_compare(settings: Settings, now: float) -> None:
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_shadow(settings, limits, fixed(now))
    run_compare(settings, limits, fixed(now))


def read_diffs(settings: Settings) -> list[dict[str, Any]]:
    rows = map(json.loads, settings.compare_diffs.read_bytes().splitlines())
    return [row for row in rows if "mismatch_kind" in row]


def unusable(found: Found) -> Counter[tuple[str, str]]:
    """(input, kind) of every line that was not used."""
    return Counter(
        {
            (name, kind): count
            for name, quality in found.summary["input_quality"].items()
            for kind, count in quality["unusable"].items()
        }
    )


def expected(truth: list[Injected]) -> Counter[tuple[str, str]]:
    return Counter((INPUTS[one.log], str(one.form)) for one in truth)


def test_without_a_fault_nothing_is_found(tmp_path: Path) -> None:
    found = Found(tmp_path, Fault.UPSIZE, 0.0)
    assert found.truth == []
    assert found.summary["sizing_diff_stats"]["upsize_count"] == 0
    assert {diff["mismatch_kind"] for diff in found.diffs} == {
        "match",
        "match_veto",
    }
    assert {diff["live_outcome"] for diff in found.diffs} == {"executed", "vetoed", "error"}
    assert {kind for _, kind in unusable(found)} == {"unknown_event"}


def test_every_upsized_order_is_found(tmp_path: Path) -> None:
    found = Found(tmp_path, Fault.UPSIZE, 0.05)
    assert len(found.truth) > 10
    assert found.summary["sizing_diff_stats"]["upsize_count"] == len(found.truth)
    assert found.those(lambda diff: diff["is_upsize"] is True) == found.intents()


def test_every_missed_attempt_is_a_decision_that_live_did_not_answer(tmp_path: Path) -> None:
    found = Found(tmp_path, Fault.MISSED, 0.05, idless_share=0.0)
    assert len(found.truth) > 10
    assert found.summary["coverage"]["unresolved"] == len(found.truth)
    assert found.those(lambda diff: diff["live_outcome"] == "unresolved") == found.intents()


def test_every_order_without_an_attempt_is_live_only(tmp_path: Path) -> None:
    found = Found(tmp_path, Fault.ROGUE, 0.05)
    assert len(found.truth) > 10
    assert found.summary["coverage"]["live_only"] == len(found.truth)
    assert found.those(lambda diff: diff["mismatch_kind"] == "live_only") == found.intents()


def test_every_late_order_revises_its_diff(tmp_path: Path) -> None:
    found = Found(tmp_path, Fault.LATE, 0.03)
    placed = placed_intents(found.settings)
    late = {intent for intent in found.intents() if intent in placed}
    assert len(late) > 10
    assert found.summary["totals"]["revisions"] == len(late)
    assert found.those(lambda diff: diff["revision_of"] is not None) == late


def placed_intents(settings: Settings) -> set[str | None]:
    events = map(parse_order_event, settings.orders_executed.read_bytes().splitlines())
    return {getattr(event, "intent_id", None) for event in events}


@pytest.mark.parametrize(("fault", "share"), [(Fault.TORN, 0.02), (Fault.GARBAGE, 0.02)])
def test_every_line_that_is_no_row_is_counted_by_kind(tmp_path: Path, fault: Fault, share: float) -> None:
    clean = Found(tmp_path / "clean", fault, 0.0)
    found = Found(tmp_path / "spoilt", fault, share)
    assert len(found.truth) > 50
    assert unusable(found) - unusable(clean) == expected(found.truth)
    assert [diff["intent_id"] for diff in found.diffs] == [diff["intent_id"] for diff in clean.diffs]


def test_a_repeated_attempt_is_a_second_decision_and_a_repeated_order_row_changes_nothing(tmp_path: Path) -> None:
    clean = Found(tmp_path / "clean", Fault.DUPLICATE, 0.0)
    found = Found(tmp_path / "repeated", Fault.DUPLICATE, 0.03)
    logs = Counter(one.log for one in found.truth)
    assert min(logs[ATTEMPTS], logs["orders_executed"]) > 20
    decisions = Counter(diff["intent_id"] for diff in found.diffs if diff["revision_of"] is None)
    twice = {intent_id for intent_id, count in decisions.items() if count == 2}
    assert twice == {one.intent_id for one in found.truth if one.log == ATTEMPTS}
    assert max(decisions.values()) == 2
    executed = {diff["intent_id"]: diff["live"] for diff in found.diffs if diff["live_outcome"] == "executed"}
    assert executed == {diff["intent_id"]: diff["live"] for diff in clean.diffs if diff["live_outcome"] == "executed"}


def test_rotations_lose_and_repeat_nothing(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    prepare_home(settings)
    feed = Feed(
        settings, Plan(seed=11, attempts_per_s=0.5, seconds=SECONDS, shares={Fault.ROTATION: 0.01}), START_TS - SECONDS
    )
    for number in range(1, 49):
        feed.write(START_TS + (number / 48 - 1) * SECONDS)
        decide_and_compare(settings, START_TS + (number / 48 - 1) * SECONDS)
    decide_and_compare(settings, START_TS + 3600)
    rotations = Counter(one.log for one in read_truth(settings))
    assert min(rotations[ATTEMPTS], rotations["orders_executed"]) > 5
    assert len(list(settings.order_attempts.parent.glob("orders_attempted.*.jsonl"))) == 5
    still = Found(tmp_path / "still", Fault.ROTATION, 0.0)
    assert [diff["intent_id"] for diff in read_diffs(settings)] == [diff["intent_id"] for diff in still.diffs]
    summary = json.loads(settings.compare_summary.read_bytes())
    assert not any(quality["is_offset_lost"] for quality in summary["input_quality"].values())


def test_an_attempt_of_a_clock_that_is_ahead_is_still_paired_by_its_ids(tmp_path: Path) -> None:
    found = Found(tmp_path, Fault.CLOCK_SKEW, 0.03)
    assert len(found.truth) > 10
    ahead = found.those(lambda diff: diff["match_dt_s"] is not None and diff["match_dt_s"] < -60)
    placed = placed_intents(found.settings)
    assert ahead == {intent for intent in found.intents() if intent in placed} - found.those(
        lambda diff: diff["live_outcome"] == "error"
    )


# How it is asked for, and what it leaves.


def test_the_same_seed_injects_the_same_faults(tmp_path: Path) -> None:
    one, two = (Found(tmp_path / name, Fault.GARBAGE, 0.02) for name in ("one", "two"))
    assert one.truth == two.truth
    assert one.settings.orders_executed.read_bytes() == two.settings.orders_executed.read_bytes()


def test_garbage_is_named_as_a_reader_names_it() -> None:
    for kind, raw in GARBAGE:
        if kind is Rejection.BLANK:
            assert raw.isspace()
            continue
        for parse in (parse_attempt, parse_order_event, parse_veto):
            assert parse(raw) == Unusable(kind), (parse, raw)


@pytest.mark.parametrize("text", ["upsise:0.1", "upsize", "upsize:2", "upsize:-1", "upsize:nan", ":0.1"])
def test_a_fault_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|share"):
        parse_fault(text)


def test_every_fault_can_be_named() -> None:
    assert [parse_fault(f"{fault}:0.5") for fault in Fault] == [(fault, 0.5) for fault in Fault]


def test_a_home_of_a_real_executor_is_refused(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings.order_attempts.parent.mkdir(parents=True)
    settings.order_attempts.write_text('{"symbol": "BTCUSDT"}\n')
    with pytest.raises(DataError, match="not written by a simulation"):
        prepare_home(settings)
    with pytest.raises(DataError, match="not written by a simulation"):
        Feed(settings, Plan(seed=1, attempts_per_s=0.1), START_TS)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["orders_attempted.jsonl"]


def test_a_simulation_goes_on_in_its_own_home(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    for number in (1, 2):
        prepare_home(settings)
        simulate_history(
            settings, Plan(seed=number, attempts_per_s=0.5, seconds=600), START_TS + number * 600, lambda share: None
        )
    assert len(settings.order_attempts.read_bytes().splitlines()) > 500


def test_a_live_feed_writes_what_its_clock_has_reached(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    prepare_home(settings)
    times = iter([START_TS + seconds for seconds in (10, 100, 400, 700)])
    feed = Feed(settings, Plan(seed=3, attempts_per_s=1.0, seconds=600, shares={Fault.UPSIZE: 0.1}), START_TS)
    run = simulate_live(feed, lambda: next(times), iter([None] * 9), START_TS + 600)
    assert run.traded_s == 600
    assert run.lines > 600
    assert run.faults == {"upsize": len(read_truth(settings))}
    assert next(times, None) is None
