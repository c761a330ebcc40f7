"""When a decision is compared, and with what. Tolerance 900 s, lead 2 s, grace 5 s, times in seconds after T0."""

from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.compare.open_state import OpenState
from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder, UnmatchedRow
from pipeline_v6_dagster.compare.settlement import OutcomeMatcher
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import LiveOutcome, MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import EventKind, OrderEvent, OrderStatus, Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow
from pipeline_v6_dagster_tests.live_builders import (
    SYMBOL,
    T0,
    TOLERANCE_S,
    ack,
    decision,
    error,
    fill,
    flat,
    policy,
    veto,
)

PARTLY = OrderStatus.PARTIALLY_FILLED
CANCELED = OrderStatus.CANCELED
REJECTED = OrderStatus.REJECTED

Record = ShadowSide | OrderEvent | Veto


def read_time(record: Record) -> float:
    return record.as_of if isinstance(record, ShadowSide) else record.ts


Result = Settled | UnmatchedOrder | UnmatchedRow


def feed(matcher: OutcomeMatcher, records: list[Record], until: float | None = None) -> list[Result]:
    """What is settled while the records come in, and (with `until`) after them."""
    out: list[Result] = []
    for record in records:
        out += matcher.settle(read_time(record))
        if isinstance(record, ShadowSide):
            matcher.add_decision(record)
        elif isinstance(record, Veto):
            matcher.add_veto(record)
        else:
            matcher.add_event(record)
    if until is not None:
        out += matcher.settle(T0 + until)
    return out


def settle(*records: Record, until: float | None = None, owned: tuple[str, ...] = ()) -> list[Result]:
    """`owned` are the intents of decisions that were settled in an earlier run."""
    matcher = OutcomeMatcher(policy(), OpenState(), lambda intent_id, _attempt_id, _ts: intent_id in owned)
    return feed(matcher, list(records), until)


def only(results: list[Result]) -> Settled:
    (result,) = results
    assert isinstance(result, Settled)
    return result


class TestOutcomes:
    def test_an_order_that_was_filled_is_executed(self) -> None:
        result = only(settle(decision(), ack(1), fill(2), until=3))
        assert (result.outcome, result.method, result.reason) == (LiveOutcome.EXECUTED, MatchMethod.INTENT_ID, None)
        assert result.order is not None

    def test_an_order_that_was_only_accepted_is_executed_at_the_deadline(self) -> None:
        assert settle(decision(), ack(1), until=TOLERANCE_S) == []
        assert only(settle(decision(), ack(1), until=TOLERANCE_S + 1)).outcome is LiveOutcome.EXECUTED

    def test_an_order_that_was_cancelled_without_a_fill_is_executed_after_the_grace(self) -> None:
        records = (decision(), ack(1), ack(2, status=CANCELED))
        assert settle(*records, until=7) == []
        assert only(settle(*records, until=7.1)).outcome is LiveOutcome.EXECUTED

    def test_a_veto_is_final_at_once_and_gives_its_reason(self) -> None:
        result = only(settle(decision(), veto(1), until=1.1))
        assert (result.outcome, result.reason, result.order) == (LiveOutcome.VETOED, "bucket_cap", None)
        assert result.method is MatchMethod.INTENT_ID

    def test_an_error_is_final_after_the_grace(self) -> None:
        assert settle(decision(), error(1), until=6) == []
        result = only(settle(decision(), error(1), until=6.1))
        assert (result.outcome, result.reason) == (LiveOutcome.ERROR, "BinanceAPIException")

    def test_an_order_that_the_exchange_refused_is_an_error(self) -> None:
        result = only(settle(decision(), ack(1, status=REJECTED), until=7))
        assert (result.outcome, result.reason) == (LiveOutcome.ERROR, "REJECTED")

    def test_an_error_that_a_second_try_mended_is_executed(self) -> None:
        assert only(settle(decision(), error(1), ack(4), fill(5), until=6.1)).outcome is LiveOutcome.EXECUTED

    def test_an_order_that_a_second_try_placed_after_a_refusal_is_executed(self) -> None:
        result = only(
            settle(decision(), ack(1, status=REJECTED), ack(3, order_id="2"), fill(4, order_id="2"), until=6.1)
        )
        assert result.outcome is LiveOutcome.EXECUTED

    def test_an_order_wins_over_a_veto(self) -> None:
        assert only(settle(decision(), ack(0), veto(0), fill(1), until=2)).outcome is LiveOutcome.EXECUTED

    def test_nothing_is_unresolved_at_the_deadline_and_not_before(self) -> None:
        assert settle(decision(), until=TOLERANCE_S) == []
        result = only(settle(decision(), until=TOLERANCE_S + 0.1))
        assert (result.outcome, result.method) == (LiveOutcome.UNRESOLVED, None)

    def test_a_flat_row_is_an_order(self) -> None:
        result = only(settle(decision(), flat(1), until=2))
        assert result.outcome is LiveOutcome.EXECUTED

    def test_what_is_logged_at_the_deadline_itself_is_in_time(self) -> None:
        result = only(settle(decision(), ack(TOLERANCE_S), until=TOLERANCE_S + 1))
        assert result.outcome is LiveOutcome.EXECUTED

    def test_rows_of_one_instant_are_seen_together(self) -> None:
        reduce = {"order_id": "7", "is_reduce_only": True, "attempt_id": "sig_1_reduce"}
        records = (decision(), ack(1), fill(1), ack(1, **reduce), fill(1, **reduce))
        result = only(settle(*records, until=6.1))
        assert result.order is not None
        assert len(result.order.legs) == 2


