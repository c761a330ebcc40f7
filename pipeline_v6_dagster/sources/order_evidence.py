"""Whether a row of the order log that is not used is evidence of an order that was real.

Such a row is an order that no comparison sees, so it is counted by itself. The row is read as leniently as it can be:
that a quantity is malformed is no reason to overlook it.
"""

import json
from typing import Any

from pipeline_v6_dagster.domain.live import OrderStatus
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable

_EXECUTED = ("executedQty", "executed_qty", "filled_qty", "filledQty", "cumQty", "cum_qty")
_REQUESTED = ("request_qty", "requested_qty", "origQty", "orig_qty", "rounded_qty", "quantity", "qty")
_EXCHANGE_IDS = ("orderId", "order_id")
# An error tells that there is no order; a close (whose fills tell) is none either.
_NO_ORDERS = ("order_error", "order_close")
_NO_IDS = (None, "", 0, "0")
_TEXT_LIMIT = 80


def unusable_row(kind: Rejection | IgnoredRow, line: bytes) -> Unusable:
    """What the parser returns for a line that it does not use. Off the hot path.

    A row labelled as a dry run is evidence if it has a quantity and an id that an exchange gave: into dry runs,
    executors write 0.
    """
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_int=float)
    except (ValueError, RecursionError):
        return Unusable(kind)
    if not isinstance(row, dict):
        return Unusable(kind)
    event_type = _name(row, "event_type", "event")
    if event_type in _NO_ORDERS or not _is_evidence(row, is_dry_run=kind is IgnoredRow.DRY_RUN):
        return Unusable(kind)
    return Unusable(kind, True, event_type, _name(row, "strategy", "strategy_id"))


def _is_evidence(row: dict[str, Any], *, is_dry_run: bool) -> bool:
    answer = row.get("raw")
    parts = [row, answer] if isinstance(answer, dict) else [row]
    has_id = any(part.get(name) not in _NO_IDS for part in parts for name in _EXCHANGE_IDS)
    if is_dry_run:
        return has_id and (_carries(parts, _EXECUTED) or _carries(parts, _REQUESTED))
    if _carries(parts, _EXECUTED):
        return True
    if not _carries(parts, _REQUESTED):
        return False
    is_filled = any(part.get("status") in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED) for part in parts)
    return is_filled or has_id


def _carries(parts: list[dict[str, Any]], names: tuple[str, ...]) -> bool:
    return any(_is_quantity(part.get(name)) for part in parts for name in names)


def _is_quantity(value: Any) -> bool:
    """A number other than 0, or something in its place that is no number: it may have been one."""
    if value is None or value == "" or isinstance(value, bool):
        return False
    try:
        qty = float(value)
    except (TypeError, ValueError):
        return True
    return qty != 0  # NaN is not.


def _name(row: dict[str, Any], *names: str) -> str | None:
    found = next((row[name] for name in names if isinstance(row.get(name), str)), None)
    return None if found is None else found[:_TEXT_LIMIT]
