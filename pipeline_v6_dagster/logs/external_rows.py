"""The decision of a row that another producer wrote, and its id where the producer writes none.

A producer that restarts appends rows again, with other bytes: another order of the keys, another time of logging. The
same attempt must then be the same decision, or it would be compared twice.
"""

from hashlib import blake2b

import msgspec

from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.logs.shadow_rows import ShadowRow, parse_shadow_row
from pipeline_v6_dagster.sources.decoding import BYTE_ORDER_MARK

_ID_BYTES = 8
_NO_ID = ""


def parse_external_row(line: bytes) -> ShadowRow | Unusable:
    """What compare needs of a row of any producer. A decision without an id gets 16 hex digits.

    They are a digest of the attempt: of its attempt id and what it asks for; without an attempt id, of its intent id,
    its as-of time and what it asks for; without both ids, of the row but for the time of logging.
    """
    row = parse_shadow_row(line, fallback_id=_NO_ID)
    if isinstance(row, ShadowRow) and row.decision.decision_id == _NO_ID:
        decision = row.decision
        content = _describe_attempt(decision) if decision.has_id else _without_logging_time(line)
        decision.decision_id = blake2b(content, digest_size=_ID_BYTES).hexdigest()
    return row


def _describe_attempt(decision: ShadowSide) -> bytes:
    # A producer that has one time only may write that of logging, so an attempt id must do without it. One intent may
    # be attempted again and again.
    as_of = decision.as_of if decision.attempt_id is None else None
    return msgspec.json.encode(
        (
            decision.intent_id,
            decision.attempt_id,
            as_of,
            decision.symbol,
            decision.side,
            decision.position_side,
            decision.is_reduce_only,
            decision.asked_qty,
            decision.quote_notional,
            decision.price,
            decision.amends,
        )
    )


def _without_logging_time(line: bytes) -> bytes:
    line = line.removeprefix(BYTE_ORDER_MARK).strip()
    try:
        content = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return line  # A field that nobody reads cannot be read.
    content.pop("logged_ts", None)
    if content.get("timestamp") is not None:
        content.pop("ts", None)
    return msgspec.json.encode(content, order="deterministic")
