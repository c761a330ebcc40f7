"""What a live executor may do wrong with the single orders of one intent: rows in, the rows they become out. Pure.

As `simulator.live_faults`, for faults that no row shows by itself: orders that add up, follow one another or contradict
one another. The table is `simulator.fault_table`.
"""

from collections.abc import Iterable

from pipeline_v6_dagster.simulator.live_faults import opening_leg
from pipeline_v6_dagster.simulator.log_rows import (
    ACK,
    FILL,
    ORDERS,
    OTHER_SIDE,
    REQUESTED,
    event,
    field,
    is_reducing,
    moved,
    number,
    reordered,
    scaled,
    with_added,
    with_fields,
    with_other_side,
    without,
)
from pipeline_v6_dagster.simulator.orders import LogLine, Row
from pipeline_v6_dagster.simulator.row_injector import Spoil, Target

_APART_S = 0.01


def flips(line: LogLine, attempt: Row | None) -> bool:
    """The ack of the reduce leg of a flip."""
    return (
        line.log == ORDERS
        and event(line) == ACK
        and attempt is not None
        and attempt.get("reduce_only") is not True
        and is_reducing(line)
    )


def split(factor: float, parts: int) -> Spoil:
    """Send so many small orders, which add up to `factor` times the quantity."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        if event(line) not in (ACK, FILL):
            return (line,)
        share = factor / parts
        first = scaled(line, share)
        return (first, *(moved(scaled(reordered(line, f"{part}"), share), part * _APART_S) for part in range(1, parts)))

    return opening_leg(spoil)


def send_again_larger(factor: float) -> Spoil:
    """Cancel the order, and send another one of `factor` times the quantity, which fills."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        other = moved(scaled(reordered(line, "7"), factor), 2 * _APART_S)
        if event(line) == ACK:
            return line, moved(with_fields(line, status="CANCELED"), _APART_S), other
        return (other,) if event(line) == FILL else (line,)

    return opening_leg(spoil)


def rest_unsized(factor: float) -> Spoil:
    """Make the order `factor` times as large, beside another one that rests and does not say its size."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        larger = scaled(line, factor)
        if event(line) != ACK:
            return (larger,)
        return larger, moved(reordered(with_fields(without(line, *REQUESTED), status="NEW"), "8"), _APART_S)

    return opening_leg(spoil)


def fill_more_by_other_name(factor: float) -> Spoil:
    """Fill `factor` times the order, and name the quantity as other exchanges do."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        qty = number(line.row, "executedQty")
        if event(line) != FILL or qty is None:
            return (line,)
        return (with_added(without(line, "executedQty"), cumQty=factor * qty),)

    return opening_leg(spoil)


def hedge_again() -> Spoil:
    """Send a second order of the same intent, the other way round."""
    return opening_leg(lambda line, _: (line, moved(with_other_side(reordered(line, "4")), _APART_S)))


def fill_other_position() -> Spoil:
    """Fill another position than the ack of the order names."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        acked = field(line.row, "positionSide")
        wrong = OTHER_SIDE.get(str(acked))
        return (with_fields(line, positionSide=wrong),) if event(line) == FILL and wrong else (line,)

    return opening_leg(spoil)


def write_signed(factor: float) -> Spoil:
    """Log quantities with a sign, as of a sale, and `factor` times as large."""
    return opening_leg(lambda line, _: (scaled(line, -factor),) if line.log == ORDERS else (line,))


def write_unknown_side(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Name the side of an order in a word that nobody knows."""
    return (with_added(line, side="X"),) if line.log == ORDERS and event(line) == ACK else (line,)
