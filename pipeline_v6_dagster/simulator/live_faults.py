"""What a live executor may do wrong, one function a fault: rows of a chosen order in, the rows it becomes out. Pure.

Each works on real rows as on simulated ones: what a row does not say stays unsaid. The table is
`simulator.fault_table`.
"""

from collections.abc import Iterable

from pipeline_v6_dagster.domain.live import PLACED_BY_V6
from pipeline_v6_dagster.simulator.log_rows import (
    ACK,
    ATTEMPTS,
    ERROR,
    FILL,
    METRICS,
    ORDERS,
    VETOES,
    changed,
    event,
    field,
    has_ids,
    is_reducing,
    moved,
    number,
    order_id,
    renamed,
    reordered,
    scaled,
    scaled_execution,
    side,
    with_added,
    with_fields,
    with_other_side,
)
from pipeline_v6_dagster.simulator.orders import LogLine, Row
from pipeline_v6_dagster.simulator.row_injector import Spoil, Target

_QUANTITIES = ("request_qty", "origQty")


# With which row a fault can begin.


def opens(line: LogLine, attempt: Row | None) -> bool:
    """The ack of an opening order that names its intent, and whose attempt is known and opens."""
    return (
        _answers(line, attempt)
        and event(line) == ACK
        and not is_reducing(line)
        and not _asks_to_reduce(attempt)
        and side(line.row) is not None
        and number(line.row, *_QUANTITIES) is not None
    )


def opens_from_flat(line: LogLine, attempt: Row | None) -> bool:
    """The same, where the account is known to hold nothing of the symbol."""
    if not opens(line, attempt) or attempt is None:
        return False
    nav, symbol = attempt.get("nav_snapshot"), attempt.get("symbol")
    if not isinstance(nav, dict):
        return False
    held = nav.get("symbol_gross_usd")
    return nav.get("gross_usd") == 0 or (isinstance(held, dict) and bool(held) and symbol not in held)


def answers(line: LogLine, attempt: Row | None) -> bool:
    """The first order row that answers an attempt."""
    return _answers(line, attempt) and event(line) in (ACK, ERROR)


def answers_reducing(line: LogLine, attempt: Row | None) -> bool:
    """The same of a reduce-only attempt."""
    return answers(line, attempt) and _asks_to_reduce(attempt)


def answers_selling(line: LogLine, attempt: Row | None) -> bool:
    """The same of an attempt to sell."""
    return answers(line, attempt) and attempt is not None and side(attempt) == "SELL"


def vetoes(line: LogLine, attempt: Row | None) -> bool:
    """A veto of an attempt that is known."""
    return line.log == VETOES and attempt is not None and number(attempt, "qty") is not None


def asks(line: LogLine, attempt: Row | None) -> bool:
    """An attempt."""
    return line.log == ATTEMPTS


def _answers(line: LogLine, attempt: Row | None) -> bool:
    return line.log == ORDERS and attempt is not None and has_ids(line)


def _asks_to_reduce(attempt: Row | None) -> bool:
    return attempt is not None and attempt.get("reduce_only") is True


# What becomes of the rows.


def opening_leg(spoil: Spoil) -> Spoil:
    """Leave the attempt, the vetoes and the reduce leg of a flip alone."""

    def wrapped(line: LogLine, target: Target) -> Iterable[LogLine]:
        is_own = line.log in (ORDERS, METRICS) and not is_reducing(line)
        return spoil(line, target) if is_own else (line,)

    return wrapped


def trade_other_side() -> Spoil:
    """Buy where a sale was asked for."""
    return opening_leg(lambda line, _: (with_other_side(line),))


def trade_other_symbol() -> Spoil:
    """Trade another symbol."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        own = target.attempt.get("symbol") if target.attempt else None
        others = sorted(symbol for symbol in target.symbols if symbol != own)
        other = target.memo.setdefault("symbol", target.rng.choice(others) if others else f"OTHER{own}")
        return (with_fields(line, symbol=other),)

    return opening_leg(spoil)


def trade_other_position_side() -> Spoil:
    """Buy into the short position, or sell out of the long one."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        named = side(line.row)
        wrong = "SHORT" if named == "BUY" else "LONG"
        return (with_added(with_fields(line, positionSide=wrong), positionSide=wrong) if named else line,)

    return opening_leg(spoil)


def resize(factor: float) -> Spoil:
    """Ask for and execute `factor` times the quantity."""
    return opening_leg(lambda line, _: (scaled(line, factor),) if line.log == ORDERS else (line,))


def execute(factor: float) -> Spoil:
    """Execute `factor` times the quantity; what was asked for stays. A smaller execution ends cancelled."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        if line.log != ORDERS or event(line) != FILL:
            return (line,)
        filled = scaled_execution(line, factor)
        is_final = line.row.get("status") == "FILLED" and factor < 1
        return (with_fields(filled, status="CANCELED") if is_final else filled,)

    return spoil


def repeat_order(delay_s: float) -> Spoil:
    """Send a second order of the same intent, which stays on the market."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        if event(line) != ACK or target.memo.setdefault("order", order_id(line)) != order_id(line):
            return (line,)
        return (line, moved(with_fields(reordered(line, "9"), status="NEW"), delay_s))

    return opening_leg(spoil)


