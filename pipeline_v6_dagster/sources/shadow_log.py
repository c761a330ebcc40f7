"""`pipeline_v6_shadow.jsonl`: a decision to a row, and a row (ours or another producer's) to what compare needs.

Each row is a point to resume from: `source` and `decision_id` say which line of the attempts log it decides,
`source.skipped` counts the unusable lines between the attempt before and this one. Now and then a row carries a
`checkpoint`: the rolling state as of it, where the live logs were read to, and the limits, by which the rows up to
the next one can be explained and gone on from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from pipeline_v6_dagster.domain.account import AccountState
from pipeline_v6_dagster.domain.attempt import SIDES, Side
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.decision import RouterDecision, ShadowDecision, SizeDecision
from pipeline_v6_dagster.domain.figures import magnitude, price_or_none
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.quality import Drop, Rejection, Unusable
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.sources.decoding import decode_row, epoch_s


class Source(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where an attempt was read. `head` names its file for ever, `start` and `end` are offsets in it.

    `lost_bytes` of the log were gone before this attempt, where the place to go on from was in none of its files.
    """

    log: str
    head: str
    start: int
    end: int
    skipped: Mapping[str, int]
    lost_bytes: int | None = None


@dataclass(slots=True)
class ReadTo:
    """The last line of a live log that the state knows: its file's head, its offsets there, its digest."""

    head: str
    start: int
    end: int
    digest: str


@dataclass(slots=True)
class Checkpoint:
    """`account` is as of the row's attempt, before the attempt itself is remembered."""

    limits: Limits
    account: AccountState
    read: Mapping[str, ReadTo]


_encoder = msgspec.json.Encoder()
# Sets have no order of their own: the same limits must give the same bytes.
_sorted_encoder = msgspec.json.Encoder(order="deterministic")


def encode_decision(
    decision: ShadowDecision,
    decision_id: str,
    source: Source,
    config_hash: str,
    engine_version: str,
    logged_ts: float,
    checkpoint: bytes | None = None,
) -> bytes:
    """The row of one decision. `size_decision` and `router_decision` stand in it only where risk allowed."""
    intent = decision.intent
    row: dict[str, Any] = {
        "decision_id": decision_id,
        "symbol": intent.symbol,
        "intent": intent,
        "state": decision.state,
        "risk_decision": decision.risk_decision,
        "sizing": decision.sizing,
    }
    if decision.size_decision is not None:
        row["size_decision"] = decision.size_decision
    if decision.router_decision is not None:
        row["router_decision"] = decision.router_decision
    row["timestamp"] = decision.as_of
    row["logged_ts"] = logged_ts
    row["intent_id"] = intent.intent_id
    row["attempt_id"] = intent.attempt_id
    row["config_hash"] = config_hash
    row["engine_version"] = engine_version
    row["source"] = source
    if checkpoint is not None:
        row["checkpoint"] = msgspec.Raw(checkpoint)
    return _encoder.encode(row)


def encode_limits(limits: Limits) -> bytes:
    """What `encode_checkpoint` takes; the same for all checkpoints of a run."""
    return _sorted_encoder.encode(limits)


def encode_checkpoint(limits: bytes, account: AccountState, read: Mapping[str, ReadTo]) -> bytes:
    """What `encode_decision` takes: a `Checkpoint`."""
    return _encoder.encode({"limits": msgspec.Raw(limits), "account": account, "read": read})


class _AskedIntent(msgspec.Struct):
    symbol: str
    side: Side | None = None
    qty: float | None = None
    intent_id: str | None = None
    nav_usd: float | None = None


class DecidedAttempt(msgspec.Struct):
    """A row of ours as the rolling state needs it again."""

    decision_id: str
    intent: _AskedIntent
    timestamp: float
    config_hash: str
    engine_version: str
    source: Source
    checkpoint: msgspec.Raw = msgspec.Raw()  # of nothing where the row carries none


_decided_decoder = msgspec.json.Decoder(DecidedAttempt)
_checkpoint_decoder = msgspec.json.Decoder(Checkpoint)


def parse_decided(line: bytes) -> DecidedAttempt | None:
    """The attempt of a row of ours; None where the row is not ours or not whole."""
    row = decode_row(_decided_decoder, line)
    return None if isinstance(row, Rejection) else row


def parse_checkpoint(raw: bytes | memoryview) -> Checkpoint | None:
    """The checkpoint of a row; None where it is of a form that this version does not know."""
    try:
        return _checkpoint_decoder.decode(raw)
    except msgspec.DecodeError:
        return None