class TestLegs:
    reduce = (
        ack(1, attempt_id="sig_1_reduce", order_id="7", is_reduce_only=True),
        fill(2, attempt_id="sig_1_reduce", order_id="7", is_reduce_only=True),
    )

    def test_a_flip_is_not_final_with_its_reduce_leg_alone(self) -> None:
        assert settle(decision(), *self.reduce, until=TOLERANCE_S) == []
        assert only(settle(decision(), *self.reduce, until=TOLERANCE_S + 1)).outcome is LiveOutcome.EXECUTED

    def test_a_flip_is_final_with_both_legs(self) -> None:
        result = only(settle(decision(), *self.reduce, ack(3, order_id="8"), fill(4, order_id="8"), until=7.1))
        assert result.order is not None
        assert [leg.is_reduce_only for leg in result.order.legs] == [True, False]

    def test_a_flip_is_not_final_while_its_reduce_leg_is_open(self) -> None:
        assert settle(decision(), self.reduce[0], ack(3, order_id="8"), fill(4, order_id="8"), until=100) == []

    def test_the_reduce_leg_is_all_of_an_intent_that_only_reduces(self) -> None:
        assert only(settle(decision(is_reduce_only=True), *self.reduce, until=7.1)).outcome is LiveOutcome.EXECUTED

    def test_a_taker_within_the_grace_of_its_cancelled_maker_is_of_the_same_order(self) -> None:
        maker = (ack(1, order_id="7"), fill(2, order_id="7", qty=2.0, status=CANCELED))
        taker = (ack(7, order_id="8", qty=3.0), fill(8, order_id="8", qty=3.0))
        result = only(settle(decision(), *maker, *taker, until=9))
        assert result.order is not None
        assert [leg.executed_qty for leg in result.order.legs] == [2.0, 3.0]

    def test_order_ids_that_repeat_across_intents_stay_apart(self) -> None:
        records = (decision(0, "1"), decision(0.5, "2"), ack(1, "1"), ack(1, "2", qty=9.0), fill(2, "2", qty=9.0))
        (second, first) = settle(*records, fill(3, "1"), until=4)
        assert isinstance(first, Settled)
        assert isinstance(second, Settled)
        assert (first.decision.decision_id, first.order and first.order.legs[0].executed_qty) == ("d1", 5.0)
        assert (second.decision.decision_id, second.order and second.order.legs[0].executed_qty) == ("d2", 9.0)


class TestDownsize:
    def test_where_live_asked_for_less_the_deadline_is_waited_for(self) -> None:
        records = (decision(), ack(1, qty=2.0), fill(2, qty=2.0))
        assert settle(*records, until=TOLERANCE_S) == []
        more = (ack(100, order_id="2", qty=3.0), fill(101, order_id="2", qty=3.0))
        result = only(settle(*records, *more, until=102))
        assert result.order is not None
        assert len(result.order.legs) == 2

    def test_it_is_decided_at_the_deadline(self) -> None:
        assert only(settle(decision(), ack(1, qty=2.0), fill(2, qty=2.0), until=TOLERANCE_S + 1)).order is not None


class TestErrorAfterAck:
    def test_it_ends_the_order_as_rejected(self) -> None:
        result = only(settle(decision(), ack(1), error(2, order_id="1"), until=8))
        assert (result.outcome, result.reason) == (LiveOutcome.ERROR, "BinanceAPIException")


class TestUsedAgain:
    def test_a_new_ack_of_an_order_that_had_ended_is_another_order(self) -> None:
        records = (decision(), ack(1), fill(2, qty=2.0, status=CANCELED), ack(2.5), fill(3))
        result = only(settle(*records, until=8))
        assert result.order is not None
        assert [leg.executed_qty for leg in result.order.legs] == [2.0, 5.0]

    def test_a_repeated_line_is_none(self) -> None:
        result = only(settle(decision(), ack(1), fill(2), ack(1), fill(2), until=3))
        assert result.order is not None
        assert len(result.order.legs) == 1