def grow_order() -> Spoil:
    """Ack the same order again at twice the quantity, without an attempt that amends it."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        if event(line) != ACK or target.memo.setdefault("order", order_id(line)) != order_id(line):
            return (line,)
        return (line, moved(scaled(line, 2.0), 0.01))

    return opening_leg(spoil)


def ack_again() -> Spoil:
    """Ack an order id again after it has ended, as an executor that counts from 1 does, and execute it again."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        if event(line) == ACK:
            target.memo.setdefault("ack", line)
        ack = target.memo.get("ack")
        is_last = event(line) == FILL and line.row.get("status") == "FILLED" and "again" not in target.memo
        if not is_last or not isinstance(ack, LogLine) or order_id(ack) != order_id(line):
            return (line,)
        target.memo["again"] = True
        later_s = line.ts - ack.ts + 1.0
        return (line, moved(with_fields(ack, status="NEW"), later_s), moved(line, later_s))

    return opening_leg(spoil)


def label_reducing() -> Spoil:
    """Label an opening order as reduce-only."""
    return opening_leg(lambda line, _: (with_added(line, reduceOnly=True),) if line.log == ORDERS else (line,))


def send_rogue(factor: float) -> Spoil:
    """Send an order of `factor` times the quantity that nobody asked for, half an hour after a real one."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        if line.log != ORDERS or event(line) not in (ACK, FILL):
            return (line,)
        return (line, moved(scaled(renamed(line, "00"), factor), 1800.0))

    return opening_leg(spoil)


def place_by_v6(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Let v6 place the order, whatever it may do."""
    return (with_added(line, placed_by=PLACED_BY_V6),) if line.log == ORDERS else (line,)


def stay_silent(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Do nothing about an attempt: neither order nor veto nor error."""
    return () if line.log in (ORDERS, METRICS) else (line,)


def veto(reasons: tuple[str, ...]) -> Spoil:
    """Veto an attempt instead of trading, for one of these reasons in turn."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        if line.log not in (ORDERS, METRICS):
            return (line,)
        if "veto" in target.memo:
            return ()
        target.memo["veto"] = True
        reason = target.rng.choice(reasons)
        asked = target.attempt or {}
        row: Row = {name: asked.get(name) for name in ("symbol", "side", "intent_id", "attempt_id")}
        row |= {"veto_reason": reason, "veto_detail": {"reasons": [reason], "intent": dict(row)}}
        row |= {name: line.row[name] for name in ("ts", "pid", "hostname") if name in line.row}
        return (changed(line, row | {"event_type": "risk_veto"}, VETOES),)

    return spoil


def trade_vetoed(*, is_renamed: bool) -> Spoil:
    """Execute what was vetoed, under its own ids in place of the veto or under others after it."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        asked = target.attempt
        if line.log != VETOES or asked is None:
            return (line,)
        number_, qty = target.rng.randrange(10**9, 10**10), number(asked, "qty")
        ids = {name: asked.get(name) for name in ("intent_id", "attempt_id")}
        if is_renamed:
            ids = {name: f"{value}_again" for name, value in ids.items()}
        position_side = "LONG" if side(asked) == "BUY" else "SHORT"
        row: Row = {
            "symbol": asked.get("symbol"),
            "side": side(asked),
            "orderId": number_,
            "positionSide": position_side,
        }
        row |= ids | {name: line.row[name] for name in ("ts", "pid", "hostname") if name in line.row}
        price = number(asked, "price_hint", "price")
        ack: Row = row | {"event_type": ACK, "request_qty": qty, "order_type": "MARKET", "status": "NEW"}
        fill: Row = row | {"event_type": FILL, "executedQty": qty, "avgPrice": price, "status": "FILLED"}
        order = [moved(changed(line, ack, ORDERS), 0.5), moved(changed(line, fill, ORDERS), 1.0)]
        return [line, *order] if is_renamed else order

    return spoil


def delay(seconds: float) -> Spoil:
    """Send an order `seconds` late."""
    return lambda line, _: (moved(line, seconds),) if line.log in (ORDERS, METRICS) else (line,)


def slip(bps: float) -> Spoil:
    """Fill `bps` worse or better than the price that was logged."""

    def spoil(line: LogLine, target: Target) -> Iterable[LogLine]:
        price = number(line.row, "avgPrice")
        if line.log != ORDERS or event(line) != FILL or not price:
            return (line,)
        sign = target.memo.setdefault("sign", target.rng.choice((-1, 1)))
        return (with_fields(line, avgPrice=price * (1 + bps * 1e-4 * (1 if sign == 1 else -1))),)

    return spoil


def route_otherwise(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Cross the spread where an order rested, and the other way round."""
    other = "LIMIT" if field(line.row, "order_type", "type") == "MARKET" else "MARKET"
    return (with_fields(line, order_type=other, type=other),) if event(line) == ACK else (line,)