class RecordedDecision(msgspec.Struct):
    """A row of ours in full, to be explained."""

    decision_id: str
    intent: OrderIntent
    risk_decision: RiskDecision
    timestamp: float
    config_hash: str
    engine_version: str
    source: Source
    logged_ts: float
    state: RiskState | None = None
    size_decision: SizeDecision | None = None
    router_decision: RouterDecision | None = None


_recorded_decoder = msgspec.json.Decoder(RecordedDecision)


def parse_recorded(line: bytes) -> RecordedDecision | None:
    """All of a row of ours; None where it is another producer's."""
    row = decode_row(_recorded_decoder, line)
    return None if isinstance(row, Rejection) else row


class _Intent(msgspec.Struct, gc=False):
    symbol: str | None = None
    side: str | None = None
    qty: float | None = None
    quote_notional: float | None = None
    price: float | None = None
    tier_name: str | None = None
    reduce_only: bool | None = None
    intent_id: str | None = None
    attempt_id: str | None = None


class _Risk(msgspec.Struct, gc=False):
    allowed: bool
    reasons: tuple[str, ...] = ()


class _Sizing(msgspec.Struct, gc=False):
    sized_gross_usd: float | None = None


class _Size(msgspec.Struct, gc=False):
    gross_usd: float | None = None
    qty: float | None = None


class _Route(msgspec.Struct, gc=False):
    expected_slippage_bps: float | None = None
    route: str | None = None


class _Source(msgspec.Struct, gc=False):
    log: str | None = None
    head: str | None = None
    start: int | None = None
    end: int | None = None
    skipped: dict[str, int] = {}
    lost_bytes: int | None = None


class _ShadowRow(msgspec.Struct, gc=False):
    heartbeat: bool | None = None
    decision_id: str | None = None
    symbol: str | None = None
    intent: _Intent | None = None
    risk_decision: _Risk | None = None
    sizing: _Sizing | None = None
    size_decision: _Size | None = None
    router_decision: _Route | None = None
    timestamp: float | str | None = None
    ts: float | str | None = None
    intent_id: str | None = None
    attempt_id: str | None = None
    config_hash: str | None = None
    source: _Source | str | None = None  # text where another producer says it in words


_decoder = msgspec.json.Decoder(_ShadowRow)
_NO_INTENT, _NO_SIZE, _NO_ROUTE = _Intent(), _Size(), _Route()


class ShadowRow(NamedTuple):
    """A row read back. `skipped` counts the unusable attempts before it, by kind; `lost_bytes` as `Source` has it."""

    decision: ShadowSide
    skipped: Mapping[str, int]
    lost_bytes: int | None = None


def parse_shadow_row(line: bytes, fallback_id: str | None = None) -> ShadowRow | Unusable:
    """What compare needs of a row. `fallback_id` names the decision of a producer that writes no ids."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    if row.heartbeat:
        return Unusable(Drop.HEARTBEAT)
    as_of = epoch_s(row.timestamp)
    if as_of is None:
        as_of = epoch_s(row.ts)
        if as_of is None:
            return Unusable(Rejection.NO_TIME)
    decision_id = row.decision_id or fallback_id
    if row.risk_decision is None or decision_id is None:
        return Unusable(Rejection.BAD_FIELD)
    intent = row.intent or _NO_INTENT
    size = row.size_decision or _NO_SIZE
    route = row.router_decision or _NO_ROUTE
    sized_gross_usd = size.gross_usd
    if sized_gross_usd is None and row.sizing is not None:
        sized_gross_usd = row.sizing.sized_gross_usd
    decision = ShadowSide(
        decision_id,
        row.symbol or intent.symbol or "",
        SIDES.get((intent.side or "").upper()),
        row.intent_id or intent.intent_id,
        row.attempt_id or intent.attempt_id,
        as_of,
        row.risk_decision.allowed,
        row.risk_decision.reasons,
        intent.reduce_only is True,
        price_or_none(intent.price),
        magnitude(intent.quote_notional),
        magnitude(size.qty),
        magnitude(sized_gross_usd),
        route.expected_slippage_bps,
        route.route,
        row.config_hash,
        intent.tier_name,
    )
    if isinstance(row.source, _Source):
        return ShadowRow(decision, row.source.skipped, row.source.lost_bytes)
    return ShadowRow(decision, {})


def source_of(line: bytes) -> tuple[str, Source] | None:
    """(decision id, source) of a row of ours; None where the row is not ours or not whole."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection) or row.decision_id is None or not isinstance(row.source, _Source):
        return None
    source = row.source
    if source.log is None or source.head is None or source.start is None or source.end is None:
        return None
    return row.decision_id, Source(source.log, source.head, source.start, source.end, source.skipped)
