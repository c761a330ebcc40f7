"""The figures of a diff, computed by hand. The decision is 5 at 100 unless a test says otherwise."""

from dataclasses import replace
from math import inf
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline_v6_dagster.compare import live_side
from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.revision import revise
from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.comparison import (
    Diff,
    LiveOutcome,
    MatchMethod,
    MismatchKind,
    ReduceLabel,
    ShadowSide,
)
from pipeline_v6_dagster.domain.live import OrderEvent, OrderStatus
from pipeline_v6_dagster_tests.live_builders import (
    T0,
    ack,
    decision,
    denied,
    error,
    fill,
    flat,
    folded,
    leg,
    policy,
    settled,
)

CANCELED = OrderStatus.CANCELED
_AMOUNTS = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)
PARTLY = OrderStatus.PARTIALLY_FILLED


def compared(shadow: ShadowSide, *events: OrderEvent, **policy_changes: object) -> Diff:
    return compare_sides(settled(shadow, *events), policy(**policy_changes))


def without_order(shadow: ShadowSide, outcome: LiveOutcome, reason: str | None = None) -> Diff:
    return compare_sides(Settled(decision=shadow, order=None, outcome=outcome, method=None, reason=reason), policy())


class TestKinds:
    @pytest.mark.parametrize(
        ("is_allowed", "outcome", "kind", "is_mismatch"),
        [
            (True, LiveOutcome.EXECUTED, MismatchKind.MATCH, False),
            (True, LiveOutcome.VETOED, MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT, True),
            (True, LiveOutcome.ERROR, MismatchKind.MATCH, False),
            (True, LiveOutcome.UNRESOLVED, MismatchKind.LIVE_UNKNOWN, None),
            (False, LiveOutcome.EXECUTED, MismatchKind.SHADOW_VETOED_LIVE_EXECUTED, True),
            (False, LiveOutcome.VETOED, MismatchKind.MATCH_VETO, False),
            (False, LiveOutcome.ERROR, MismatchKind.SHADOW_VETOED_LIVE_EXECUTED, True),
            (False, LiveOutcome.UNRESOLVED, MismatchKind.LIVE_UNKNOWN, None),
        ],
    )
    def test_shadow_allowed_against_what_live_decided(
        self, is_allowed: bool, outcome: LiveOutcome, kind: MismatchKind, is_mismatch: bool | None
    ) -> None:
        shadow = decision() if is_allowed else denied()
        is_executed = outcome is LiveOutcome.EXECUTED
        diff = compared(shadow, ack(1), fill(2)) if is_executed else without_order(shadow, outcome)
        assert (diff.mismatch_kind, diff.veto_mismatch) == (kind, is_mismatch)

    def test_an_order_that_no_decision_explains_is_live_only(self) -> None:
        diff = compare_sides(UnmatchedOrder(folded(ack(1), fill(2)), LiveOutcome.EXECUTED), policy())
        assert diff.mismatch_kind is MismatchKind.LIVE_ONLY
        assert (diff.ts, diff.intent_id, diff.symbol, diff.side) == (T0 + 1, "ord_1", "BTCUSDT", Side.BUY)
        assert (diff.decision_id, diff.shadow, diff.veto_mismatch, diff.sizing_diff_pct) == (None, None, None, None)
        assert diff.impact_usd == 500.0

    def test_a_veto_keeps_its_reason_and_has_no_sizes(self) -> None:
        diff = without_order(decision(), LiveOutcome.VETOED, "bucket_cap")
        assert diff.live is not None
        assert diff.live.reason == "bucket_cap"
        assert figures(diff) == (None, None, None, None)

    def test_what_is_unresolved_has_no_live_side(self) -> None:
        diff = without_order(decision(), LiveOutcome.UNRESOLVED)
        assert diff.live is None
        assert figures(diff) == (None, None, None, None)


def figures(diff: Diff) -> tuple[float | None, float | None, bool | None, float | None]:
    return diff.size_pct_diff, diff.sizing_diff_pct, diff.is_upsize, diff.slippage_diff_bps


