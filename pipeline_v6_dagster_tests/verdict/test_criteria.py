"""The table of criteria: each breaks by its fault alone, and what was not measured never reads as agreement."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MatchMethod, MismatchKind, ReduceLabel
from pipeline_v6_dagster.domain.live import Leg
from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.verdict.criteria import ASKED_NOW, CRITERIA, evaluate_all
from pipeline_v6_dagster.verdict.decide import Decision, decide
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts, IgnoreRuleFacts, InputFacts
from pipeline_v6_dagster.verdict.policy import DAY_S, VerdictPolicy
from pipeline_v6_dagster.verdict.sufficiency import covered_symbols
from pipeline_v6_dagster_tests.live_builders import T0, decision, denied, live
from pipeline_v6_dagster_tests.verdict.evidence_builders import (
    DECISIONS,
    EVERY_S,
    POLICY,
    absent,
    collect_evidence,
    desk,
    live_only,
    make_facts,
    settled,
    unresolved,
    with_label,
)

ORDER = (
    "same_side same_symbol same_position_side no_upsizes no_overfills v6_not_larger reduce_only_honest "
    "orders_explained within_rollout "
    "logs_intact inputs_whole inputs_usable inputs_fresh one_executor limits_understood "
    "epoch_is_current gates_alive coverage fills little_ignored decisions_agree still_agrees every_slice_agrees "
    "sizes_agree slippage_as_expected orders_prompt routes_agree exposure_added long_enough orders_enough "
    "symbols_covered"
).split()

LABELLED = (with_label(1, ReduceLabel.HONEST),)


def read_criteria(diffs: list[Diff], policy: VerdictPolicy = POLICY, **changes: Any) -> dict[str, Criterion]:
    evidence = collect_evidence(diffs)
    found = evaluate_all(evidence, make_facts(diffs, evidence, **changes), policy)
    return {one.name: one for one in found}


def decide_verdict(criteria: dict[str, Criterion], sample_size: int = 500, is_warmup: bool = False) -> Decision:
    return decide(tuple(criteria.values()), sample_size, is_warmup, ("BTCUSDT",), ())


def broken(criteria: dict[str, Criterion]) -> set[str]:
    return {name for name, one in criteria.items() if one.state is CriterionState.BROKEN}


CLEAN = desk(*LABELLED)


class TestTable:
    def test_it_is_the_contracts_in_its_order(self) -> None:
        assert [entry.name for entry in CRITERIA] == ORDER
        assert set(ORDER) >= ASKED_NOW

    def test_groups_stand_in_the_order_in_which_they_decide(self) -> None:
        groups = [list(CriterionGroup).index(entry.group) for entry in CRITERIA]
        assert groups == sorted(groups)

    @pytest.mark.parametrize("entry", CRITERIA, ids=ORDER)
    def test_every_entry_says_when_it_passes_and_what_to_do(self, entry: Any) -> None:
        assert entry.passes_when.startswith("Passes when ")
        assert entry.passes_when.endswith(".")
        assert entry.to_do.endswith(".")
        assert entry.unit


class TestClean:
    def test_a_clean_desk_passes(self) -> None:
        criteria = read_criteria(CLEAN)
        assert list(criteria) == ORDER
        assert {one.state for one in criteria.values()} == {CriterionState.HOLDS}
        assert decide_verdict(criteria).verdict is Verdict.PASS
        assert decide_verdict(criteria).passed_symbols == ("BTCUSDT",)

    def test_what_depends_on_now_takes_part_only_where_it_is_asked_for(self) -> None:
        evidence = collect_evidence(CLEAN)
        facts = replace(make_facts(CLEAN, evidence), now=None)
        assert [one.name for one in evaluate_all(evidence, facts, POLICY)] == [
            name for name in ORDER if name not in ASKED_NOW
        ]

    def test_without_labels_reduce_only_is_unmeasured_and_stands_in_nobodys_way(self) -> None:
        criteria = read_criteria(desk())
        assert criteria["reduce_only_honest"].state is CriterionState.UNMEASURED
        assert decide_verdict(criteria).verdict is Verdict.PASS

    def test_of_nothing_nothing_holds_that_is_about_decisions(self) -> None:
        found = evaluate_all(EpochEvidence(), Facts(), POLICY)
        assert {one.state for one in found} <= {CriterionState.UNMEASURED, CriterionState.NOT_YET}
        assert decide(found, 0, True).verdict is Verdict.NO_DATA
        assert decide((), 500, False).verdict is Verdict.INCONCLUSIVE


def other_side(number: int) -> Diff:
    found = settled(number)
    assert found.live is not None
    found.live.side = Side.SELL if found.side is Side.BUY else Side.BUY
    return found


def partly_filled(number: int) -> Diff:
    return settled(number, live=live(executed_qty=1.0, requested_qty=1.0, gross_usd=500.0))


def executed_at(price: float, fees_usd: float | None = None, arrival_price: float | None = 100.0) -> Diff:
    """An order of 5 units for which the attempt's price was 100."""
    leg = Leg(order_id="1", is_reduce_only=False, first_ts=T0, last_ts=T0)
    leg.executed_qty, leg.avg_price, leg.fees_usd = 5.0, price, fees_usd
    found = settled(100)
    assert found.live is not None
    found.live.legs, found.live.arrival_price = (leg,), arrival_price
    return found