class TestAmendments:
    amended = decision(10, "2", amends="ord_1", sized_qty=8.0, sized_gross_usd=800.0, quote_notional=800.0)

    def results(self, *records: Record) -> dict[str, Settled]:
        found = settle(decision(0, "1"), *records, until=5000)
        return {result.decision.decision_id: result for result in found if isinstance(result, Settled)}

    @pytest.mark.parametrize("name", ["1", "2"])
    def test_each_ack_is_held_against_the_newest_amendment_before_it(self, name: str) -> None:
        found = self.results(ack(1, "1"), self.amended, ack(11, name, qty=8.0), fill(12, name, qty=8.0))
        first, second = found["d1"].order, found["d2"].order
        assert first is not None
        assert second is not None
        assert ([leg.requested_qty for leg in first.legs], [leg.requested_qty for leg in second.legs]) == ([5.0], [8.0])
        assert second.legs[0].executed_qty == 8.0
        assert not found["d2"].shares_intent

    def test_an_amendment_that_shares_its_intent_is_no_duplicate(self) -> None:
        made = decision(10, "2", intent_id="ord_1", amends="sig_1", sized_qty=8.0)
        found = self.results(ack(1, "1"), made, ack(11, "2", qty=8.0, intent_id="ord_1"))
        assert {key: one.order and one.order.legs[0].requested_qty for key, one in found.items()} == {
            "d1": 5.0,
            "d2": 8.0,
        }
        assert not any(one.shares_intent for one in found.values())

    def test_what_was_amended_twice_goes_to_the_newest(self) -> None:
        last = decision(20, "3", amends="ord_1", sized_qty=9.0)
        found = self.results(
            ack(1, "1"), self.amended, ack(11, "1", qty=8.0), last, ack(21, "1", qty=9.0), fill(22, "1", qty=9.0)
        )
        requested = {key: one.order and one.order.legs[0].requested_qty for key, one in found.items()}
        assert requested == {"d1": 5.0, "d2": 8.0, "d3": 9.0}

    def test_an_amendment_that_live_did_not_carry_out_leaves_the_order_where_it_was(self) -> None:
        found = self.results(ack(1, "1"), self.amended, fill(12, "1"))
        assert (found["d1"].outcome, found["d2"].outcome) == (LiveOutcome.EXECUTED, LiveOutcome.UNRESOLVED)

    def test_an_order_that_was_settled_before_it_was_amended_goes_to_the_amendment(self) -> None:
        late = decision(2000, "2", amends="ord_1", sized_qty=8.0)
        found = self.results(ack(1, "1"), late, ack(2001, "1", qty=8.0), fill(2002, "1", qty=8.0))
        assert (found["d1"].order is not None, found["d2"].outcome) == (True, LiveOutcome.EXECUTED)