class TestFormulas:
    def test_a_buy(self) -> None:
        # Asked 5 at 100; live requested 6, executed 4 at 101 on average; v6 expected 1 bp.
        diff = compared(decision(), ack(1.5, qty=6.0), fill(2, qty=4.0, avg_price=101.0, status=PARTLY))
        assert diff.size_pct_diff == pytest.approx(100 * (4 - 5) / 5)
        assert diff.sizing_diff_pct == pytest.approx((6 * 100 - 500) / 500)
        assert diff.slippage_diff_bps == pytest.approx(1e4 * (101 - 100) / 100 - 1)
        assert diff.impact_usd == pytest.approx(600 - 500)
        assert diff.match_dt_s == 1.5
        assert diff.is_upsize is True

    def test_a_sell_that_sold_higher_has_gained(self) -> None:
        sold = {"side": Side.SELL}
        diff = compared(decision(**sold), ack(1, **sold), fill(2, avg_price=101.0, **sold))
        assert diff.slippage_diff_bps == pytest.approx(-1e4 * (101 - 100) / 100 - 1)

    def test_an_order_before_its_attempt_has_a_negative_gap(self) -> None:
        assert compared(decision(), ack(-1.5), fill(2)).match_dt_s == -1.5

    def test_live_is_measured_at_the_intents_price_not_at_its_own(self) -> None:
        diff = compared(decision(), ack(1), fill(2, avg_price=120.0))
        assert diff.sizing_diff_pct == 0.0
        assert diff.live is not None
        assert (diff.live.gross_usd, diff.live.executed_gross_usd) == (500.0, 600.0)

    def test_the_average_price_is_weighted_by_quantity(self) -> None:
        maker = (ack(1, order_id="7"), fill(2, order_id="7", qty=1.0, avg_price=99.0, status=CANCELED))
        taker = (ack(3, order_id="8", qty=4.0), fill(4, order_id="8", qty=4.0, avg_price=104.0))
        diff = compared(decision(), *maker, *taker)
        assert diff.live is not None
        assert diff.live.avg_price == pytest.approx((1 * 99 + 4 * 104) / 5)
        assert diff.live.executed_gross_usd == pytest.approx(1 * 99 + 4 * 104)
        assert diff.live.fees_usd == 0.5

    def test_shadow_is_measured_by_what_it_sized(self) -> None:
        diff = compared(decision(sized_gross_usd=400.0, sized_qty=4.0), ack(1), fill(2))
        assert diff.sizing_diff_pct == pytest.approx((500 - 400) / 400)
        assert diff.size_pct_diff == pytest.approx(25.0)

    def test_a_flat_row_is_measured_by_its_own_gross(self) -> None:
        diff = compared(decision(), flat(1, gross_usd=450.0))
        assert diff.sizing_diff_pct == pytest.approx(-0.1)
        assert (diff.size_pct_diff, diff.slippage_diff_bps) == (None, None)

    def test_a_flat_row_with_a_quantity_is_measured_by_it(self) -> None:
        assert compared(decision(), flat(1, gross_usd=450.0, requested_qty=5.0)).sizing_diff_pct == 0.0

    @pytest.mark.parametrize("status", [OrderStatus.NEW, CANCELED, PARTLY, None])
    def test_a_flat_row_that_does_not_say_filled_tells_of_no_fill(self, status: OrderStatus | None) -> None:
        diff = compared(decision(), flat(1, gross_usd=450.0, requested_qty=5.0, avg_price=100.0, status=status))
        assert diff.live is not None
        assert diff.live.executed_qty == (0.0 if status is CANCELED else None)
        assert (diff.live.requested_qty, diff.live.avg_price) == (0.0 if status is CANCELED else 5.0, None)

    @given(_AMOUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS, st.booleans())
    def test_figures_beyond_any_number_are_not_measured(
        self, price: float, qty: float, asked: float, filled: float, paid: float, is_priced: bool
    ) -> None:
        shadow = decision(price=price, sized_qty=qty, sized_gross_usd=qty * price if qty * price < inf else None)
        orders = ack(1, qty=asked), fill(2, qty=filled, avg_price=paid if is_priced else None), ack(3, order_id="8")
        diff = compared(shadow, *orders, fill(4, order_id="8", qty=filled, avg_price=price))
        # What the log holds is what the summary is made of, now and after a rebuild.
        assert msgspec.json.decode(msgspec.json.encode(diff), type=Diff) == diff

    def test_a_size_beyond_any_ratio_is_an_upsize_all_the_same(self) -> None:
        shadow = decision(price=1e-5, sized_qty=1e-300, sized_gross_usd=1e-305)
        diff = compared(shadow, ack(1, qty=1e300), fill(2, qty=1e300))
        assert (diff.is_upsize, diff.sizing_diff_pct, diff.size_pct_diff) == (True, None, None)

    @given(st.floats(0.1, 1e6), st.floats(0.1, 1e6), st.sampled_from(list(Side)))
    def test_slippage_changes_its_sign_with_the_side(self, price: float, paid: float, side: Side) -> None:
        def cost(side: Side) -> float:
            shadow = decision(price=price, side=side, expected_slippage_bps=0.0)
            found = compared(shadow, ack(1, side=side), fill(2, avg_price=paid, side=side)).slippage_diff_bps
            assert found is not None
            return found

        assert cost(Side.BUY) == -cost(Side.SELL)
        assert (cost(side) > 0) == ((paid > price) if side is Side.BUY else (paid < price)) or paid == price


