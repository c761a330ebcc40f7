"""`risk_vetoes.jsonl`: a row to a `Veto`. One shape has its ids inside `veto_detail.intent`, one has none."""

from typing import Any

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES
from pipeline_v6_dagster.domain.live import Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import BadFieldError, decode_row, row_time, text

EVENT_TYPE = "risk_veto"


class _VetoRow(msgspec.Struct, kw_only=True):
    event_type: str | None = None
    ts: float | str | None = None
    local_ts: float | str | None = None
    symbol: str | None = None
    side: str | None = None
    intent_id: str | int | None = None
    attempt_id: str | int | None = None
    veto_reason: str | None = None
    reason: str | None = None
    veto_detail: Any = None


_decoder = msgspec.json.Decoder(_VetoRow)


def parse_veto(line: bytes) -> Veto | Unusable:
    """One live veto, or why the row is not used."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    if row.event_type is not None and row.event_type != EVENT_TYPE:
        return Unusable(IgnoredRow.UNKNOWN_EVENT)
    ts = row_time(row.ts, row.local_ts)
    if ts is None:
        return Unusable(Rejection.NO_TIME)
    detail = row.veto_detail if isinstance(row.veto_detail, dict) else {}
    intent = detail.get("intent")
    if not isinstance(intent, dict):
        intent = {}
    try:
        intent_id = text(row.intent_id) or text(intent.get("intent_id"))
        attempt_id = text(row.attempt_id) or text(intent.get("attempt_id"))
        side = text(row.side) or text(intent.get("signal"))
        symbol = text(row.symbol)
    except BadFieldError:
        return Unusable(Rejection.BAD_FIELD)
    if symbol is None and intent_id is None and attempt_id is None:
        return Unusable(IgnoredRow.NO_SYMBOL)
    return Veto(
        ts=ts,
        symbol=symbol,
        side=SIDES.get(side.upper()) if side else None,
        intent_id=intent_id,
        attempt_id=attempt_id,
        reason=row.veto_reason or row.reason or "unknown",
    )
