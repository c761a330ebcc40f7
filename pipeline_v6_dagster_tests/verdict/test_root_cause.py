"""Why a decision and an order differ."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, LiveSide, MismatchKind, RootCause
from pipeline_v6_dagster.domain.live import ExchangeFilter, Leg, OrderStatus
from pipeline_v6_dagster.verdict.root_cause import CauseContext, explain
from pipeline_v6_dagster_tests.live_builders import PRICE, T0, decision, denied, diff

VETOED = MismatchKind.SHADOW_VETOED_LIVE_EXECUTED
ABSENT = MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT


def leg(qty: float, order_id: str = "1", *, is_reduce_only: bool = False, executed: float | None = None) -> Leg:
    return Leg(
        order_id=order_id,
        is_reduce_only=is_reduce_only,
        requested_qty=qty,
        executed_qty=qty if executed is None else executed,
    )


def live(qty: float | None = 5.0, *legs: Leg, **changes: Any) -> LiveSide:
    """Live asked for so much at the decision price, and it was filled."""
    fields = dict.fromkeys(LiveSide.__slots__) | {
        "legs": legs,
        "requested_qty": qty,
        "executed_qty": qty,
        "gross_usd": None if qty is None else qty * PRICE,
        "status": OrderStatus.FILLED,
    }
    return LiveSide(**(fields | changes))


def absent(outcome: LiveOutcome, reason: str | None = None, **changes: Any) -> Diff:
    side = None if reason is None else live(None, reason=reason)
    return diff(mismatch_kind=ABSENT, veto_mismatch=True, live_outcome=outcome, live=side, **changes)


def upsized(side: LiveSide, usd: float = 500.0, **changes: Any) -> Diff:
    asked = decision(quote_notional=usd, sized_gross_usd=usd, sized_qty=usd / PRICE)
    return diff(is_upsize=True, shadow=asked, live=side, **changes)


def explained(found: Diff, **given: Any) -> Diff:
    explain(found, CauseContext(**given))
    return found


def cause(found: Diff, **given: Any) -> RootCause | None:
    return explained(found, **given).root_cause


@pytest.mark.parametrize("kind", [MismatchKind.MATCH, MismatchKind.MATCH_VETO])
def test_agreement_has_no_cause(kind: MismatchKind) -> None:
    assert cause(diff(mismatch_kind=kind)) is None
    assert cause(diff(mismatch_kind=kind, shadow=decision(), live=live())) is None


@pytest.mark.parametrize(
    ("outcome", "reason", "expected", "detail"),
    [
        (LiveOutcome.VETOED, "bucket_cap", RootCause.LIVE_VETO, "bucket_cap"),
        (LiveOutcome.VETOED, "nav_stale", RootCause.NAV_STALE, "nav_stale"),
    ],
)
def test_an_absent_order_has_the_cause_of_its_outcome(
    outcome: LiveOutcome, reason: str | None, expected: RootCause, detail: str | None
) -> None:
    found = explained(absent(outcome, reason))
    assert (found.root_cause, found.cause_detail) == (expected, detail)


def test_of_two_attempts_of_one_intent_the_one_that_nobody_answered_is_a_duplicate() -> None:
    unknown = diff(mismatch_kind=MismatchKind.LIVE_UNKNOWN, veto_mismatch=None, live_outcome=LiveOutcome.UNRESOLVED)
    assert cause(unknown) is RootCause.UNRESOLVED
    assert cause(unknown, shares_intent=True) is RootCause.DUPLICATE


def test_what_the_exchange_refused_is_a_match_with_a_live_error() -> None:
    found = explained(diff(live_outcome=LiveOutcome.ERROR, live=live(reason="HTTPError")))
    assert (found.root_cause, found.cause_detail) == (RootCause.LIVE_ERROR, "HTTPError")


@pytest.mark.parametrize("kind", [MismatchKind.OPPOSITE_SIDE, MismatchKind.WRONG_SYMBOL])
def test_another_side_or_symbol_is_unexplained(kind: MismatchKind) -> None:
    assert cause(diff(mismatch_kind=kind, veto_mismatch=True)) is RootCause.UNEXPLAINED


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (("symbol_cap",), RootCause.SHADOW_RULE),
        (("nav_stale",), RootCause.NAV_STALE),
        (("nav_stale", "symbol_cap"), RootCause.SHADOW_RULE),
        ((), RootCause.UNEXPLAINED),
    ],
)
def test_an_order_that_v6_denied_was_denied_by_rules_that_are_named_or_for_want_of_nav(
    reasons: tuple[str, ...], expected: RootCause
) -> None:
    found = explained(diff(mismatch_kind=VETOED, veto_mismatch=True, shadow=denied(reasons=reasons)))
    assert (found.root_cause, found.cause_detail) == (expected, "+".join(reasons) or None)


@pytest.mark.parametrize(("at", "expected"), [(-1, False), (0, True), (900, True), (901, False)])
def test_right_after_a_change_of_the_configuration_live_may_still_have_the_one_before(at: int, expected: bool) -> None:
    given = {"config_changed_ts": T0, "config_settles_s": 900.0}
    for found in (
        diff(at, mismatch_kind=VETOED, veto_mismatch=True, shadow=denied(at)),
        replace(absent(LiveOutcome.VETOED, "bucket_cap"), ts=T0 + at),
    ):
        assert (cause(found, **given) is RootCause.CONFIG_CHANGED) is expected
    assert cause(diff(mismatch_kind=VETOED, veto_mismatch=True, shadow=denied())) is RootCause.SHADOW_RULE


def test_an_order_without_a_decision_has_none_to_explain_it() -> None:
    assert cause(diff(mismatch_kind=MismatchKind.LIVE_ONLY)) is RootCause.NO_DECISION


def test_a_revision_that_ends_a_mismatch_was_late() -> None:
    before = absent(LiveOutcome.UNRESOLVED)
    assert cause(diff(shadow=decision(), live=live()), before=before) is RootCause.LATE


class TestUpsizes:
    exchange = ExchangeFilter(lot_step=0.01, min_notional_usd=20.0)

    @pytest.mark.parametrize(
        ("asked_usd", "qty", "expected"),
        [
            (10.0, 0.20, RootCause.MIN_NOTIONAL_LIFT),
            (10.0, 0.21, RootCause.MIN_NOTIONAL_LIFT),  # one lot more, because the price had moved
            (10.0, 0.30, RootCause.UNEXPLAINED),  # lifted far beyond the least
            (20.0, 0.40, RootCause.UNEXPLAINED),  # it was worth enough
        ],
    )
    def test_an_order_below_the_least_notional_is_lifted_to_it(
        self, asked_usd: float, qty: float, expected: RootCause
    ) -> None:
        assert cause(upsized(live(qty, leg(qty)), asked_usd), exchange=self.exchange) is expected

    def test_what_is_within_a_lot_of_the_exchange_is_rounding(self) -> None:
        assert cause(upsized(live(5.01, leg(5.01))), exchange=self.exchange) is RootCause.LOT_ROUNDING

    @pytest.mark.parametrize("opening", [8.0, 13.0])
    def test_an_opening_leg_that_took_over_the_size_of_the_reduce_leg(self, opening: float) -> None:
        legs = (leg(8.0, "1", is_reduce_only=True), leg(opening, "2"))
        assert cause(upsized(live(opening, *legs))) is RootCause.FLIP_LEG

    def test_an_order_sent_twice(self) -> None:
        assert cause(upsized(live(10.0, leg(5.0, "1"), leg(5.0, "2")))) is RootCause.DUPLICATE

    def test_a_flat_row_of_the_right_quantity_at_another_price(self) -> None:
        flat = live(None, leg(5.0), executed_qty=5.0, gross_usd=510.0)
        assert cause(upsized(flat)) is RootCause.PRICE_MOVED

    def test_what_nothing_explains_is_said_to_be_unexplained(self) -> None:
        found = explained(upsized(live(10.0, leg(10.0))), exchange=self.exchange)
        assert (found.root_cause, found.upsize_cause) == (RootCause.UNEXPLAINED, RootCause.UNEXPLAINED)

    def test_an_upsize_that_v6_denied_has_both_causes(self) -> None:
        asked = denied(quote_notional=10.0)
        found = diff(mismatch_kind=VETOED, veto_mismatch=True, is_upsize=True, shadow=asked, live=live(0.2, leg(0.2)))
        explained(found, exchange=self.exchange)
        assert (found.root_cause, found.upsize_cause) == (RootCause.SHADOW_RULE, RootCause.MIN_NOTIONAL_LIFT)


class TestSizes:
    def test_a_flip_whose_opening_leg_never_came(self) -> None:
        side = live(None, leg(8.0, is_reduce_only=True))
        assert cause(diff(shadow=decision(), live=side)) is RootCause.FLIP_LEG
        assert cause(diff(shadow=decision(is_reduce_only=True), live=side)) is None

    @pytest.mark.parametrize(
        ("status", "expected"),
        [(OrderStatus.CANCELED, RootCause.PARTIAL_FILL), (OrderStatus.PARTIALLY_FILLED, None)],
    )
    def test_an_order_that_ended_before_it_was_filled(self, status: OrderStatus, expected: RootCause | None) -> None:
        side = live(5.0, leg(5.0, executed=2.0), executed_qty=2.0, status=status)
        assert cause(diff(shadow=decision(), live=side)) is expected