class TestLegs:
    def test_a_cancelled_maker_counts_for_what_it_executed_its_taker_for_what_it_requested(self) -> None:
        maker = (ack(1, order_id="7", qty=5.0), fill(2, order_id="7", qty=2.0, status=CANCELED))
        diff = compared(decision(), *maker, ack(3, order_id="8", qty=3.0), fill(4, order_id="8", qty=3.0))
        assert diff.live is not None
        assert (diff.live.requested_qty, diff.live.executed_qty) == (5.0, 5.0)
        assert diff.is_upsize is False

    def test_a_second_full_order_after_a_full_one_is_an_upsize(self) -> None:
        first = (ack(1, order_id="7"), fill(2, order_id="7"))
        diff = compared(decision(), *first, ack(3, order_id="8"), fill(4, order_id="8"))
        assert diff.sizing_diff_pct == pytest.approx(1.0)
        assert diff.is_upsize is True

    def test_an_order_that_the_exchange_refused_was_never_placed(self) -> None:
        placed, refused = (ack(1), fill(2)), ack(3, order_id="8", status=OrderStatus.REJECTED)
        assert compared(decision(), *placed, refused).sizing_diff_pct == 0.0
        assert compared(decision(), refused, *placed).sizing_diff_pct == 0.0

    def test_of_a_flip_only_the_opening_leg_is_measured(self) -> None:
        reduce = {"order_id": "7", "attempt_id": "sig_1_reduce", "is_reduce_only": True}
        flip = (ack(1, qty=9.0, **reduce), fill(2, qty=9.0, avg_price=90.0, **reduce))
        diff = compared(decision(), *flip, ack(3, order_id="8"), fill(4, order_id="8", avg_price=101.0))
        assert figures(diff) == (0.0, 0.0, False, pytest.approx(99.0))
        assert diff.live is not None
        assert (diff.live.fees_usd, diff.live.first_ack_ts, len(diff.live.legs)) == (0.5, T0 + 1, 2)

    def test_a_flip_whose_opening_leg_never_came_has_no_size(self) -> None:
        reduce = {"order_id": "7", "attempt_id": "sig_1_reduce", "is_reduce_only": True}
        assert figures(compared(decision(), ack(1, **reduce), fill(2, **reduce))) == (None, None, None, None)

    def test_an_intent_that_only_reduces_is_measured_by_its_reduce_leg(self) -> None:
        reduce = {"is_reduce_only": True}
        diff = compared(decision(is_reduce_only=True), ack(1, qty=10.0, **reduce), fill(2, qty=10.0, **reduce))
        assert diff.size_pct_diff == pytest.approx(100.0)

    def test_a_fill_without_an_ack_requested_what_it_executed(self) -> None:
        diff = compared(decision(), fill(2, qty=10.0))
        assert diff.live is not None
        assert diff.live.requested_qty == 10.0
        assert diff.is_upsize is True


