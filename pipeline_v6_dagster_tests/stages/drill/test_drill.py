"""The drill: every fault of the table is in, and seen, in a copy of the logs; the home is only read."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE
from pipeline_v6_dagster.stages.drill.criteria import CriterionReading, read_criteria
from pipeline_v6_dagster.stages.drill.history import read_history
from pipeline_v6_dagster.stages.drill.result import Outcome
from pipeline_v6_dagster.stages.drill.run import run_drill
from pipeline_v6_dagster.stages.drill.sandbox import Sandbox
from pipeline_v6_dagster.stages.simulate.run import Plan, prepare_home, simulate_history
from pipeline_v6_dagster.verdict.criteria import ASKED_NOW
from pipeline_v6_dagster_tests.homes import START_TS, make_settings
from pipeline_v6_dagster_tests.stages.drill.plain_criteria import plain_criteria

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three weeks of a small desk: some thousand attempts."""
    settings = make_settings(tmp_path_factory.mktemp("desk"))
    prepare_home(settings)
    plan = Plan(seed=3, attempts_per_s=0.0007, seconds=21 * DAY_S, idless_share=0.0)
    simulate_history(settings, plan, START_TS, lambda share: None)
    return settings


def contents(settings: Settings) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in settings.home.rglob("*") if path.is_file()}


def broken_only_by_upsizes(settings: Settings, now: float) -> Mapping[str, CriterionReading]:
    """A verdict that looks at sizes alone."""
    found = plain_criteria(settings, now)
    blind = CriterionReading(CriterionState.HOLDS)
    return {name: reading if name == "no_upsizes" else blind for name, reading in found.items()}


@pytest.mark.slow
def test_a_fault_is_caught_by_its_criterion_and_the_home_is_only_read(desk: Settings) -> None:
    before = contents(desk)
    report = run_drill(desk, START_TS + 60, faults=["double-size"], read=plain_criteria)
    (result,) = report.results
    assert (result.outcome, result.injected) == (Outcome.CAUGHT, 1)
    assert (result.before, result.after) == ("holds", "broken")
    assert not report.has_missed
    assert contents(desk) == before


@pytest.mark.slow
def test_a_verdict_that_does_not_look_misses_the_fault(desk: Settings) -> None:
    report = run_drill(desk, START_TS + 60, faults=["overfill", "old-upsize"], read=broken_only_by_upsizes)
    outcomes = {result.name: result.outcome for result in report.results}
    assert outcomes == {"overfill": Outcome.MISSED, "old-upsize": Outcome.CAUGHT}
    assert report.has_missed


@pytest.mark.slow
def test_a_criterion_that_does_not_hold_anyway_proves_nothing(desk: Settings) -> None:
    report = run_drill(desk, START_TS + 30 * DAY_S, faults=["future-attempt", "other-route"], read=plain_criteria)
    assert {result.outcome for result in report.results} == {Outcome.NOT_TESTED}
    assert "does not hold" in report.results[1].detail
    assert "decides nothing" in report.results[0].detail


@pytest.mark.slow
def test_the_same_logs_give_the_same_report(desk: Settings) -> None:
    one, two = (run_drill(desk, START_TS + 60, 16, ["bursts"], read=plain_criteria) for _ in range(2))
    assert one == two


def test_an_unknown_fault_is_refused(desk: Settings) -> None:
    with pytest.raises(DataError, match="no such fault: nonsense"):
        run_drill(desk, START_TS, faults=["nonsense"])


def test_a_home_without_attempts_gives_a_report_without_results(tmp_path: Path) -> None:
    report = run_drill(make_settings(tmp_path), START_TS)
    assert (report.attempts, report.results, report.has_missed) == (0, (), False)


@pytest.mark.slow
def test_a_fault_of_each_criterion_is_caught_by_a_plain_reading(desk: Settings) -> None:
    chosen = {fault.criterion: name for name, fault in reversed(FAULT_TABLE.items())}
    report = run_drill(desk, START_TS + 60, faults=set(chosen.values()), read=plain_criteria)
    assert set(report.baseline.values()) == {"holds"}
    missed = {result.name: result.detail for result in report.named(Outcome.MISSED)}
    assert missed == {}
    assert {result.name for result in report.named(Outcome.NOT_TESTED)} <= {"other-route"}


def test_decisions_are_copied_with_the_rotations_of_their_log(desk: Settings, tmp_path: Path) -> None:
    clean, other = (Sandbox(desk, tmp_path / name) for name in ("clean", "other"))
    clean.copy_configuration(desk)
    history = read_history(desk, 1.0, START_TS)
    assert history is not None
    clean.append(history.lines)
    clean.run(lambda: START_TS)
    log = clean.settings.shadow_log
    lines = log.read_bytes().splitlines(keepends=True)
    log.with_name("pipeline_v6_shadow.1.jsonl").write_bytes(b"".join(lines[:10]))
    log.write_bytes(b"".join(lines[10:]))
    other.copy_decisions(clean)
    assert other.decided_keys() == clean.decided_keys()
    assert verify_logs(other.settings).is_whole


@pytest.mark.slow
def test_a_desk_whose_shadow_log_has_rotated_is_drilled_as_well(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    prepare_home(settings)
    plan = Plan(seed=3, attempts_per_s=0.0025, seconds=21 * DAY_S, idless_share=0.0)
    simulate_history(settings, plan, START_TS, lambda share: None)
    report = run_drill(settings, START_TS + 60, faults=["double-size", "opposite-side"])
    assert {result.name: result.outcome for result in report.results} == dict.fromkeys(
        ("double-size", "opposite-side"), Outcome.CAUGHT
    )


@pytest.mark.slow
def test_the_verdict_catches_every_fault(desk: Settings) -> None:
    # A small desk has too few decisions for the usual limit of mismatches, and a short window for so few.
    changes = {"max_mismatch_ratio": 0.2, "compare_limit": 250, "max_route_mismatch_ratio": 0.3}
    report = run_drill(desk.model_copy(update=changes), START_TS + 60)
    assert set(report.baseline.values()) == {"holds"}
    assert {result.name for result in report.results} == set(FAULT_TABLE)
    assert {result.name: result.detail for result in report.results if result.outcome is not Outcome.CAUGHT} == {}


def test_before_a_summary_no_criterion_holds(tmp_path: Path) -> None:
    readings = read_criteria(make_settings(tmp_path), START_TS)
    assert set(readings) == ASKED_NOW
    assert {reading.state for reading in readings.values()} == {CriterionState.UNMEASURED}
