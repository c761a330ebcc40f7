"""What the logs of an executor may have wrong, one function a fault: rows of a chosen order in, rows out. Pure.

The executor does what it should here; what it writes about it is wrong, missing, or not its own. The table is
`simulator.fault_table`.
"""

from collections.abc import Iterable

from pipeline_v6_dagster.simulator.log_rows import (
    ACK,
    ATTEMPTS,
    FILL,
    ORDERS,
    VETOES,
    changed,
    event,
    moved,
    with_added,
    with_fields,
    without,
)
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.simulator.row_injector import Spoil, Target

OTHER_PROCESS = {"hostname": "executor-other", "pid": 99}
ABSURD_QTY = 1e300
ABSURD_FEE_RATIO = 0.5


def ack_by_two(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Ack the same order from another process as well."""
    return (line, moved(with_added(line, **OTHER_PROCESS), 0.2)) if event(line) == ACK else (line,)


def write_by_another(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Write every other row of an order from another process."""
    turn = target.memo.get("turn") is not True
    target.memo["turn"] = turn
    return (with_added(line, **OTHER_PROCESS) if turn else line,)


def drop_ids(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log order and veto without their ids, as older executors do."""
    return (without(line, "intent_id", "attempt_id"),) if line.log in (ORDERS, VETOES) else (line,)


def write_unread_event(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log fills under an event type that nobody reads."""
    is_fill = line.log == ORDERS and event(line) == FILL
    return (with_added(line, event_type="trade_execution"),) if is_fill else (line,)


def write_fill_of_no_order(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log fills without the id of their order, so that they cannot be used."""
    if line.log != ORDERS or event(line) != FILL:
        return (line,)
    return (without(line, "orderId", "order_id", "clientOrderId", "client_order_id", "request_id"),)


def write_absurd_price(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log fills at twice their price, far from the attempt and from the market."""
    price = line.row.get("avgPrice")
    if line.log != ORDERS or event(line) != FILL or not isinstance(price, int | float):
        return (line,)
    return (with_fields(line, avgPrice=2 * price),)


def write_absurd_fee(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log fills with a fee of half of their notional."""
    qty, price = line.row.get("executedQty"), line.row.get("avgPrice")
    if line.log != ORDERS or event(line) != FILL or not isinstance(qty, int | float):
        return (line,)
    if not isinstance(price, int | float):
        return (line,)
    return (with_added(line, fee_total=ABSURD_FEE_RATIO * qty * price, feeAsset="USDT"),)


def write_dry_run(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log an order that reached the exchange as a dry run."""
    return (with_added(line, dry_run=True),) if line.log == ORDERS else (line,)


def write_absurd_fill(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Log fills of a quantity beyond anything that exists."""
    is_fill = line.log == ORDERS and event(line) == FILL
    return (with_fields(line, executedQty=ABSURD_QTY),) if is_fill else (line,)


def vanish(line: LogLine, target: Target) -> Iterable[LogLine]:
    """Nothing was ever asked for: no row of it anywhere."""
    return ()


def shift(seconds: float) -> Spoil:
    """Log with a clock that is `seconds` ahead."""
    return lambda line, _: (moved(line, seconds),)


def write_nav(nav_usd: float | None) -> Spoil:
    """Attempts without a NAV, or always with the same one."""

    def spoil(line: LogLine, _: Target) -> Iterable[LogLine]:
        nav = line.row.get("nav_snapshot")
        if line.log != ATTEMPTS or not isinstance(nav, dict):
            return (line,)
        rest = {name: value for name, value in nav.items() if name not in ("nav_usd", "nav")}
        return (changed(line, {**line.row, "nav_snapshot": rest if nav_usd is None else {**rest, "nav_usd": nav_usd}}),)

    return spoil