class TestIds:
    def test_the_attempt_pairs_where_the_intent_does_not(self) -> None:
        for order in (ack(1, intent_id=None), ack(1, intent_id="ord_other")):
            result = only(settle(decision(), order, until=TOLERANCE_S + 1))
            assert (result.outcome, result.method) == (LiveOutcome.EXECUTED, MatchMethod.ATTEMPT_ID)

    def test_the_attempt_pairs_also_where_the_order_came_first(self) -> None:
        for order in (ack(-1, intent_id=None), ack(-1, intent_id="ord_other")):
            result = only(settle(order, decision(), until=TOLERANCE_S + 1))
            assert (result.outcome, result.method) == (LiveOutcome.EXECUTED, MatchMethod.ATTEMPT_ID)

    def test_the_intent_wins_over_the_attempt(self) -> None:
        other = decision(0.5, "2", attempt_id="sig_1")
        (first, second) = settle(decision(0, "1"), other, ack(1, "2", attempt_id="sig_9"), fill(2, "1"), until=1000)
        assert isinstance(first, Settled)
        assert isinstance(second, Settled)
        assert (first.decision.decision_id, first.method) == ("d1", MatchMethod.INTENT_ID)
        assert (second.decision.decision_id, second.method) == ("d2", MatchMethod.INTENT_ID)

    def test_of_two_attempts_of_one_intent_the_order_goes_to_its_own(self) -> None:
        first = decision(0, "1")
        second = decision(0.5, "2", intent_id="ord_1")
        results = settle(first, second, ack(1, "1"), fill(2, "1"), until=3)
        assert only(results).decision.decision_id == "d1"

    def test_of_two_attempts_of_one_intent_an_order_that_names_neither_goes_to_the_newer(self) -> None:
        second = decision(0.5, "2", intent_id="ord_1")
        order = (ack(1, attempt_id=None), fill(2, attempt_id=None))
        assert only(settle(decision(0, "1"), second, *order, until=3)).decision.decision_id == "d2"

    def test_of_two_vetoes_the_first_gives_the_reason(self) -> None:
        matcher = OutcomeMatcher(policy(), OpenState())
        result = only(feed(matcher, [decision(), veto(1), veto(1, reason="cooldown")], until=5000))
        assert (result.reason, matcher.dropped[IgnoredRow.REPEATED_VETO]) == ("bucket_cap", 1)

    def test_an_order_slightly_before_its_attempt_is_its_own(self) -> None:
        result = only(settle(ack(-1.5), decision(0), fill(1), until=2))
        assert (result.outcome, result.method) == (LiveOutcome.EXECUTED, MatchMethod.INTENT_ID)

    @pytest.mark.parametrize("row", [veto(-1), error(-1)])
    def test_a_veto_or_error_slightly_before_its_attempt_is_its_own(self, row: Veto | OrderEvent) -> None:
        assert only(settle(row, decision(0), until=6)).method is MatchMethod.INTENT_ID

    @pytest.mark.parametrize(("at", "outcome"), [(-1802, LiveOutcome.VETOED), (-1802.5, LiveOutcome.UNRESOLVED)])
    def test_a_veto_of_long_ago_is_not_taken_even_if_it_is_still_at_hand(self, at: float, outcome: LiveOutcome) -> None:
        # What happens just before the decision is what had old evidence looked through the last time.
        results = settle(veto(at), ack(-1, "9"), decision(0), until=TOLERANCE_S + 10)
        assert [result.outcome for result in results if isinstance(result, Settled)] == [outcome]

    def test_ids_win_over_time(self) -> None:
        # The order without ids is nearer, and already waits when the one with ids comes.
        results = settle(decision(0), ack(1, None, order_id="7"), ack(5, order_id="8"), fill(6, order_id="8"), until=7)
        result = only(results)
        assert result.order is not None
        assert (result.method, result.order.legs[0].order_id) == (MatchMethod.INTENT_ID, "8")

    def test_an_order_of_another_intent_is_never_taken_by_time(self) -> None:
        results = settle(decision(0), ack(1, "2"), until=2 * TOLERANCE_S + 10)
        assert [type(result) for result in results] == [Settled, UnmatchedOrder]
        assert isinstance(results[0], Settled)
        assert results[0].outcome is LiveOutcome.UNRESOLVED

    def test_a_decision_that_is_open_already_is_not_opened_again(self) -> None:
        result = only(settle(decision(0), decision(0.5), ack(1), fill(2), until=5000))
        assert (result.decision.as_of, result.outcome) == (T0, LiveOutcome.EXECUTED)


class TestBareFills:
    """Fills that carry no ids, of orders whose acks do."""

    def test_they_belong_to_the_order_of_their_order_id(self) -> None:
        result = only(settle(decision(), ack(1), fill(2, None), until=3))
        assert result.order is not None
        assert result.order.legs[0].executed_qty == 5.0

    def test_they_belong_to_the_second_order_of_an_intent_as_well(self) -> None:
        maker = (ack(1, order_id="7"), ack(2, order_id="7", status=CANCELED))
        result = only(settle(decision(), *maker, ack(3, order_id="8"), fill(4, None, order_id="8"), until=7.1))
        assert result.order is not None
        assert [leg.executed_qty for leg in result.order.legs] == [None, 5.0]

    def test_the_newest_order_of_an_order_id_has_them(self) -> None:
        records = (decision(0, "1"), ack(1, "1"), decision(2, "2"), ack(3, "2"), fill(4, None))
        assert only(settle(*records, until=5)).decision.decision_id == "d2"

    def test_before_the_ack_they_wait_for_it(self) -> None:
        result = only(settle(decision(), fill(1, None), fill(2, None), ack(3), until=4))
        assert result.order is not None
        (leg,) = result.order.legs
        assert (leg.executed_qty, leg.requested_qty, result.method) == (5.0, 5.0, MatchMethod.INTENT_ID)

    def test_a_repeat_after_the_end_is_no_order_of_its_own(self) -> None:
        later = decision(10, None)
        results = settle(decision(0), ack(1), fill(2, None), later, fill(11, None), until=5000, owned=("ord_1",))
        assert [type(result) for result in results] == [Settled, UnmatchedOrder, Settled]
        assert isinstance(results[1], UnmatchedOrder)
        assert results[1].order.intent_id == "ord_1"
        assert isinstance(results[2], Settled)
        assert results[2].outcome is LiveOutcome.UNRESOLVED

    def test_a_late_one_names_the_intent_that_was_settled_without_it(self) -> None:
        late = TOLERANCE_S + 100
        _, unexplained = settle(decision(0), ack(1), fill(late, None), until=5000)
        assert isinstance(unexplained, UnmatchedOrder)
        assert unexplained.order.intent_id == "ord_1"

    def test_a_late_one_names_the_decision_that_time_had_paired(self) -> None:
        late = 2 * TOLERANCE_S + 100
        result, unexplained = settle(decision(0), ack(1, None), fill(late, None), until=5000)
        assert isinstance(result, Settled)
        assert result.method is MatchMethod.TIME
        assert isinstance(unexplained, UnmatchedOrder)
        assert unexplained.order.intent_id == "ord_1"

    def test_of_another_symbol_they_are_another_order(self) -> None:
        results = settle(decision(), ack(1), fill(2, None, symbol="ETHUSDT"), until=5000)
        assert [type(result) for result in results] == [Settled, UnmatchedOrder]