class TestMissing:
    def test_an_order_without_a_fill_has_no_executed_size_and_no_slippage(self) -> None:
        diff = compared(decision(), ack(1))
        assert (diff.size_pct_diff, diff.slippage_diff_bps) == (None, None)
        assert diff.sizing_diff_pct == 0.0

    def test_an_order_that_ended_without_a_fill_executed_nothing(self) -> None:
        diff = compared(decision(), ack(1), ack(2, status=CANCELED))
        assert diff.size_pct_diff == -100.0

    def test_a_fill_without_a_price_has_no_slippage(self) -> None:
        diff = compared(decision(), ack(1), fill(2, avg_price=None))
        assert (diff.size_pct_diff, diff.slippage_diff_bps) == (0.0, None)

    @pytest.mark.parametrize(
        ("field", "missing"),
        [
            ("sized_qty", {"size_pct_diff"}),
            ("expected_slippage_bps", {"slippage_diff_bps"}),
            ("side", {"slippage_diff_bps"}),
            ("price", {"slippage_diff_bps", "sizing_diff_pct", "is_upsize", "impact_usd"}),
        ],
    )
    def test_a_figure_is_null_where_a_part_of_the_decision_is_missing(self, field: str, missing: set[str]) -> None:
        diff = compared(decision(**{field: None}), ack(1), fill(2, avg_price=101.0))
        names = {"size_pct_diff", "sizing_diff_pct", "is_upsize", "slippage_diff_bps", "impact_usd"}
        assert {name for name in names if getattr(diff, name) is None} == missing

    def test_no_notional_at_all_is_no_size(self) -> None:
        diff = compared(decision(sized_gross_usd=None, quote_notional=None), ack(1), fill(2))
        assert (diff.sizing_diff_pct, diff.is_upsize, diff.impact_usd) == (None, None, None)

    def test_no_order_request_is_no_size(self) -> None:
        assert figures(compared(decision(), ack(1, qty=None))) == (None, None, None, None)

    def test_impact_of_a_side_that_did_not_trade_is_known(self) -> None:
        assert without_order(decision(), LiveOutcome.VETOED).impact_usd == -500.0
        assert without_order(denied(), LiveOutcome.VETOED).impact_usd == 0.0
        assert compared(denied(), ack(1), fill(2)).impact_usd == 500.0


