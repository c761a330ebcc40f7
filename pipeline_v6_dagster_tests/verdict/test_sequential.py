"""The sequential test: its bounds, what restarts it, and how often it is wrong."""

from dataclasses import replace
from math import ceil, log

import numpy as np
import pytest

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MismatchKind
from pipeline_v6_dagster.domain.verdict import SequentialOutcome, SequentialPlan, SequentialState
from pipeline_v6_dagster.verdict.sequential import SequentialTest, is_evidence
from pipeline_v6_dagster_tests.live_builders import decision, diff

PLAN = SequentialPlan(acceptable_ratio=0.005, unacceptable_ratio=0.02, false_fail_ratio=0.05, false_pass_ratio=0.05)
CLEAN_FOR_A_PASS = ceil(log(0.05) / log(0.98 / 0.995))
HORIZON = 2000

MATCH = diff(0)
MISMATCH = diff(0, mismatch_kind=MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT, veto_mismatch=True)


def of_config(config_hash: str, at: float, *, is_mismatch: bool = False) -> Diff:
    found = diff(at, shadow=decision(at, config_hash=config_hash))
    return replace(found, veto_mismatch=is_mismatch)


def run(*diffs: Diff, plan: SequentialPlan = PLAN) -> SequentialTest:
    test = SequentialTest(plan, SequentialState())
    for found in diffs:
        test.add(found)
    return test


class TestBounds:
    def test_a_pass_needs_198_clean_decisions(self) -> None:
        assert CLEAN_FOR_A_PASS == 198
        assert run(*[MATCH] * 197).outcome is SequentialOutcome.UNDECIDED
        assert run(*[MATCH] * 198).outcome is SequentialOutcome.ACCEPTED

    def test_it_says_how_many_more_are_needed(self) -> None:
        assert run().report().clean_decisions_needed == 198
        assert run(*[MATCH] * 190).report().clean_decisions_needed == 8
        late = run(*[MATCH] * 50, MISMATCH)
        needed = late.report().clean_decisions_needed
        for _ in range(needed - 1):
            late.add(MATCH)
        assert late.outcome is SequentialOutcome.UNDECIDED
        late.add(MATCH)
        assert late.outcome is SequentialOutcome.ACCEPTED
        assert late.report().clean_decisions_needed == 0

    def test_three_mismatches_at_once_fail_two_do_not(self) -> None:
        assert run(*[MISMATCH] * 2).outcome is SequentialOutcome.UNDECIDED
        assert run(*[MISMATCH] * 3).outcome is SequentialOutcome.REJECTED

    def test_after_a_pass_one_mismatch_does_not_take_it_back_three_do_and_five_fail(self) -> None:
        for past in (198, 100_000):
            test = run()
            for _ in range(past):
                test.add(MATCH)
            outcomes = []
            for _ in range(5):
                test.add(MISMATCH)
                outcomes.append(test.outcome)
            assert outcomes == [
                SequentialOutcome.ACCEPTED,
                SequentialOutcome.ACCEPTED,
                SequentialOutcome.UNDECIDED,
                SequentialOutcome.UNDECIDED,
                SequentialOutcome.REJECTED,
            ]

    def test_the_report_has_the_exact_interval(self) -> None:
        report = run(*[MATCH] * 199, MISMATCH).report()
        assert (report.decisions, report.mismatches, report.mismatch_pct) == (200, 1, 0.5)
        assert report.interval_95_pct == pytest.approx((0.01266, 2.7538), abs=1e-3)
        assert run().report().interval_95_pct is None