class TestTime:
    horizon = 2 * TOLERANCE_S

    def test_without_ids_a_decision_waits_two_tolerances(self) -> None:
        records = (decision(0, None), ack(1, None), fill(2, None))
        assert settle(*records, until=self.horizon) == []
        result = only(settle(*records, until=self.horizon + 0.1))
        assert (result.outcome, result.method) == (LiveOutcome.EXECUTED, MatchMethod.TIME)

    def test_with_ids_it_waits_so_long_only_where_time_may_pair_it(self) -> None:
        assert only(settle(decision(0), until=TOLERANCE_S + 1)).outcome is LiveOutcome.UNRESOLVED
        assert settle(decision(0), ack(1, None), until=self.horizon) == []
        assert only(settle(decision(0), ack(1, None), until=self.horizon + 1)).method is MatchMethod.TIME

    def test_an_order_is_taken_once(self) -> None:
        results = settle(decision(0, None), decision(1, None), ack(2, None), until=5000)
        assert [result.outcome for result in results] == [LiveOutcome.UNRESOLVED, LiveOutcome.EXECUTED]

    @pytest.mark.parametrize(
        ("at", "is_paired"), [(-2.1, False), (-2.0, True), (TOLERANCE_S, True), (TOLERANCE_S + 0.1, False)]
    )
    def test_an_order_may_lead_by_two_seconds_and_follow_by_the_tolerance(self, at: float, is_paired: bool) -> None:
        records: list[Record] = sorted([decision(0, None), ack(at, None)], key=read_time)
        outcomes = [result.outcome for result in settle(*records, until=5000) if isinstance(result, Settled)]
        assert outcomes == [LiveOutcome.EXECUTED if is_paired else LiveOutcome.UNRESOLVED]

    @pytest.mark.parametrize(
        "changes", [{"symbol": "ETHUSDT"}, {"side": Side.SELL}, {"side": None}, {"is_reduce_only": True}]
    )
    def test_only_orders_of_the_same_stream_are_taken(self, changes: dict[str, object]) -> None:
        results = settle(decision(0, None), ack(1, None, **changes), until=5000)
        assert {type(result) for result in results} == {Settled, UnmatchedOrder}

    def test_an_order_at_the_end_of_the_tolerance_goes_to_the_decision_that_comes_later(self) -> None:
        results = settle(decision(0, None), decision(800, None), ack(801, None), until=5000)
        assert [(result.outcome, result.method) for result in results if isinstance(result, Settled)] == [
            (LiveOutcome.UNRESOLVED, None),
            (LiveOutcome.EXECUTED, MatchMethod.TIME),
        ]

    def test_a_decision_that_an_error_has_decided_is_no_rival(self) -> None:
        # The error's decision is nearer to the order; left to itself it would take the order in its place.
        records = (decision(0, None), decision(10, "2"), error(10.5, "2", order_id="x"), ack(11, None))
        outcomes = {r.decision.decision_id: r.outcome for r in settle(*records, until=5000) if isinstance(r, Settled)}
        assert outcomes == {"d@0": LiveOutcome.EXECUTED, "d2": LiveOutcome.ERROR}

    @pytest.mark.parametrize("row", [veto(10.1, None), error(10.1, None), veto(10.1, None, side=None)])
    def test_a_veto_or_error_without_ids_goes_to_the_nearest_decision(self, row: Veto | OrderEvent) -> None:
        results = settle(decision(0, None), decision(10, None), row, until=5000)
        assert [result.outcome is LiveOutcome.UNRESOLVED for result in results] == [True, False]
        assert isinstance(results[1], Settled)
        assert results[1].method is MatchMethod.TIME

    def test_a_veto_of_another_symbol_or_side_or_intent_is_nobodys(self) -> None:
        rows = (veto(1, None, symbol="ETHUSDT"), veto(1, None, side=Side.SELL), veto(1, "9"))
        matcher = OutcomeMatcher(policy(), OpenState())
        results = feed(matcher, [decision(0), *rows], until=5000)
        assert [result for result in results if isinstance(result, UnmatchedRow)] == [UnmatchedRow(rows[2])]
        assert (
            only([result for result in results if not isinstance(result, UnmatchedRow)]).outcome
            is LiveOutcome.UNRESOLVED
        )
        matcher.forget(T0 + 5000)
        assert matcher.dropped[IgnoredRow.UNMATCHED_VETO] == 2

    @pytest.mark.parametrize("row", [veto(1, "9"), error(1, "9")])
    def test_a_veto_or_error_whose_ids_no_decision_carries_goes_to_one_without(self, row: Veto | OrderEvent) -> None:
        result = only(settle(decision(0, None), row, until=5000))
        assert (result.outcome is LiveOutcome.UNRESOLVED, result.method) == (False, MatchMethod.TIME)
        owned = settle(decision(0, None), row, until=5000, owned=("ord_9",))
        assert [type(result) for result in owned] == [Settled, UnmatchedRow]

    def test_an_order_whose_ids_no_decision_carries_goes_to_one_without(self) -> None:
        (result,) = settle(decision(0, None), ack(1, "9"), fill(2, "9"), until=5000)
        assert isinstance(result, Settled)
        assert (result.outcome, result.method) == (LiveOutcome.EXECUTED, MatchMethod.TIME)

    def test_an_order_whose_ids_a_settled_decision_carries_stays_that_ones(self) -> None:
        results = settle(decision(0, None), ack(1, "9"), fill(2, "9"), until=5000, owned=("ord_9",))
        assert sorted(type(result).__name__ for result in results) == ["Settled", "UnmatchedOrder"]
        assert next(result for result in results if isinstance(result, Settled)).outcome is LiveOutcome.UNRESOLVED

    def test_an_order_with_another_kind_of_id_than_the_decision_may_be_its_own(self) -> None:
        made = decision(0, intent_id=None)  # an attempt id is left
        assert only(settle(made, ack(1, "9", attempt_id=None), fill(2, "9", attempt_id=None), until=5000)).method is (
            MatchMethod.TIME
        )
        (unresolved, stranger) = settle(made, ack(1, "9"), fill(2, "9"), until=5000)
        assert isinstance(unresolved, Settled | UnmatchedOrder)
        assert isinstance(stranger, Settled | UnmatchedOrder)
        assert {type(unresolved), type(stranger)} == {Settled, UnmatchedOrder}

    def test_an_order_with_ids_is_told_of_at_its_tolerance_where_no_decision_can_want_it(self) -> None:
        other = decision(0, None, side=Side.SELL)
        assert [type(result) for result in settle(other, ack(1, "9"), until=TOLERANCE_S + 1.1)] == [UnmatchedOrder]

    def test_a_decision_of_its_own_takes_an_order_from_one_without_ids(self) -> None:
        # It is logged after the order, and by then the one without ids is already waiting for it.
        results = settle(ack(0.5, "9"), decision(0, None), decision(1, "9"), fill(2, "9"), until=5000)
        found = {r.decision.decision_id: r.method for r in results if isinstance(r, Settled)}
        assert found == {"d9": MatchMethod.INTENT_ID, "d@0": None}

    def test_unmatched_errors_are_counted_once(self) -> None:
        matcher = OutcomeMatcher(policy(), OpenState())
        assert feed(matcher, [error(1, "9"), error(2, None)], until=5000) == [UnmatchedRow(error(1, "9"))]
        matcher.forget(T0 + 6000)
        assert matcher.dropped[IgnoredRow.UNMATCHED_ERROR] == 1

    def test_an_order_id_that_comes_again_after_its_order_is_over_is_another_order(self) -> None:
        records = (
            decision(0, None),
            ack(1, None),
            fill(2, None),
            decision(60, None),
            ack(61, None, qty=9.0),
            fill(62, None, qty=9.0),
        )
        results = [result for result in settle(*records, until=5000) if isinstance(result, Settled)]
        assert [result.order and result.order.legs[0].executed_qty for result in results] == [5.0, 9.0]

    def test_so_is_one_that_comes_again_after_an_ack_that_said_filled_and_no_fill(self) -> None:
        filled = {"status": OrderStatus.FILLED}
        records = (decision(0, None), ack(1, None, **filled), decision(60, None), ack(61, None, qty=9.0, **filled))
        results = [result for result in settle(*records, until=5000) if isinstance(result, Settled)]
        assert [result.order and result.order.legs[0].requested_qty for result in results] == [5.0, 9.0]

    def test_what_was_logged_ahead_of_our_clock_has_happened(self) -> None:
        matcher = OutcomeMatcher(policy(), OpenState())
        records = [decision(0, "1"), decision(0, "2"), decision(0, "3"), decision(0, "4")]
        assert feed(matcher, [*records, ack(5, "1"), ack(5, "2"), veto(6, "3"), fill(6, "1")], until=1) == []
        ahead = list(matcher.settle_ahead(T0 + 1))
        assert {item.decision.intent_id: item.outcome for item in ahead} == {
            records[0].intent_id: LiveOutcome.EXECUTED,
            records[2].intent_id: LiveOutcome.VETOED,
        }
        assert list(matcher.settle_ahead(T0 + 1)) == []
        assert len(matcher.state.decisions) == 2

    def test_what_may_follow_is_waited_for_unless_the_clock_is_far_behind(self) -> None:
        matcher = OutcomeMatcher(policy(), OpenState())
        decisions = [decision(0, "1"), decision(0, "2")]
        assert feed(matcher, [*decisions, ack(5, "1", status=CANCELED), error(6, "2")], until=0.6) == []
        assert list(matcher.settle_ahead(T0 + 0.6)) == []
        ahead = list(matcher.settle_ahead(T0 - 1))
        assert {item.decision.intent_id: item.outcome for item in ahead} == {
            decisions[0].intent_id: LiveOutcome.EXECUTED,
            decisions[1].intent_id: LiveOutcome.ERROR,
        }

    def test_an_ack_that_is_logged_twice_is_one_order(self) -> None:
        assert len(settle(decision(0, None), ack(1, None), ack(1, None), ack(2, None), until=5000)) == 1

    @given(
        st.lists(st.integers(0, 200), max_size=4).map(sorted),
        st.lists(st.integers(0, 200), max_size=4).map(sorted),
    )
    def test_within_one_horizon_no_pairing_is_better(self, decisions: list[int], orders: list[int]) -> None:
        records: list[Record] = [decision(at, None, decision_id=f"d{n}") for n, at in enumerate(decisions)]
        records += [ack(at, None, order_id=str(n)) for n, at in enumerate(orders)]
        matcher = OutcomeMatcher(policy(tolerance_s=100.0), OpenState())
        # Decisions first where times are equal, as the stage feeds them.
        results = feed(matcher, sorted(records, key=lambda row: (read_time(row), isinstance(row, OrderEvent))), 5000)
        pairs = sorted(
            (result.decision.as_of, result.order.first_ts)
            for result in results
            if isinstance(result, Settled) and result.order is not None
        )
        gaps = [abs(order - made) for made, order in pairs]
        assert (len(gaps), -sum(gaps)) == best_worth(decisions, orders, tolerance_s=100)
        assert [order for _, order in pairs] == sorted(order for _, order in pairs)


