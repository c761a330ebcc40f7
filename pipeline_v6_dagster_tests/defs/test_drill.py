"""The drill as an asset: what its check says, and that it is no part of a larger run."""

import dataclasses
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.simulator.drill_fault import FaultGroup
from pipeline_v6_dagster.stages.drill.check import evaluate_drill
from pipeline_v6_dagster.stages.drill.result import DrillReport, FaultResult, Outcome
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home


@pytest.mark.slow
def test_the_job_drills_and_its_check_passes_where_every_fault_is_caught(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path)
    job = build_defs(settings, fixed(START_TS + 5600)).resolve_job_def("drill_job")
    config = {"ops": {"drill": {"config": {"faults": ["double-size"]}}}}
    result = job.execute_in_process(instance=instance, run_config=config)
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("drill_catches_faults", True)
    assert check.description == "1 faults caught, 0 could not be tested, 0 missed"
    (materialization,) = result.asset_materializations_for_node("drill")
    assert (materialization.metadata["caught"].value, materialization.metadata["missed"].value) == (1, 0)
    assert not settings.compare_diffs.exists()


def test_a_home_without_attempts_fails_no_run_and_announces_nothing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = make_settings(tmp_path)
    result = build_defs(settings).resolve_job_def("drill_job").execute_in_process(instance=instance)
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, str(check.description)[:32]) == (False, "not measured: nothing to drill: ")
    (materialization,) = result.asset_materializations_for_node("drill")
    assert materialization.metadata["attempts"].value == 0
    assert not settings.alert_outbox.exists()


def report(*outcomes: Outcome) -> DrillReport:
    result = FaultResult(name="f", group=next(iter(FaultGroup)), criterion="no_upsizes", outcome=Outcome.CAUGHT)
    results = (
        dataclasses.replace(result, name=f"fault-{number}", outcome=outcome) for number, outcome in enumerate(outcomes)
    )
    return DrillReport(now=0.0, first_ts=0.0, last_ts=0.0, attempts=1, baseline={}, results=tuple(results))


@pytest.mark.parametrize(
    ("outcomes", "passes", "is_measured"),
    [
        ((Outcome.CAUGHT, Outcome.NOT_TESTED), True, True),
        ((Outcome.CAUGHT, Outcome.MISSED), False, True),
        ((Outcome.NOT_TESTED,), False, False),
        ((), False, False),
    ],
)
def test_a_missed_fault_fails_the_check_and_a_drill_that_tests_nothing_passes_nothing(
    outcomes: tuple[Outcome, ...], passes: bool, is_measured: bool
) -> None:
    found = evaluate_drill(report(*outcomes))
    assert (found.passes, found.is_measured) == (passes, is_measured)
    if Outcome.MISSED in outcomes:
        assert found.sample[0]["outcome"] == "missed"
        assert found.description.endswith("1 missed: fault-1")
