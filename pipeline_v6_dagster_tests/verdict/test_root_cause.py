"""Why a decision and an order differ."""

import pytest

from pipeline_v6_dagster.domain.comparison import LiveOutcome, MismatchKind, RootCause
from pipeline_v6_dagster.verdict.root_cause import root_cause_of
from pipeline_v6_dagster_tests.live_builders import denied, diff

VETOED = MismatchKind.SHADOW_VETOED_LIVE_EXECUTED


@pytest.mark.parametrize("kind", [MismatchKind.MATCH, MismatchKind.MATCH_VETO])
def test_agreement_has_no_cause(kind: MismatchKind) -> None:
    assert root_cause_of(diff(mismatch_kind=kind)) is None


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (LiveOutcome.VETOED, RootCause.LIVE_VETO),
        (LiveOutcome.ERROR, RootCause.LIVE_ERROR),
        (LiveOutcome.UNRESOLVED, RootCause.UNRESOLVED),
    ],
)
def test_an_absent_order_has_the_cause_of_its_outcome(outcome: LiveOutcome, cause: RootCause) -> None:
    absent = diff(mismatch_kind=MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT, live_outcome=outcome)
    assert root_cause_of(absent) is cause


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        (("symbol_cap",), RootCause.SHADOW_RULE),
        (("nav_stale",), RootCause.NAV_STALE),
        (("nav_stale", "symbol_cap"), RootCause.SHADOW_RULE),
    ],
)
def test_an_order_that_v6_denied_was_denied_by_a_rule_or_for_want_of_nav(
    reasons: tuple[str, ...], cause: RootCause
) -> None:
    assert root_cause_of(diff(mismatch_kind=VETOED, shadow=denied(reasons=reasons))) is cause


def test_an_order_without_a_decision_has_none_to_explain_it() -> None:
    assert root_cause_of(diff(mismatch_kind=MismatchKind.LIVE_ONLY)) is RootCause.NO_DECISION


def test_an_upsize_that_both_sides_allowed_is_unexplained() -> None:
    assert root_cause_of(diff(is_upsize=True)) is RootCause.UNEXPLAINED