def best_worth(decisions: list[int], orders: list[int], tolerance_s: int) -> tuple[int, float]:
    worths = []
    for count in range(min(len(decisions), len(orders)) + 1):
        for chosen in combinations(decisions, count):
            for partners in combinations(orders, count):
                gaps = [order - made for made, order in zip(chosen, partners, strict=True)]
                if all(-2 <= gap <= tolerance_s for gap in gaps):
                    worths.append((count, -float(sum(map(abs, gaps)))))
    return max(worths)


class TestLate:
    late = TOLERANCE_S + 100

    def test_an_order_after_the_deadline_is_unexplained_once(self) -> None:
        results = settle(decision(0), ack(self.late), fill(self.late + 1), until=5000)
        assert [type(result) for result in results] == [Settled, UnmatchedOrder]
        assert isinstance(results[0], Settled)
        assert results[0].outcome is LiveOutcome.UNRESOLVED
        assert results[1].order is not None
        assert results[1].order.legs[0].executed_qty == 5.0

    def test_lateness_is_told_by_the_log_time_not_by_when_it_was_read(self) -> None:
        matcher = OutcomeMatcher(policy(), OpenState())
        matcher.add_decision(decision(0))
        matcher.add_event(ack(TOLERANCE_S - 1))  # read after a long silence, but in time
        (result,) = matcher.settle(T0 + 5000)
        assert result.outcome is LiveOutcome.EXECUTED

    def test_an_order_without_a_decision_is_unexplained_after_the_tolerance(self) -> None:
        assert settle(ack(0), fill(1), until=TOLERANCE_S) == []
        (result,) = settle(ack(0), fill(1), until=TOLERANCE_S + 1)
        assert isinstance(result, UnmatchedOrder)
        assert result.outcome is LiveOutcome.EXECUTED

    def test_an_order_without_ids_is_unexplained_once_no_decision_can_want_it(self) -> None:
        assert settle(ack(0, None), until=2 * TOLERANCE_S + 2) == []
        assert len(settle(ack(0, None), until=2 * TOLERANCE_S + 2.1)) == 1

    def test_a_second_order_of_the_same_key_waits_its_own_time(self) -> None:
        # The first leaves a due time behind; the second must not be cut short by it.
        state = OpenState()
        matcher = OutcomeMatcher(policy(), state)
        feed(matcher, [ack(0)])
        matcher = OutcomeMatcher(policy(), state)  # as the next run does
        results = feed(matcher, [decision(1), fill(2), fill(500)], until=TOLERANCE_S + 1)
        assert [type(result) for result in results] == [Settled]
        assert only(results).outcome is LiveOutcome.EXECUTED
        assert matcher.state.orders


