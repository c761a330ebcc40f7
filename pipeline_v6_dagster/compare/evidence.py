"""What one piece of live evidence says: its outcome, when it is final, which decision it may belong to."""

from typing import TypeVar

from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.domain.comparison import LiveOutcome, MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import LiveOrder, OrderEvent, OrderStatus, Veto

Row = TypeVar("Row", Veto, OrderEvent)


def outcome_of(order: LiveOrder) -> LiveOutcome:
    """Executed where an order was placed; an error where the exchange refused all of it."""
    return LiveOutcome.ERROR if all(leg.is_rejected for leg in order.legs) else LiveOutcome.EXECUTED


def reason_of(order: LiveOrder, veto: Veto | None, error: OrderEvent | None) -> str | None:
    """Why an order that the exchange refused was not executed: the veto's reason, the error's, or its status."""
    if outcome_of(order) is LiveOutcome.EXECUTED:
        return None
    return (veto.reason if veto else None) or (error.reason if error else None) or OrderStatus.REJECTED.value


def final_ts_of(order: LiveOrder, is_reduce_only: bool, grace_s: float) -> float | None:
    """When nothing more of an order was to come; None while something is.

    A flip is not final with its reduce leg alone. After a cancel another order of the intent may follow.
    """
    own_legs = [leg for leg in order.legs if is_reduce_only or not leg.is_reduce_only]
    if not own_legs or not all(leg.is_final for leg in order.legs):
        return None
    is_filled = own_legs[-1].status is OrderStatus.FILLED
    return order.last_ts + (0.0 if is_filled else grace_s)


def is_named_by(intent_id: str | None, attempt_id: str | None, decision: ShadowSide) -> bool:
    """Whether ids name a decision."""
    if intent_id is not None and intent_id == decision.intent_id:
        return True
    return attempt_id is not None and own_attempt_id(attempt_id) == decision.attempt_id


def may_belong(row: Veto | OrderEvent, decision: ShadowSide) -> bool:
    """Whether a row without ids may be of a decision: the same symbol, and the same side where it names one."""
    if row.intent_id is not None or row.attempt_id is not None:
        return False
    return row.symbol == decision.symbol and row.side in (None, decision.side)


def method_of(row: Veto | OrderEvent, decision: ShadowSide) -> MatchMethod:
    """What pairs a veto or an error with a decision."""
    if row.intent_id is not None and row.intent_id == decision.intent_id:
        return MatchMethod.INTENT_ID
    return MatchMethod.TIME if row.attempt_id is None else MatchMethod.ATTEMPT_ID


def take_named(rows: list[Row], decision: ShadowSide, oldest_ts: float) -> Row | None:
    """The first row that carries an id of the decision and is not older, taken out of `rows`."""
    for index, row in enumerate(rows):
        if row.ts >= oldest_ts and is_named_by(row.intent_id, row.attempt_id, decision):
            return rows.pop(index)
    return None


def newer_than(rows: list[Row], oldest_ts: float) -> tuple[list[Row], int]:
    """The rows that are not older, and how many are."""
    kept = [row for row in rows if row.ts >= oldest_ts]
    return kept, len(rows) - len(kept)
