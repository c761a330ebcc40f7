"""Every rule of the table: within, at and beyond its limit, as ratio and percent, reduce-only, and on unknown input.

A rule that the table gains is missing in `CASES`, and fails.
"""

import pytest

from pipeline_v6_dagster.shadow.rules import RULES, Cap, Gate
from pipeline_v6_dagster_tests.shadow.cap_cases import CAP_CASES
from pipeline_v6_dagster_tests.shadow.gate_cases import GATE_CASES
from pipeline_v6_dagster_tests.shadow.rule_case import Case

CASES = GATE_CASES | CAP_CASES


def name_of(rule: Gate | Cap) -> str:
    return (rule.check if isinstance(rule, Gate) else rule.measure).__name__


EACH_CASE = pytest.mark.parametrize(
    ("rule", "case"),
    [
        pytest.param(rule, case, id=f"{name_of(rule)}-{number}")
        for rule in RULES
        for number, case in enumerate(CASES.get(name_of(rule), ()))
    ],
)


def test_every_rule_of_the_table_has_cases() -> None:
    assert sorted(CASES) == sorted(map(name_of, RULES))


@EACH_CASE
def test_a_rule_passes_up_to_its_limit_and_denies_beyond_it(rule: Gate | Cap, case: Case) -> None:
    for value in case.passing:
        for decision in case.decide({case.measured: value}):
            assert decision.allowed, (value, decision.reasons)
    for value in case.denied:
        for decision in case.decide({case.measured: value}):
            assert rule.reason in decision.reasons, value


@EACH_CASE
def test_a_reduce_only_order_is_denied_by_the_rules_that_say_so(rule: Gate | Cap, case: Case) -> None:
    is_denied = rule.applies_to_reduce_only if case.is_denied_reducing is None else case.is_denied_reducing
    for value in case.denied:
        for decision in case.decide({case.measured: value}, is_reduce_only=True):
            assert decision.allowed is not is_denied, (value, decision.reasons)
            assert (rule.reason in decision.reasons) is is_denied, value
    for value in case.passing:
        assert all(decision.allowed for decision in case.decide({case.measured: value}, is_reduce_only=True)), value


@EACH_CASE
def test_what_is_not_known_denies_unless_the_table_says_that_it_passes(rule: Gate | Cap, case: Case) -> None:
    passing = {case.measured: case.passing[-1]}
    for name, values in case.unknown.items():
        for value in values:
            for decision in case.decide(passing | {name: value}):
                assert rule.reason in decision.reasons, (name, value)
                assert decision.clamped_qty == 0
    for name, values in case.unknown_passes.items():
        for value in values:
            assert all(decision.allowed for decision in case.decide(passing | {name: value})), (name, value)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=name_of(rule)) for rule in RULES])
def test_the_cases_cover_what_the_table_says_of_a_rule(rule: Gate | Cap) -> None:
    cases = CASES[name_of(rule)]
    if "denies" in rule.when_unknown:
        assert any(case.unknown for case in cases)
    if any(key.endswith("_pct") for key in rule.limit_keys):
        assert any(len(case.configured) > 1 for case in cases)  # fraction and percent
