"""The rows of an executor's logs, read and rewritten in whatever shape they have (SPEC section 3). Pure.

Belongs here: where a row keeps its order, side, quantity and times, and a copy of it with another one. Ids may be
absent; older acks keep side, symbol and quantity in `raw`, the exchange's answer.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX
from pipeline_v6_dagster.simulator.orders import LogLine, Row

ATTEMPTS, ORDERS, METRICS = "orders_attempted", "orders_executed", "order_metrics"
VETOES, POSITIONS = "risk_vetoes", "position_state"
LOGS = (ATTEMPTS, ORDERS, METRICS, VETOES, POSITIONS)

ACK, FILL, ERROR = "order_ack", "order_fill", "order_error"
OTHER_SIDE = {"BUY": "SELL", "SELL": "BUY", "LONG": "SHORT", "SHORT": "LONG"}
REQUESTED = ("request_qty", "origQty", "rounded_qty", "qty")
_EXECUTED = ("executedQty", "cumQty", "cumQuote")
_TIMES = ("ts", "local_ts", "ts_ack", "ts_fill_first", "ts_fill_last", "ts_close", "timestamp")
_SIDES = ("side", "signal")
_POSITION_SIDES = ("positionSide", "position_side")
_IDS = ("intent_id", "attempt_id")
_ORDER_IDS = ("orderId", "order_id", "clientOrderId", "client_order_id")
_NESTED = ("raw", "payload")


def event(line: LogLine) -> str:
    """The event type of a row, empty where it names none."""
    name = line.row.get("event_type") or line.row.get("event")
    return name if isinstance(name, str) else ""


def field(row: Mapping[str, object], *names: str) -> object:
    """The first of these fields that a row or its `raw` part has; None if there is none."""
    raw = row.get("raw")
    for name in names:
        value = row.get(name)
        if value is None and isinstance(raw, dict):
            value = raw.get(name)
        if value is not None:
            return value
    return None


def number(row: Mapping[str, object], *names: str) -> float | None:
    """The same as a finite number, also where it stands as text."""
    value = field(row, *names)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def key(line: LogLine) -> str | None:
    """What names the intent that a row belongs to: its intent id, attempt id or order id; None where it has none."""
    detail = line.row.get("veto_detail")
    intent = detail.get("intent") if isinstance(detail, dict) else None
    for row in (line.row, intent if isinstance(intent, dict) else {}):
        for name in _IDS:
            value = row.get(name)
            if isinstance(value, str) and value:
                return value.removesuffix(REDUCE_SUFFIX)
    order_id = field(line.row, *_ORDER_IDS)
    return None if order_id is None else str(order_id)


def order_id(line: LogLine) -> str | None:
    """The exchange's id of the order that a row is about."""
    found = field(line.row, *_ORDER_IDS)
    return None if found is None else str(found)


def has_ids(line: LogLine) -> bool:
    """Whether a row names its intent or attempt."""
    return any(isinstance(line.row.get(name), str) and line.row[name] for name in _IDS)


def side(row: Mapping[str, object]) -> str | None:
    """BUY or SELL, whatever a row calls it."""
    found = field(row, *_SIDES)
    name = found.upper() if isinstance(found, str) else ""
    return {"BUY": "BUY", "LONG": "BUY", "SELL": "SELL", "SHORT": "SELL"}.get(name)


def is_reducing(line: LogLine) -> bool:
    """Whether a row says that its order only reduces a position."""
    attempt_id = line.row.get("attempt_id")
    if isinstance(attempt_id, str) and attempt_id.endswith(REDUCE_SUFFIX):
        return True
    return str(field(line.row, "reduceOnly", "reduce_only")).lower() == "true"


def changed(line: LogLine, row: Row, log: str | None = None) -> LogLine:
    """The line with another row, for another log where one is named."""
    return replace(line, log=log or line.log, row=row, raw=None)


def with_fields(line: LogLine, **fields: object) -> LogLine:
    """The line with these fields changed where the row has them, also in its nested parts."""
    return _rewritten(line, fields.keys(), lambda name, _: fields[name])


def with_added(line: LogLine, **fields: object) -> LogLine:
    """The line with these fields, whether or not the row had them."""
    return changed(line, {**line.row, **fields})


def without(line: LogLine, *names: str) -> LogLine:
    """The line without these fields."""
    row = {name: value for name, value in line.row.items() if name not in names}
    for part in _NESTED:
        nested = row.get(part)
        if isinstance(nested, dict):
            row[part] = {name: value for name, value in nested.items() if name not in names}
    return changed(line, row)


def with_other_side(line: LogLine) -> LogLine:
    """The line of an order the other way round: BUY for SELL, LONG for SHORT."""
    return _rewritten(line, {*_SIDES, *_POSITION_SIDES}, lambda _, value: OTHER_SIDE.get(str(value).upper(), value))


def scaled_request(line: LogLine, factor: float) -> LogLine:
    """The line with a requested quantity that is `factor` times as large."""
    return _scaled(line, REQUESTED, factor)


def scaled_execution(line: LogLine, factor: float) -> LogLine:
    """The line with an executed quantity that is `factor` times as large."""
    return _scaled(line, _EXECUTED, factor)


def scaled(line: LogLine, factor: float) -> LogLine:
    """The line with requested and executed quantities that are `factor` times as large."""
    return scaled_execution(scaled_request(line, factor), factor)


def moved(line: LogLine, seconds: float) -> LogLine:
    """The line `seconds` later, every time in it included."""
    later = _rewritten(line, set(_TIMES), lambda _, value: _later(value, seconds))
    return replace(later, ts=line.ts + seconds)


def renamed(line: LogLine, suffix: str) -> LogLine:
    """The line of another order: every id in it ends in `suffix`."""
    return _rewritten(line, {*_IDS, *_ORDER_IDS}, lambda _, value: _with_suffix(value, suffix))


def reordered(line: LogLine, suffix: str) -> LogLine:
    """The line of another order of the same intent."""
    return _rewritten(line, set(_ORDER_IDS), lambda _, value: _with_suffix(value, suffix))


def _with_suffix(value: object, suffix: str) -> object:
    if isinstance(value, str) and value.endswith(REDUCE_SUFFIX):
        return value.removesuffix(REDUCE_SUFFIX) + suffix + REDUCE_SUFFIX
    return value if value is None else f"{value}{suffix}"


def _later(value: object, seconds: float) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    if not isinstance(value, str):
        return value + seconds
    try:
        moment = datetime.fromisoformat(value)
        return datetime.fromtimestamp(moment.timestamp() + seconds, moment.tzinfo or UTC).isoformat()
    except (ValueError, OverflowError):
        return value


def _scaled(line: LogLine, names: tuple[str, ...], factor: float) -> LogLine:
    def times(_: str, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return value
        try:
            return f"{float(value) * factor:.12g}" if isinstance(value, str) else value * factor
        except ValueError:
            return value

    return _rewritten(line, set(names), times)


def _rewritten(line: LogLine, names: Collection[str], change: Callable[[str, object], object]) -> LogLine:
    row = {name: change(name, value) if name in names else value for name, value in line.row.items()}
    for part in _NESTED:
        nested = row.get(part)
        if isinstance(nested, dict):
            row[part] = {name: change(name, value) if name in names else value for name, value in nested.items()}
    return changed(line, row)