# Small pools of names and times, so that everything meets everything.
sides = st.sampled_from([Side.BUY, Side.SELL])
intents = st.sampled_from([None, "i1", "i2"])
attempts = st.sampled_from([None, "a1", "a2", "a1_reduce"])
order_ids = st.sampled_from(["1", "2", "3"])
moments = st.integers(0, 60).map(lambda half: half / 2)
statuses = st.sampled_from([None, *OrderStatus])
SMALL = policy(tolerance_s=8.0, order_lead_s=2.0, settle_grace_s=3.0)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    records: list[Record] = []
    for number in range(draw(st.integers(0, 6))):
        attempt_id = draw(st.sampled_from([None, "a1", "a2"]))
        ids = {"intent_id": draw(intents), "attempt_id": attempt_id, "decision_id": f"d{number}"}
        records.append(decision(draw(moments), None, side=draw(sides), is_reduce_only=draw(st.booleans()), **ids))
    makers = st.sampled_from([ack, fill, error, flat])
    for _ in range(draw(st.integers(0, 14))):
        maker = draw(makers)
        changes = {"intent_id": draw(intents), "attempt_id": draw(attempts), "side": draw(st.none() | sides)}
        changes |= {"order_id": draw(order_ids), "is_reduce_only": draw(st.booleans())}
        if changes["intent_id"] or changes["attempt_id"]:
            changes["symbol"] = draw(st.sampled_from([None, SYMBOL]))
        if maker in (ack, fill):
            changes |= {"status": draw(statuses), "qty": draw(st.sampled_from([None, 1.0, 2.0]))}
        records.append(maker(draw(moments), None, **changes))
    for _ in range(draw(st.integers(0, 4))):
        ids = {"intent_id": draw(intents), "attempt_id": draw(attempts), "side": draw(st.none() | sides)}
        records.append(veto(draw(moments), None, **ids))
    return sorted(records, key=lambda row: (read_time(row), not isinstance(row, ShadowSide)))