class TestEvidence:
    def test_that_nobody_knows_what_live_did_never_speaks_for_v6(self) -> None:
        unknown = replace(MATCH, mismatch_kind=MismatchKind.MATCH_VETO, live_outcome=LiveOutcome.UNRESOLVED)
        assert not is_evidence(unknown)
        assert is_evidence(replace(MISMATCH, live_outcome=LiveOutcome.UNRESOLVED))
        assert run(*[unknown] * 500).outcome is SequentialOutcome.UNDECIDED

    def test_orders_that_nobody_explains_and_ignored_decisions_do_not_count(self) -> None:
        assert not is_evidence(replace(MATCH, decision_id=None, veto_mismatch=None))
        assert not is_evidence(replace(MISMATCH, ignored_by="rule"))

    def test_a_new_configuration_starts_anew(self) -> None:
        test = run(*[of_config("a", at) for at in range(300)])
        assert test.outcome is SequentialOutcome.ACCEPTED
        test.add(of_config("b", 300))
        assert (test.outcome, test.state.decisions, test.state.config_hash) == (SequentialOutcome.UNDECIDED, 1, "b")

    def test_a_late_decision_of_the_configuration_before_changes_nothing(self) -> None:
        test = run(of_config("a", 0), of_config("b", 10), of_config("a", 5, is_mismatch=True), of_config("b", 11))
        assert (test.state.decisions, test.state.mismatches, test.state.config_hash) == (2, 0, "b")

    def test_a_revision_takes_back_what_was_counted(self) -> None:
        test = run(*[MATCH] * 10, MISMATCH)
        test.revise(MISMATCH, MATCH)
        clean = run(*[MATCH] * 11)
        assert (test.state.decisions, test.state.mismatches) == (11, 0)
        assert test.state.log_ratio == pytest.approx(clean.state.log_ratio)

    def test_a_revision_tells_what_was_not_known(self) -> None:
        unknown = replace(MATCH, mismatch_kind=MismatchKind.MATCH_VETO, live_outcome=LiveOutcome.UNRESOLVED)
        test = run(MATCH, unknown)
        test.revise(unknown, MATCH)
        assert test.state.decisions == 2

    def test_a_revision_of_another_configuration_changes_nothing(self) -> None:
        test = run(of_config("a", 0, is_mismatch=True), of_config("b", 10))
        before = replace(test.state)
        test.revise(of_config("a", 0, is_mismatch=True), of_config("a", 0))
        assert test.state == before

    def test_a_test_of_the_same_state_goes_on(self) -> None:
        first = run(*[MATCH] * 100)
        second = SequentialTest(PLAN, first.state)
        for _ in range(98):
            second.add(MATCH)
        assert second.outcome is SequentialOutcome.ACCEPTED


def ever(rate: float, plan: SequentialPlan, seed: int, runs: int = 400) -> tuple[float, float]:
    """(share of runs that ever pass, that ever fail), looked at after each of 2,000 decisions."""
    hits = np.random.default_rng(seed).random((runs, HORIZON)) < rate
    passed = failed = 0
    for row in hits.tolist():
        test = SequentialTest(plan, SequentialState())
        seen = set()
        for is_hit in row:
            test.add(MISMATCH if is_hit else MATCH)
            seen.add(test.outcome)
        passed += SequentialOutcome.ACCEPTED in seen
        failed += SequentialOutcome.REJECTED in seen
    return passed / runs, failed / runs


def sampling_error(rate: float, runs: int = 400) -> float:
    return float(np.sqrt(rate * (1 - rate) / runs))


def share_that_ever_passes(rate: float, plan: SequentialPlan) -> float:
    """Exactly, by the distribution of the number of mismatches among the runs that have not passed yet."""
    mismatch_step = log(plan.unacceptable_ratio / plan.acceptable_ratio)
    clean_step = log((1 - plan.unacceptable_ratio) / (1 - plan.acceptable_ratio))
    counts = np.arange(HORIZON + 1)
    undecided = np.zeros(HORIZON + 1)
    undecided[0] = 1.0
    passed = 0.0
    for number in range(1, HORIZON + 1):
        undecided = (1 - rate) * undecided + rate * np.concatenate(([0.0], undecided[:-1]))
        has_passed = counts * mismatch_step + (number - counts) * clean_step <= log(plan.false_pass_ratio)
        passed += undecided[has_passed].sum()
        undecided[has_passed] = 0.0
    return passed


class TestErrorRates:
    @pytest.mark.parametrize(
        "plan",
        [
            PLAN,
            SequentialPlan(
                acceptable_ratio=0.005, unacceptable_ratio=0.02, false_fail_ratio=0.01, false_pass_ratio=0.01
            ),
            SequentialPlan(acceptable_ratio=0.01, unacceptable_ratio=0.05, false_fail_ratio=0.1, false_pass_ratio=0.1),
        ],
    )
    @pytest.mark.parametrize("times", [1.0, 1.5, 3.0])
    def test_an_unacceptable_rate_is_passed_no_oftener_than_promised_however_often_one_looks(
        self, plan: SequentialPlan, times: float
    ) -> None:
        assert share_that_ever_passes(times * plan.unacceptable_ratio, plan) <= plan.false_pass_ratio

    def test_at_two_percent_at_most_five_in_a_hundred_runs_ever_pass(self) -> None:
        passed, failed = ever(0.02, PLAN, seed=4)
        exact = share_that_ever_passes(0.02, PLAN)
        assert exact <= PLAN.false_pass_ratio
        # The simulation runs the test itself, so it says that the exact share is of what runs. It is a sample.
        assert passed == pytest.approx(exact, abs=3 * sampling_error(exact))
        assert failed >= 0.95

    def test_at_half_a_percent_at_most_five_in_a_hundred_runs_ever_fail(self) -> None:
        passed, failed = ever(0.005, PLAN, seed=5)
        assert failed <= PLAN.false_fail_ratio + 3 * sampling_error(PLAN.false_fail_ratio)
        assert passed >= 0.95

    def test_what_never_disagrees_always_passes(self) -> None:
        assert ever(0.0, PLAN, seed=6, runs=20) == (1.0, 0.0)