class TestUpsize:
    """Both: more than the tolerance, and more than the unrounded quantity rounded up to the lot step."""

    @pytest.mark.parametrize(
        ("qty", "lot_step", "is_upsize"),
        [
            (5.005, 0.001, False),  # exactly the tolerance of 0.1 %
            (5.006, 0.001, True),
            (5.006, 0.0059, True),  # 5 rounded up is 5.0032
            (5.5, 1.0, True),
            (5.5, 1.1, False),  # 5 rounded up is 5.5
            (5.51, 1.1, True),
            (4.0, 0.001, False),
        ],
    )
    def test_an_excess_counts_above_tolerance_and_lot_step(self, qty: float, lot_step: float, is_upsize: bool) -> None:
        diff = compared(decision(), ack(1, qty=qty), lot_steps={"BTCUSDT": lot_step})
        assert diff.is_upsize is is_upsize

    def test_where_no_lot_step_is_known_the_tolerance_decides(self) -> None:
        assert compared(decision(), ack(1, qty=5.006), lot_steps={}).is_upsize is True

    def test_the_exchanges_own_lot_step_serves_where_the_universe_has_none(self) -> None:
        assert compared(decision(), ack(1, qty=5.5, lot_step=1.1), lot_steps={}).is_upsize is False
        assert compared(decision(), ack(1, qty=5.5, lot_step=1.1)).is_upsize is True

    def test_an_order_that_v6_denied_and_live_doubled_is_an_upsize(self) -> None:
        diff = compared(denied(), ack(1, qty=10.0), fill(2, qty=10.0))
        assert diff.mismatch_kind is MismatchKind.SHADOW_VETOED_LIVE_EXECUTED
        assert (diff.sizing_diff_pct, diff.is_upsize) == (1.0, True)
        assert diff.size_pct_diff is None

    def test_what_v6_rounded_down_and_live_rounded_up_is_no_upsize(self) -> None:
        shadow = decision(asked_qty=5.4, quote_notional=540.0, sized_qty=5.0, sized_gross_usd=500.0)
        assert compared(shadow, ack(1, qty=6.0), lot_steps={"BTCUSDT": 1.0}).is_upsize is False
        assert compared(shadow, ack(1, qty=7.0), lot_steps={"BTCUSDT": 1.0}).is_upsize is True

    def test_where_v6_shrank_the_order_it_is_measured_by_its_size(self) -> None:
        shadow = decision(asked_qty=9.0, quote_notional=900.0)
        assert compared(shadow, ack(1, qty=6.0), lot_steps={"BTCUSDT": 1.0}).is_upsize is False
        assert compared(shadow, ack(1, qty=9.0), lot_steps={"BTCUSDT": 1.0}).is_upsize is True

    def test_a_doubled_order_that_rests_is_an_upsize_and_one_that_was_cancelled_is_none(self) -> None:
        assert compared(decision(), ack(1, qty=10.0)).is_upsize is True
        assert compared(decision(), ack(1, qty=10.0), ack(2, qty=10.0, status=CANCELED)).is_upsize is False

    def test_an_order_that_grew_is_an_upsize_also_where_a_later_ack_is_smaller(self) -> None:
        assert compared(decision(), ack(1), ack(2, qty=10.0), ack(3)).is_upsize is True

    def test_a_resting_order_beside_the_last_one_counts(self) -> None:
        assert compared(decision(), ack(1, order_id="7"), ack(2, order_id="8")).sizing_diff_pct == pytest.approx(1.0)

    def test_an_order_that_cannot_be_counted_leaves_the_size_unknown(self) -> None:
        diff = compared(decision(), ack(1, order_id="7", qty=None), ack(2, order_id="8"))
        assert (diff.sizing_diff_pct, diff.is_upsize) == (None, None)

    def test_what_is_known_of_an_order_may_be_an_upsize_whatever_the_rest_is(self) -> None:
        shadow, unsized = decision(), ack(1, order_id="7", qty=None)
        for lot_steps in ({}, {"BTCUSDT": 1.0}):
            larger = compared(shadow, unsized, ack(2, order_id="8", qty=50.0), lot_steps=lot_steps)
            assert (larger.sizing_diff_pct, larger.is_upsize) == (None, True)
            assert larger.live is not None and larger.live.gross_usd is None
        # Where what is known is no upsize, with the leg of unknown size it may be one, and may not.
        assert compared(shadow, unsized, ack(2, order_id="8", qty=5.0)).is_upsize is None
        shadow = decision(asked_qty=5.5, quote_notional=550.0)
        rounded = compared(shadow, unsized, ack(2, order_id="8", qty=6.0), lot_steps={"BTCUSDT": 1.0})
        assert rounded.is_upsize is None

    def test_a_flat_row_may_be_an_upsize(self) -> None:
        assert compared(decision(), flat(1, gross_usd=1000.0)).is_upsize is True


