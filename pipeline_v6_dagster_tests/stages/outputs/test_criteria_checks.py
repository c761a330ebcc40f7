"""A check per criterion: what the summary says of it, translated; what it does not say passes nothing."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.stages.outputs.alerts import record_alerts
from pipeline_v6_dagster.stages.outputs.comparison_checks import comparison_checks, evaluate_comparison
from pipeline_v6_dagster.stages.outputs.criteria_checks import criterion_names, evaluate_criterion
from pipeline_v6_dagster.stages.outputs.evaluation import CheckContext, Evaluation
from pipeline_v6_dagster.verdict.criteria import CRITERIA
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home


def criterion(name: str, state: CriterionState, **changes: Any) -> dict[str, Any]:
    """An entry of `criteria` as a summary holds it."""
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
    built = msgspec.to_builtins(Criterion(**(fields | changes)))
    assert isinstance(built, dict)
    return built


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> CheckContext:
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), upsize_share=0.05)
    for command in ("shadow", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    return CheckContext(settings)


def context_of(home: CheckContext, *criteria: dict[str, Any]) -> CheckContext:
    """The same logs with a summary that holds these criteria."""
    context = CheckContext(home.settings)
    context.summary = home.summary | {"criteria": list(criteria)}
    return context


def evaluate(home: CheckContext, name: str, state: CriterionState, **changes: Any) -> Evaluation:
    return evaluate_criterion(context_of(home, criterion(name, state, **changes)), name)


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
    checks = comparison_checks(has_criteria=True)
    assert set(checks) == {*criterion_names(), "verdict", "warmup"}
    assert next(iter(checks)) == criterion_names()[0]
    for name, check in checks.items():
        assert check.description.startswith("Passes when "), name
        assert " If not: " in check.description, name


def test_a_criterion_that_the_summary_does_not_hold_or_that_is_malformed_does_not_pass(home: CheckContext) -> None:
    for context in (home, context_of(home), context_of(home, {"name": "same_side", "state": "perfect"})):
        found = evaluate_criterion(context, "same_side")
        assert (found.passes, found.is_measured) == (False, False)
        assert found.text.startswith("not measured: ")


def test_the_offenders_are_named_with_their_excess(home: CheckContext) -> None:
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
    context = context_of(home, *(criterion(name, state) for name, state in states.items()))
    evaluations = evaluate_comparison(context, has_criteria=True)
    home.settings.alert_outbox.unlink(missing_ok=True)
    recorded = record_alerts(home.settings, evaluations, START_TS, host="desk-1")
    assert [message.subject for message in recorded] == ["compare_summary/no_upsizes"]
    assert (recorded[0].host, recorded[0].run_id) == ("desk-1", "command line")
    assert recorded[0].executor == str(home.settings.home)


def test_the_command_line_records_alerts(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, upsize_share=0.05)
    for command in ("shadow", "compare", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    (row,) = map(msgspec.json.decode, settings.alert_outbox.read_bytes().splitlines())
    assert (row["kind"], row["subject"]) == ("begins", "compare_summary/no_upsizes")
    assert row["excess_usd"] > 0 and len(row["orders"]) == 5