def through_the_log(state: OpenState) -> OpenState:
    """As the cursor carries it."""
    return msgspec.json.decode(msgspec.json.encode(state), type=OpenState)


@given(histories(), st.lists(moments, max_size=4).map(sorted))
def test_runs_that_carry_their_state_over_settle_what_one_run_settles(records: list[Record], cuts: list[float]) -> None:
    end = T0 + 1000
    whole = OutcomeMatcher(SMALL, OpenState())
    expected = [*feed(whole, records), *whole.settle(end)]
    whole.forget(end)
    dropped = dict(whole.dropped)

    matcher = OutcomeMatcher(SMALL, OpenState())
    found: list[Result] = []
    counted = {drop: 0 for drop in dropped}
    for start, stop in zip(
        [float("-inf"), *(T0 + cut for cut in cuts)], [*(T0 + cut for cut in cuts), end], strict=True
    ):
        found += feed(matcher, [record for record in records if start < read_time(record) <= stop])
        found += matcher.settle(stop)
        matcher.forget(stop)
        counted = {drop: count + matcher.dropped[drop] for drop, count in counted.items()}
        matcher = OutcomeMatcher(SMALL, through_the_log(matcher.state))
    assert found == expected
    assert counted == dropped
    assert matcher.state == through_the_log(whole.state)
    remembered = {"positions": matcher.state.positions, "prices": matcher.state.prices}
    assert matcher.state == OpenState(**remembered)


@given(histories())
def test_every_decision_is_settled_once_and_every_order_is_in_one_result(records: list[Record]) -> None:
    matcher = OutcomeMatcher(SMALL, OpenState())
    results = [*feed(matcher, records), *matcher.settle(T0 + 1000)]
    decided = [result.decision.decision_id for result in results if isinstance(result, Settled)]
    assert sorted(decided) == sorted(row.decision_id for row in records if isinstance(row, ShadowSide))
    placed = {row.order_id for row in records if isinstance(row, OrderEvent) and row.kind is not EventKind.ERROR}
    orders = [result.order for result in results if not isinstance(result, UnmatchedRow)]
    legs = [leg for order in orders if order is not None for leg in order.legs]
    assert {leg.order_id for leg in legs} == placed
    assert len({id(leg) for leg in legs}) == len(legs)


@given(histories())
def test_no_decision_waits_longer_than_two_tolerances(records: list[Record]) -> None:
    matcher = OutcomeMatcher(SMALL, OpenState())
    for record in records:
        feed(matcher, [record])
        for item in matcher.state.decisions.values():
            assert item.decision.as_of + 2 * SMALL.tolerance_s >= read_time(record)