class TestInstrument:
    def test_another_side_or_symbol_is_a_mismatch_though_an_id_paired_it(self) -> None:
        sold = compared(decision(), ack(1, side=Side.SELL), fill(2, side=Side.SELL))
        assert (sold.mismatch_kind, sold.veto_mismatch) == (MismatchKind.OPPOSITE_SIDE, True)
        assert (sold.impact_usd, sold.mismatch_usd, sold.slippage_diff_bps) == (0.0, 1000.0, None)
        other = compared(decision(), ack(1, symbol="ETHUSDT"), fill(2, symbol="ETHUSDT"))
        assert (other.mismatch_kind, other.veto_mismatch) == (MismatchKind.WRONG_SYMBOL, True)
        assert other.live is not None
        assert other.live.symbol == "ETHUSDT"

    def test_one_order_of_several_on_another_side_is_enough(self) -> None:
        diff = compared(decision(), ack(1), fill(2), ack(3, order_id="8", side=Side.SELL))
        assert diff.mismatch_kind is MismatchKind.OPPOSITE_SIDE

    def test_a_protective_stop_is_on_the_other_side(self) -> None:
        stop = ack(3, order_id="8", side=Side.SELL, is_reduce_only=True)
        assert compared(decision(), ack(1), fill(2), stop).mismatch_kind is MismatchKind.MATCH

    def test_what_does_not_say_its_side_is_no_mismatch(self) -> None:
        assert compared(decision(), ack(1, side=None), fill(2, side=None)).mismatch_kind is MismatchKind.MATCH
        assert compared(decision(side=None), ack(1), fill(2)).mismatch_kind is MismatchKind.MATCH

    def test_an_error_on_another_side_is_one_as_well(self) -> None:
        refused = error(1, side=Side.SELL)
        found = Settled(
            decision=decision(),
            order=None,
            outcome=LiveOutcome.ERROR,
            method=None,
            reason=refused.reason,
            refusal=refused,
        )
        assert compare_sides(found, policy()).mismatch_kind is MismatchKind.OPPOSITE_SIDE

    @pytest.mark.parametrize(
        ("changes", "live_side", "is_wrong"),
        [
            ({}, PositionSide.LONG, False),
            ({}, PositionSide.SHORT, True),
            ({}, None, None),
            ({"position_side": PositionSide.SHORT}, PositionSide.SHORT, False),
            ({"is_reduce_only": True}, PositionSide.SHORT, False),
            ({"is_reduce_only": True}, PositionSide.LONG, True),
            ({"side": None}, PositionSide.LONG, None),
        ],
    )
    def test_the_position_side_is_that_of_the_decision(
        self, changes: dict[str, Any], live_side: PositionSide | None, is_wrong: bool | None
    ) -> None:
        order = {"position_side": live_side, "is_reduce_only": changes.get("is_reduce_only", False)}
        assert compared(decision(**changes), ack(1, **order), fill(2, **order)).is_position_side_wrong is is_wrong

    def test_the_reduce_leg_of_a_flip_may_be_on_the_other_position(self) -> None:
        reduce = {"order_id": "7", "is_reduce_only": True, "position_side": PositionSide.SHORT}
        opening = ack(2, position_side=PositionSide.LONG)
        assert compared(decision(), ack(1, **reduce), opening).is_position_side_wrong is False


class TestOverfillAndDownsize:
    def test_an_order_that_executed_more_than_it_requested_is_overfilled(self) -> None:
        assert compared(decision(), ack(1), fill(2, qty=250.0)).is_overfill is True
        assert compared(decision(), ack(1), fill(2, qty=5.004)).is_overfill is False
        assert compared(decision(), fill(2, qty=250.0)).is_overfill is False  # It requested what it executed.
        assert compared(decision(), ack(1)).is_overfill is None

    def test_one_overfilled_order_of_several_is_enough(self) -> None:
        short = (ack(1, order_id="7"), fill(2, order_id="7", qty=1.0, status=CANCELED))
        assert compared(decision(), *short, ack(3, order_id="8", qty=2.0), fill(4, order_id="8", qty=4.0)).is_overfill

    @pytest.mark.parametrize(
        ("qty", "lot_step", "is_downsize"),
        [(4.7, 0.001, True), (4.8, 0.001, False), (4.0, 1.0, False), (3.9, 1.0, True), (6.0, 0.001, False)],
    )
    def test_v6_is_larger_above_five_percent_and_one_lot_step(
        self, qty: float, lot_step: float, is_downsize: bool
    ) -> None:
        diff = compared(decision(), ack(1, qty=qty), lot_steps={"BTCUSDT": lot_step})
        assert diff.is_downsize is is_downsize

    def test_what_live_had_requested_counts_though_it_was_cancelled(self) -> None:
        assert compared(decision(), ack(1), ack(2, status=CANCELED)).is_downsize is False
        maker = (ack(1, order_id="7", qty=3.0), fill(2, order_id="7", qty=1.0, status=CANCELED))
        assert compared(decision(), *maker, ack(3, order_id="8", qty=2.0)).is_downsize is True
        assert compared(decision(), *maker, ack(3, order_id="8", qty=4.0)).is_downsize is False

    def test_a_denied_order_is_no_downsize(self) -> None:
        assert compared(denied(), ack(1, qty=1.0)).is_downsize is None
        assert without_order(decision(), LiveOutcome.VETOED).is_downsize is None