def ignored(number: int) -> Diff:
    return settled(number, ignored_by="known")


def by_time(number: int) -> Diff:
    return settled(number, match_method=MatchMethod.TIME)


def vetoed_by_both(number: int) -> Diff:
    return settled(
        number,
        shadow=denied(number * EVERY_S, str(number), nav_usd=1.0 + number % 5),
        live_outcome=LiveOutcome.VETOED,
        mismatch_kind=MismatchKind.MATCH_VETO,
        live=live(reason="bucket_cap"),
    )


def downsized_route(number: int) -> Diff:
    shadow = decision(number * EVERY_S, str(number), nav_usd=1.0, sized_gross_usd=1000.0)
    return settled(number, shadow=shadow)


def every(step: int, kind: Callable[[int], Diff], start: int = 0) -> list[Diff]:
    return [kind(number) for number in range(start, DECISIONS, step)]


FAULTS: dict[str, tuple[str, list[Diff]]] = {
    "side": ("same_side", [other_side(100)]),
    "side by kind": ("same_side", [settled(100, mismatch_kind=MismatchKind.OPPOSITE_SIDE, veto_mismatch=True)]),
    "symbol": ("same_symbol", [settled(100, mismatch_kind=MismatchKind.WRONG_SYMBOL, veto_mismatch=True)]),
    "position side": ("same_position_side", [settled(100, is_position_side_wrong=True)]),
    "upsize": ("no_upsizes", [settled(100, is_upsize=True)]),
    "overfill": ("no_overfills", [settled(100, is_overfill=True)]),
    "downsize": ("v6_not_larger", [settled(100, is_downsize=True)]),
    "label": ("reduce_only_honest", [with_label(100, ReduceLabel.EXCEEDED)]),
    "rogue": ("orders_explained", [live_only(100)]),
    "v6 unasked": ("within_rollout", [settled(100, outside_rollout="v6 was off")]),
    "liquidations": ("orders_explained", [live_only(number, is_reducing=True) for number in range(60)]),
    "stuck": ("gates_alive", [vetoed_by_both(number) for number in range(DECISIONS - 200, DECISIONS)]),
    "dead NAV": (
        "gates_alive",
        [settled(n, shadow=decision(n * EVERY_S, str(n), nav_usd=1.0)) for n in range(DECISIONS - 200, DECISIONS)],
    ),
    "unknown outcomes": ("coverage", every(15, unresolved)),
    "by time": ("coverage", [by_time(number) for number in range(DECISIONS * 2 // 3)]),
    "no sizes": ("coverage", every(15, lambda number: settled(number, is_upsize=None, sizing_diff_pct=None))),
    "poor fills": ("fills", [partly_filled(number) for number in range(DECISIONS * 3 // 4)]),
    "ignored": ("little_ignored", every(50, ignored)),
    "mismatches": ("decisions_agree", every(5, absent)),
    "of late": ("still_agrees", [absent(number) for number in range(DECISIONS - 30, DECISIONS)]),
    "one symbol": ("every_slice_agrees", every(8, absent, 1)),
    "sizes": ("sizes_agree", every(6, lambda number: settled(number, sizing_diff_pct=-0.2))),
    "sizes are NaN": ("sizes_agree", every(6, lambda number: settled(number, sizing_diff_pct=float("nan")))),
    "slippage": ("slippage_as_expected", every(12, lambda number: settled(number, slippage_diff_bps=-40.0))),
    "late": ("orders_prompt", every(12, lambda number: settled(number, match_dt_s=400.0))),
    "exposure": ("exposure_added", every(30, downsized_route)),
}


class TestFaults:
    @pytest.mark.parametrize(("criterion", "faults"), FAULTS.values(), ids=FAULTS)
    def test_each_breaks_its_criterion_and_keeps_the_verdict_from_passing(
        self, criterion: str, faults: list[Diff]
    ) -> None:
        criteria = read_criteria(desk(*LABELLED, *faults))
        assert criterion in broken(criteria)
        assert criteria[criterion].description
        assert decide_verdict(criteria).verdict is not Verdict.PASS
        if criteria[criterion].group is CriterionGroup.CRITICAL:
            assert decide_verdict(criteria).verdict is Verdict.FAIL
            ids = criteria[criterion].failing_ids
            assert ids or criterion == "orders_explained"

    def test_an_order_that_repeats_a_vetoed_decision_is_explained(self) -> None:
        assert not broken(read_criteria(desk(*LABELLED, live_only(5, retries="d4"))))

    def test_an_order_that_a_rule_names_is_explained(self) -> None:
        assert not broken(read_criteria(desk(*LABELLED, live_only(5, ignored_by="known"))))

    def test_a_single_bad_order_fails_however_long_ago(self) -> None:
        assert decide_verdict(read_criteria(desk(*LABELLED, settled(0, is_upsize=True)))).verdict is Verdict.FAIL

    def test_a_mismatch_rate_near_the_limit_is_not_decided(self) -> None:
        criteria = read_criteria(desk(*LABELLED, *every(25, absent)))
        assert criteria["decisions_agree"].state is CriterionState.NOT_YET

    def test_routes_decide_only_where_a_limit_is_set(self) -> None:
        diffs = desk(*LABELLED, *every(3, lambda number: settled(number, route_mismatch=True)))
        assert decide_verdict(read_criteria(diffs)).verdict is Verdict.PASS
        limited = read_criteria(diffs, replace(POLICY, max_route_mismatch_ratio=0.1))
        assert broken(limited) == {"routes_agree"}

    def test_absurd_sizes_swamp_no_sum(self) -> None:
        huge = settled(9, live=live(executed_qty=1e300, requested_qty=1e300, gross_usd=1e300))
        diffs = desk(*LABELLED, huge, *[partly_filled(number) for number in range(10, DECISIONS)])
        assert "fills" in broken(read_criteria(diffs))


class TestFacts:
    @pytest.mark.parametrize(
        ("criterion", "changes"),
        [
            ("logs_intact", {"chain_problems": ("line 5 was changed",)}),
            ("logs_intact", {"is_summary_in_log": False}),
            ("inputs_whole", {"inputs": (InputFacts(name="a", lines=1, recent_malformed_ratio=0.0, lost_bytes=1),)}),
            ("inputs_whole", {"inputs": (InputFacts(name="a", is_replaced=True),)}),
            ("inputs_whole", {"inputs": (InputFacts(name="a", unreadable_rotations=("a.1",)),)}),
            ("inputs_usable", {"inputs": (InputFacts(name="a", lines=1, recent_malformed_ratio=0.02),)}),
            (
                "inputs_usable",
                {"inputs": (InputFacts(name="a", lines=1, recent_malformed_ratio=0.0, dropped_order_rows=1),)},
            ),
            ("inputs_fresh", {"newest_row_ts": {"a": T0 - 1e6}}),
            ("inputs_fresh", {"newest_row_ts": {"a": T0 + 1e9}}),
            ("inputs_fresh", {"newest_row_ts": {"a": None}}),
            ("one_executor", {"twice_acked_ids": ("7",)}),
            ("one_executor", {"returns_per_hour": 21}),
            ("limits_understood", {"unread_keys": ("max_leverge",)}),
            ("epoch_is_current", {"identity": "b" * 16}),
            ("little_ignored", {"ignore_rules": (IgnoreRuleFacts(name="long", expires_ts=T0 + 200 * DAY_S),)}),
            ("little_ignored", {"ignore_rules": (IgnoreRuleFacts(name="long", expires_ts=float("nan")),)}),
        ],
    )
    def test_bad_evidence_is_inconclusive(self, criterion: str, changes: dict[str, Any]) -> None:
        criteria = read_criteria(CLEAN, **changes)
        assert criterion in broken(criteria)
        assert decide_verdict(criteria).verdict is Verdict.INCONCLUSIVE
        assert criterion in decide_verdict(criteria).failed_criteria

    @pytest.mark.parametrize(
        "diff",
        [
            executed_at(200.0),
            executed_at(85.0),
            executed_at(115.0, arrival_price=None),
            executed_at(1e300),
            executed_at(100.0, fees_usd=250.0),
            executed_at(100.0, fees_usd=-6.0),
            executed_at(100.0, fees_usd=float("nan")),
        ],
    )
    def test_one_order_at_a_price_or_with_a_fee_that_cannot_be_right_is_inconclusive(self, diff: Diff) -> None:
        criteria = read_criteria(desk(*LABELLED, diff))
        assert broken(criteria) == {"inputs_usable"}
        assert criteria["inputs_usable"].failing_ids == ("d100",)
        assert decide_verdict(criteria).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(
        "diff",
        [
            executed_at(109.0),
            executed_at(100.0, fees_usd=5.0),
            executed_at(100.0, fees_usd=-5.0),
            executed_at(150.0, arrival_price=150.0),  # The market had moved since the attempt took its price.
        ],
    )
    def test_a_price_near_the_market_and_a_usual_fee_hold(self, diff: Diff) -> None:
        assert not broken(read_criteria(desk(*LABELLED, diff)))

    def test_a_revision_takes_an_implausible_price_back(self) -> None:
        diffs = desk(*LABELLED, executed_at(200.0))
        evidence = collect_evidence(diffs)
        evidence.revise(diffs[100], settled(100))
        assert evidence.failing_orders["inputs_usable"].count == 0

    @pytest.mark.parametrize(
        ("criterion", "changes"),
        [
            ("logs_intact", {"is_summary_in_log": None}),
            ("inputs_whole", {"inputs": ()}),
            ("inputs_usable", {"inputs": (InputFacts(name="a", lines=1, recent_malformed_ratio=float("nan")),)}),
            ("inputs_fresh", {"newest_row_ts": {}}),
            ("one_executor", {"returns_per_hour": None}),
            ("limits_understood", {"unread_keys": None}),
            ("epoch_is_current", {"identity": None}),
        ],
    )
    def test_what_is_not_known_is_unmeasured(self, criterion: str, changes: dict[str, Any]) -> None:
        criteria = read_criteria(CLEAN, **changes)
        if "identity" not in changes:
            assert not broken(criteria)
        assert criteria[criterion].state is CriterionState.UNMEASURED
        assert decide_verdict(criteria).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("unread", [(), ("max_leverge",)])
    def test_limits_that_live_applied_otherwise_are_said_and_change_no_state(self, unread: tuple[str, ...]) -> None:
        live = tuple(f"live applied limit_{number} = 2, the configuration says 3" for number in range(7))
        without = read_criteria(CLEAN, unread_keys=unread)["limits_understood"]
        found = read_criteria(CLEAN, unread_keys=unread, live_limits=live)["limits_understood"]
        assert found.state is without.state
        assert found.description == f"{without.description}; but {'; '.join(live[:5])}; 2 more in pipeline-v6 doctor"
        assert found.measured == f"{without.measured}, 7 differing limits of live"

    def test_the_order_of_groups_decides(self) -> None:
        diffs = desk(*LABELLED, *every(5, absent))
        assert decide_verdict(read_criteria(diffs)).verdict is Verdict.FAIL
        assert decide_verdict(read_criteria(diffs, returns_per_hour=99)).verdict is Verdict.INCONCLUSIVE
        worst = desk(*LABELLED, *every(5, absent, 1), settled(5, is_upsize=True))
        assert decide_verdict(read_criteria(worst, returns_per_hour=99)).verdict is Verdict.FAIL

    def test_warmup_never_passes_and_no_sample_is_no_data(self) -> None:
        criteria = read_criteria(CLEAN)
        assert decide_verdict(criteria, is_warmup=True).verdict is Verdict.INCONCLUSIVE
        assert decide_verdict(criteria, sample_size=0).verdict is Verdict.NO_DATA


class TestSufficiency:
    def test_a_young_epoch_with_few_orders_waits(self) -> None:
        criteria = read_criteria([settled(number) for number in range(150)])
        waiting = {"long_enough", "orders_enough", "decisions_agree", "sizes_agree"}
        assert {name for name, one in criteria.items() if one.state is CriterionState.NOT_YET} == waiting
        assert decide_verdict(criteria).verdict is Verdict.INCONCLUSIVE

    def test_two_bursts_two_weeks_apart_are_not_two_weeks(self) -> None:
        early = [settled(number, ts=T0 + number) for number in range(2000)]
        late = [settled(number, ts=T0 + 20 * DAY_S + number) for number in range(2000, DECISIONS)]
        assert read_criteria([*early, *late])["long_enough"].state is CriterionState.NOT_YET

    def test_each_symbol_in_scope_needs_orders_of_its_own(self) -> None:
        policy = replace(POLICY, symbols=("BTCUSDT", "SOLUSDT"))
        assert read_criteria(CLEAN, policy)["symbols_covered"].state is CriterionState.NOT_YET
        assert covered_symbols(collect_evidence(CLEAN), policy) == (("BTCUSDT",), ("SOLUSDT",))
        assert covered_symbols(collect_evidence(CLEAN), POLICY) == (("BTCUSDT", "ETHUSDT"), ())
