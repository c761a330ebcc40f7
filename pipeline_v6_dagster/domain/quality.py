"""Why a line of input was not used. Every such line is counted under exactly one of these names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Rejection(StrEnum):
    """A malformed line: nothing in it can be trusted."""

    BLANK = "blank"
    TORN = "torn"
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_FINITE = "not_finite"
    NOT_OBJECT = "not_object"
    BAD_FIELD = "bad_field"
    NO_TIME = "no_time"


class IgnoredRow(StrEnum):
    """A well-formed row that is not evidence."""

    UNKNOWN_EVENT = "unknown_event"
    DRY_RUN = "dry_run"
    NO_SYMBOL = "no_symbol"
    NO_ORDER_ID = "no_order_id"
    HEARTBEAT = "heartbeat"
    NO_ARRIVAL = "no_arrival"
    UNMATCHED_VETO = "unmatched_veto"
    UNMATCHED_ERROR = "unmatched_error"
    UNMATCHED_ARRIVAL = "unmatched_arrival"
    REPEATED_VETO = "repeated_veto"
    REPEATED_DECISION = "repeated_decision"


@dataclass(frozen=True, slots=True)
class Unusable:
    """What a parser returns in the place of a record.

    `is_order_evidence` tells that the row carries an executed quantity, or a requested one with an exchange's order id:
    an order that was real and is not compared. `event_type` and `strategy` of such a row are as it names them.
    """

    kind: Rejection | IgnoredRow
    is_order_evidence: bool = False
    event_type: str | None = None
    strategy: str | None = None


Counts = Mapping[str, int]