class TestReduceLabels:
    def flip(self, held_qty: float | None, qty: float = 9.0) -> Diff:
        reduce = {"order_id": "7", "is_reduce_only": True}
        order = folded(ack(1, qty=qty, **reduce), fill(2, qty=qty, **reduce), ack(3), fill(4))
        order.legs[0].held_qty = held_qty
        return compare_sides(
            Settled(
                decision=decision(),
                order=order,
                outcome=LiveOutcome.EXECUTED,
                method=MatchMethod.INTENT_ID,
                reason=None,
            ),
            policy(),
        )

    def test_up_to_the_position_it_only_reduces(self) -> None:
        diff = self.flip(9.0)
        assert (diff.reduce_label, diff.is_upsize) == (ReduceLabel.HONEST, False)

    @pytest.mark.parametrize("held_qty", [4.0, 0.0])
    def test_what_exceeds_the_position_is_an_opening(self, held_qty: float) -> None:
        diff = self.flip(held_qty)
        assert (diff.reduce_label, diff.is_upsize) == (ReduceLabel.EXCEEDED, True)
        assert diff.live is not None
        assert (diff.live.requested_qty, diff.live.executed_qty) == (14.0 - held_qty, 14.0 - held_qty)

    def test_against_an_unknown_position_it_is_unknown(self) -> None:
        diff = self.flip(None)
        assert (diff.reduce_label, diff.is_upsize) == (ReduceLabel.UNKNOWN, False)

    def test_an_order_without_the_label_has_none(self) -> None:
        assert compared(decision(), ack(1)).reduce_label is None

    def test_an_unexplained_order_that_only_reduces_says_so(self) -> None:
        order = folded(ack(1), fill(2))
        for held_qty, is_reducing in ((5.0, True), (4.9, False), (None, False)):
            order.legs[0].held_qty = held_qty
            assert compare_sides(UnmatchedOrder(order, LiveOutcome.EXECUTED), policy()).is_reducing is is_reducing


