"""A check per criterion: what the summary says of it, translated; what it does not say passes nothing."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline_v6_dagster.alerts.message import Severity, format_body
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.acknowledge import acknowledge
from pipeline_v6_dagster.stages.outputs.alerts import record_alerts
from pipeline_v6_dagster.stages.outputs.comparison_checks import comparison_checks, evaluate_comparison
from pipeline_v6_dagster.stages.outputs.criteria_checks import criterion_names, evaluate_criterion
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext, Evaluation
from pipeline_v6_dagster.verdict.criteria import CRITERIA
from pipeline_v6_dagster.verdict.window import MAX_IDS
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home

NOW = START_TS + 3600 + 2000


def criterion(name: str, state: CriterionState, **changes: Any) -> Criterion:
    """A criterion as the gate gives it."""
    (defined,) = (each for each in CRITERIA if each.name == name)
    fields: dict[str, Any] = {
        "name": name,
        "group": defined.group,
        "state": state,
        "measured": "1 order",
        "limit": "0 orders",
        "description": "1 order is wrong.",
        "to_do": defined.to_do,
        "value": 1.0,
    }
    return Criterion(**(fields | changes))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> CheckContext:
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), upsize_share=0.05)
    for command in ("shadow", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    return CheckContext(settings, NOW)


def make_context(home: CheckContext, *criteria: Criterion) -> CheckContext:
    """The same logs with a verdict that has these criteria."""
    context = CheckContext(home.settings, NOW)
    context.gate = dataclasses.replace(home.gate, criteria=criteria)
    return context


def evaluate(home: CheckContext, name: str, state: CriterionState, **changes: Any) -> Evaluation:
    return evaluate_criterion(make_context(home, criterion(name, state, **changes)), name)


@pytest.mark.parametrize("name", [each.name for each in CRITERIA])
@pytest.mark.parametrize("state", list(CriterionState))
def test_only_what_holds_passes_and_only_what_is_broken_is_an_error(
    home: CheckContext, name: str, state: CriterionState
) -> None:
    (group,) = (each.group for each in CRITERIA if each.name == name)
    found = evaluate(home, name, state)
    assert found.passes is (state is CriterionState.HOLDS)
    is_error = state is CriterionState.BROKEN and group in (CriterionGroup.CRITICAL, CriterionGroup.AGREEMENT)
    assert found.severity is (Severity.ERROR if is_error else Severity.WARN)


def test_every_criterion_is_a_check_that_says_when_it_passes() -> None:
    checks = comparison_checks()
    assert set(checks) == {*criterion_names(), "verdict", "warmup"}
    assert next(iter(checks)) == criterion_names()[0]
    for name, check in checks.items():
        assert check.description.startswith("Passes when "), name
        assert " If not: " in check.description, name


def test_a_criterion_that_the_verdict_does_not_have_does_not_pass(home: CheckContext) -> None:
    found = evaluate_criterion(make_context(home), "same_side")
    assert (found.passes, found.is_measured) == (False, False)
    assert found.text.startswith("not measured: ")


@pytest.mark.parametrize(
    ("name", "value", "ids", "count"),
    [
        ("no_upsizes", 80.0, ("d1", "d2"), 80),
        ("inputs_whole", 3.0, (), 3),
        ("orders_enough", 71.0, (), None),
        ("coverage", 12.5, (), None),
        ("still_agrees", 12.5, ("d1",), 1),
        # It names so many at most, so there may be any number of them.
        ("still_agrees", 12.5, tuple(f"d{number}" for number in range(MAX_IDS)), None),
    ],
)
def test_the_count_is_that_of_the_failing_orders_and_never_another_figure(
    home: CheckContext, name: str, value: float, ids: tuple[str, ...], count: int | None
) -> None:
    found = evaluate(home, name, CriterionState.BROKEN, value=value, failing_ids=ids)
    assert found.count == count
    # One figure is not plotted twice.
    assert found.figures == ({} if count == value else {"value": value})
    assert evaluate(home, name, CriterionState.HOLDS, value=value).count == 0


def test_who_acknowledged_a_criterion_is_said_where_it_fails_and_in_its_alert(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, upsize_share=0.05)
    for command in ("shadow", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    settings.alert_outbox.unlink()
    for until in (None, NOW + 3600):
        acknowledge(settings, Acknowledgement(ts=NOW - 60, criterion="no_upsizes", by="Ada", why="known", until=until))
    found = evaluate_criterion(CheckContext(settings, NOW), "no_upsizes")
    said = "by Ada on 2026-09-21 15:45:40 UTC: known (not repeated before 2026-09-21 16:46:40 UTC)"
    assert found.text_with_acknowledgement.endswith(f". Acknowledged {said}")
    assert evaluate_criterion(CheckContext(settings, NOW), "same_side").acknowledged is None
    (message,) = record_alerts(settings, [found], NOW)
    assert f"Acknowledged: {said}\n" in format_body(message)
    # It has run out.
    assert evaluate_criterion(CheckContext(settings, NOW + 3600), "no_upsizes").acknowledged is None


def test_the_failing_orders_are_named_with_their_excess(home: CheckContext) -> None:
    upsized = [diff for diff in home.window if diff.is_upsize]
    ids = tuple(str(diff.decision_id) for diff in upsized)
    found = evaluate(home, "no_upsizes", CriterionState.BROKEN, failing_ids=ids)
    assert found.failing_ids == ids
    assert {order.decision_id for order in found.orders} == set(ids)
    assert found.excess_usd is not None and found.excess_usd > 0
    assert len(found.sample) == len(ids)


def test_the_alert_names_the_cause_and_not_its_effects(home: CheckContext) -> None:
    broken = {"no_upsizes", "sizes_agree"}
    states = {
        name: CriterionState.BROKEN if name in broken else CriterionState.NOT_YET if i % 2 else CriterionState.HOLDS
        for i, name in enumerate(criterion_names())
    }
    context = make_context(home, *(criterion(name, state) for name, state in states.items()))
    evaluations = evaluate_comparison(context)
    home.settings.alert_outbox.unlink(missing_ok=True)
    recorded = record_alerts(home.settings, evaluations, START_TS, host="desk-1")
    assert [message.subject for message in recorded] == ["compare_summary/no_upsizes"]
    assert (recorded[0].host, recorded[0].run_id) == ("desk-1", "command line")
    assert recorded[0].executor == str(home.settings.home)


def test_the_command_line_records_alerts(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, upsize_share=0.05)
    for command in ("shadow", "compare", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    rows = map(msgspec.json.decode, settings.alert_outbox.read_bytes().splitlines())
    (row,) = (row for row in rows if row.get("kind") == "begins" and row["subject"] == "compare_summary/no_upsizes")
    assert (row["kind"], row["subject"]) == ("begins", "compare_summary/no_upsizes")
    assert row["excess_usd"] > 0 and len(row["orders"]) == 5
