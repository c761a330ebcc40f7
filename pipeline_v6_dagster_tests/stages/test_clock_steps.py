"""Clocks that step by an hour, a day and ten years, both ways, under every stage: ours, and the executor's."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.doctor.run import examine
from pipeline_v6_dagster.stages.drill.result import Outcome
from pipeline_v6_dagster.stages.drill.run import run_drill
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk
from pipeline_v6_dagster.stages.outputs.report import write_report
from pipeline_v6_dagster.stages.outputs.status import Report, read_status
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster_tests.homes import fixed
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row

HOUR_S, DAY_S, YEARS_S = 3600.0, 86_400.0, 315_360_000.0
LATER = 20_000.0

steps = pytest.mark.parametrize(
    "step_s",
    [sign * size for size in (HOUR_S, DAY_S, YEARS_S) for sign in (1, -1)],
    ids=["hour ahead", "hour back", "day ahead", "day back", "ten years ahead", "ten years back"],
)


def trade(home: Home, first: int, last: int, row_step_s: float = 0.0) -> None:
    """An attempt with its order each minute. `row_step_s`: how far the executor's clock is off."""
    for number in range(first, last):
        at = 60.0 * number + row_step_s
        # Small, so that no limit denies one of them.
        home.attempts(attempt_row(at, str(number), qty=0.2, notional=20.0))
        home.orders(ack_row(at + 0.5, str(number), qty=0.2), fill_row(at + 1.0, str(number), qty=0.2))


def ids(home: Home) -> list[str]:
    return [json.loads(line)["intent_id"] for line in home.settings.shadow_log.read_bytes().splitlines()]


def settled(home: Home) -> dict[str, tuple[str, Any]]:
    """(kind, size) of each decision as it is known at the end. No first diff is written twice."""
    found: dict[str, tuple[str, Any]] = {}
    for diff in home.diffs():
        assert (diff["intent_id"] in found) == (diff["revision_of"] is not None), diff
        found[diff["intent_id"]] = diff["mismatch_kind"], diff["sizing_diff_pct"]
    return found


def freshness(report: Report) -> CriterionState:
    (criterion,) = (each for each in report.criteria if each.name == "inputs_fresh")
    return criterion.state


@steps
def test_a_step_of_our_clock_loses_repeats_and_misjudges_nothing(tmp_path: Path, step_s: float) -> None:
    homes = [Home(tmp_path / name) for name in ("right", "wrong")]
    for home, off_s in zip(homes, (0.0, step_s), strict=True):
        trade(home, 0, 10)
        home.run(700)
        trade(home, 10, 20)
        home.run(1300 + off_s)  # The step
        trade(home, 20, 30)
        home.run(1900 + off_s)
        trade(home, 30, 40)
        home.run(2500)  # and the step back.
        home.run(LATER)
    right, wrong = homes
    assert ids(wrong) == ids(right) == [f"ord_{number}" for number in range(40)]
    assert settled(wrong) == settled(right)
    assert {kind for kind, _ in settled(wrong).values()} == {"match"}
    assert verify_logs(wrong.settings).is_whole
    assert read_status(wrong.settings, T0 + LATER).stale == ()


@steps
def test_a_step_of_the_executors_clock_freezes_nothing_that_follows(tmp_path: Path, step_s: float) -> None:
    home = Home(tmp_path)
    trade(home, 0, 10)
    home.run(700)
    trade(home, 10, 12, row_step_s=step_s)
    trade(home, 12, 30)
    home.run(1900)
    assert sorted(ids(home)) == sorted(f"ord_{number}" for number in range(30))
    home.run(LATER)
    found = settled(home)
    assert {name for name in found if name not in ("ord_10", "ord_11")} == set(ids(home)) - {"ord_10", "ord_11"}
    assert {kind for name, (kind, _) in found.items() if name not in ("ord_10", "ord_11")} == {"match"}


@steps
def test_status_says_that_the_clock_is_wrong_and_is_right_again_after_it(tmp_path: Path, step_s: float) -> None:
    home = Home(tmp_path)
    trade(home, 0, 10)
    home.run(700)
    report = read_status(home.settings, T0 + 700 + step_s)
    assert len(report.stale) == 2
    is_fresh = step_s == HOUR_S  # Rows of the last day are.
    assert freshness(report) is (CriterionState.HOLDS if is_fresh else CriterionState.BROKEN)
    if step_s < 0:
        assert all("in the future; check this machine's clock" in text for text in report.stale)
    # What a clock that was wrong has written is told once the clock is right, and gone with the next run.
    refresh_head(home.settings, T0 + 700 + step_s)
    home.compare(700 + step_s)
    assert read_status(home.settings, T0 + 760).stale
    home.run(800)
    report = read_status(home.settings, T0 + 801)
    assert (report.stale, freshness(report)) == ((), CriterionState.HOLDS)


@steps
def test_doctor_report_and_alerts_work_under_any_clock(tmp_path: Path, step_s: float) -> None:
    home = Home(tmp_path)
    trade(home, 0, 10)
    home.run(LATER)
    now = T0 + LATER + step_s
    findings = examine({"PIPELINE_V6_HOME": str(tmp_path)}, tmp_path, now)
    assert findings.problems == ()
    ahead = [warning for warning in findings.warnings if "ahead of this machine's clock" in warning]
    assert bool(ahead) == (now < T0)
    assert write_report(home.settings, now).path.exists()
    assert AlertDesk(home.settings, fixed(now)).run([]).waiting == {}


@steps
def test_a_drill_injects_its_faults_under_any_clock(tmp_path: Path, step_s: float) -> None:
    home = Home(tmp_path)
    trade(home, 0, 10)
    trade(home, 10, 12, row_step_s=step_s)
    trade(home, 12, 90)
    for now in (T0 + LATER, T0 + LATER + step_s):
        report = run_drill(home.settings, now, faults=["double-size"])
        assert report.attempts == 90
        assert [result.outcome for result in report.results] == [Outcome.CAUGHT]