class TestRevision:
    shadow = decision()

    def test_a_late_order_replaces_an_unresolved_outcome(self) -> None:
        known = without_order(self.shadow, LiveOutcome.UNRESOLVED)
        diff = revise(known, folded(ack(1000), fill(1001)), policy())
        assert diff is not None
        assert (diff.revision_of, diff.decision_id) == ("d1", "d1")
        assert (diff.live_outcome, diff.match_method, diff.match_dt_s) == (
            LiveOutcome.EXECUTED,
            MatchMethod.INTENT_ID,
            1000.0,
        )

    def test_a_late_fill_is_added_to_what_was_known(self) -> None:
        known = compared(self.shadow, ack(1), fill(2, qty=2.0, status=PARTLY))
        diff = revise(known, folded(fill(1000, qty=5.0)), policy())
        assert diff is not None
        assert diff.live is not None
        assert (diff.live.requested_qty, diff.live.executed_qty, diff.match_dt_s) == (5.0, 5.0, 1.0)

    @pytest.mark.parametrize("later", [fill(1000), ack(1), fill(1000, qty=2.0, status=PARTLY)])
    def test_a_mere_repeat_changes_nothing(self, later: OrderEvent) -> None:
        known = compared(self.shadow, ack(1), fill(2))
        assert revise(known, folded(later), policy()) is None

    def test_a_late_ack_of_an_order_that_had_ended_is_another_order(self) -> None:
        diff = revise(compared(self.shadow, ack(1), fill(2)), folded(ack(1000)), policy())
        assert diff is not None
        assert (diff.sizing_diff_pct, diff.is_upsize) == (1.0, True)

    def test_a_late_order_on_the_other_side_is_the_opposite_side(self) -> None:
        known = compared(self.shadow, ack(1), fill(2))
        diff = revise(known, folded(ack(1000, order_id="8", side=Side.SELL)), policy())
        assert diff is not None
        assert diff.mismatch_kind is MismatchKind.OPPOSITE_SIDE
        again = revise(diff, folded(ack(1001, order_id="9")), policy())
        assert again is not None
        assert again.mismatch_kind is MismatchKind.OPPOSITE_SIDE

    def test_a_late_order_by_id_replaces_the_one_that_time_had_paired(self) -> None:
        known = compare_sides(settled(self.shadow, ack(1, None, order_id="7"), method=MatchMethod.TIME), policy())
        diff = revise(known, folded(ack(2000, order_id="8"), fill(2001, order_id="8")), policy())
        assert diff is not None
        assert diff.live is not None
        assert [leg.order_id for leg in diff.live.legs] == ["8"]
        assert (diff.match_method, diff.is_upsize) == (MatchMethod.INTENT_ID, False)

    def test_a_late_fill_of_the_order_that_time_had_paired_is_added_to_it(self) -> None:
        known = compare_sides(settled(self.shadow, ack(1, None), method=MatchMethod.TIME), policy())
        diff = revise(known, folded(fill(2000)), policy())
        assert diff is not None
        assert diff.live is not None
        assert (diff.live.requested_qty, diff.live.executed_qty, len(diff.live.legs)) == (5.0, 5.0, 1)

    def test_an_order_that_was_refused_too_late_is_an_error(self) -> None:
        known = without_order(self.shadow, LiveOutcome.UNRESOLVED)
        diff = revise(known, folded(ack(1000, status=OrderStatus.REJECTED)), policy())
        assert diff is not None
        assert diff.live is not None
        assert (diff.live_outcome, diff.live.reason) == (LiveOutcome.ERROR, "REJECTED")

    def test_a_line_without_a_decision_is_not_revised(self) -> None:
        known = compare_sides(UnmatchedOrder(folded(ack(1)), LiveOutcome.EXECUTED), policy())
        assert revise(known, folded(fill(1000)), policy()) is None


@given(
    st.sampled_from([None, 0.0, 1.0, 5.0, 7.5, 1e308]),
    st.sampled_from([None, 0.0, 1.0, 5.0, 7.5, 1e308]),
    st.sampled_from([None, 0.0, 99.5, 100.0, 1e308]),
    st.sampled_from([None, 0.25]),
    st.sampled_from(list(OrderStatus)),
    st.sampled_from([None, PositionSide.LONG, PositionSide.SHORT]),
    st.sampled_from([None, PositionSide.LONG, PositionSide.SHORT]),
    st.booleans(),
)
# The short way is for filled orders, which are few among all that may be drawn.
@example(5.0, 5.0, 100.0, 0.25, OrderStatus.FILLED, PositionSide.LONG, None, False)
@example(5.0, 5.0, 100.0, 0.25, OrderStatus.FILLED, PositionSide.LONG, PositionSide.SHORT, False)
@example(5.0, 7.5, 99.5, None, OrderStatus.FILLED, None, PositionSide.SHORT, False)
def test_the_short_way_of_an_order_of_one_leg_says_what_the_long_way_says(
    requested_qty: float | None,
    executed_qty: float | None,
    avg_price: float | None,
    fees_usd: float | None,
    status: OrderStatus,
    position_side: PositionSide | None,
    other_position_side: PositionSide | None,
    is_reduce_only: bool,
) -> None:
    one = leg(
        requested_qty=requested_qty,
        executed_qty=executed_qty,
        avg_price=avg_price,
        fees_usd=fees_usd,
        status=status,
        position_side=position_side,
        is_reduce_only=is_reduce_only,
    )
    order = replace(folded(ack()), legs=[one], other_position_side=other_position_side)
    short = live_side.describe_live(order, decision(), None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(live_side, "_describe_one_leg", lambda *_: None)
        assert live_side.describe_live(order, decision(), None) == short


def test_a_fill_on_another_position_than_its_ack_is_a_wrong_position_side() -> None:
    acked = replace(ack(1), position_side=PositionSide.LONG)
    filled = replace(fill(2), position_side=PositionSide.SHORT)
    assert compare_sides(settled(decision(), acked, filled), policy()).is_position_side_wrong is True
