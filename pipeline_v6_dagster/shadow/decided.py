"""What the account remembers of a decision, the same from the decision itself and from its row in the shadow log."""

from typing import Protocol

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.pending import AllowedAttempt
from pipeline_v6_dagster.shadow.readings import EPSILON, is_positive
from pipeline_v6_dagster.shadow.rolling import RollingState


class DecidedIntent(Protocol):
    """What is read of an intent, or of a row that holds one."""

    symbol: str
    side: Side | None
    qty: float | None
    price: float | None
    nav_usd: float | None
    open_positions_count: int | None
    reduce_only: bool
    intent_id: str | None
    attempt_id: str | None
    amends: str | None


class DecidedState(Protocol):
    """What is read of a state, or of a row that holds one."""

    portfolio_gross_usd: float | None
    has_position: bool | None
    snapshot_ts: float | None
    position_qty: float | None


class DecidedSize(Protocol):
    """What v6 would have ordered."""

    qty: float
    gross_usd: float


def note_decision(
    account: RollingState, intent: DecidedIntent, state: DecidedState, as_of: float, size: DecidedSize | None
) -> None:
    """Remember what was decided; `size` is None where it was denied."""
    pending, snapshot_ts = account.pending, state.snapshot_ts
    if snapshot_ts is not None:
        pending.note_snapshot(as_of, (intent.nav_usd, state.portfolio_gross_usd, intent.open_positions_count))
        if state.has_position is False:
            account.positions.flat(intent.symbol, snapshot_ts)
    pending.note_attempt(as_of, intent.symbol, intent.price)
    if size is None:
        return
    opening = opening_share(intent, state)
    if opening > 0 and size.qty > 0:
        pending.note_allowed(
            AllowedAttempt(
                as_of,
                intent.symbol,
                intent.side,
                size.qty * opening,
                size.gross_usd * opening,
                intent.intent_id,
                intent.attempt_id,
            ),
            intent.amends,
        )


def opening_share(intent: DecidedIntent, state: DecidedState) -> float:
    """The share of the order that opens: 1 without reduce-only, of a reduce-only order what exceeds the position.

    0 where the position is not known, because the exchange enforces the flag, and where it is known to be 0, because
    `reduce_only_invalid` denies that.
    """
    if not intent.reduce_only:
        return 1.0
    position, qty = state.position_qty, intent.qty
    if position is None or not is_positive(position) or qty is None or not is_positive(qty):
        return 0.0
    return (qty - position) / qty if qty > position * (1 + EPSILON) else 0.0
