"""`pipeline_v6_shadow.jsonl`: a decision to a row, and a row (ours or another producer's) to what compare needs.

Each row is a point to resume from: `source` says which line of the attempts log it decides, `source.skipped` counts
the unusable lines between the attempt before and this one. Now and then a row carries a `checkpoint`: the rolling state
as of it, where the live logs were read to, and the limits, by which the rows up to the next one can be explained and
gone on from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.account import AccountState
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.decision import RouterDecision, ShadowDecision, SizeDecision
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.sources.decoding import decode_row
from pipeline_v6_dagster.storage.follow import Follower, LogOffset
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

# Rows whose clock was behind stand among newer ones. So many in a row do not.
_STRAY_ROWS = 100


class Source(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """Where an attempt was read. `head` names its file for ever, `start` and `end` are offsets in it.

    `digest` is that of its line there; None in rows of earlier versions, whose decision id it is. `lost_bytes` of the
    log were gone before this attempt, where the place to go on from was in none of its files. `newest_ts` is the newest
    as-of time of the decisions up to this one (epoch s), where that is another one's.
    """

    log: str
    head: str
    start: int
    end: int
    skipped: Mapping[str, int]
    lost_bytes: int | None = None
    digest: str | None = None
    newest_ts: float | None = None


@dataclass(slots=True)
class Checkpoint:
    """`account` is as of the row's attempt, before the attempt itself is remembered."""

    limits: Limits
    account: AccountState
    read: Mapping[str, LogOffset]


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
    """What `encode_checkpoint` takes; the same for all checkpoints of a run.

    Limits that are not set are left out, so that a rule which the code gains changes no row.
    """
    return _sorted_encoder.encode(_without_null(msgspec.to_builtins(limits, order="deterministic")))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return value


def encode_checkpoint(limits: bytes, account: AccountState, read: Mapping[str, LogOffset]) -> bytes:
    """What `encode_decision` takes: a `Checkpoint`."""
    return _encoder.encode({"limits": msgspec.Raw(limits), "account": account, "read": read})


class _DecidedIntent(msgspec.Struct, kw_only=True):
    symbol: str
    side: Side | None = None
    qty: float | None = None
    price: float | None = None
    intent_id: str | None = None
    attempt_id: str | None = None
    nav_usd: float | None = None
    open_positions_count: int | None = None
    reduce_only: bool = False
    amends: str | None = None


class _DecidedState(msgspec.Struct):
    portfolio_gross_usd: float | None = None
    has_position: bool | None = None
    snapshot_ts: float | None = None
    position_qty: float | None = None


class _RiskOutcome(msgspec.Struct):
    allowed: bool


class DecidedAttempt(msgspec.Struct, kw_only=True):
    """A row of ours as the rolling state needs it again."""

    decision_id: str
    intent: _DecidedIntent
    risk_decision: _RiskOutcome
    timestamp: float
    config_hash: str
    engine_version: str
    source: Source
    state: _DecidedState = msgspec.field(default_factory=_DecidedState)
    size_decision: SizeDecision | None = None
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


class RecordedDecision(msgspec.Struct, kw_only=True):
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


class _OwnRow(msgspec.Struct, gc=False):
    decision_id: str
    source: Source


_own_decoder = msgspec.json.Decoder(_OwnRow)


def read_source(line: bytes) -> tuple[str, Source] | None:
    """(decision id, source) of a row of ours; None if the row is not ours or not whole."""
    row = decode_row(_own_decoder, line)
    return None if isinstance(row, Rejection) else (row.decision_id, row.source)


def open_shadow_log(settings: Settings, *, key: bytes | None = None) -> JsonlLog:
    """The shadow log. Each row is complete by itself, so each ends a block. Whoever appends gives the chain's key."""
    return JsonlLog(settings.shadow_log, _classify_line, key=key)


def open_shadow_log_before(settings: Settings, ts: float) -> JsonlLog:
    """The shadow log as it was before the decisions of a time (epoch s), to be read alone."""
    return _ShadowLogBefore(settings.shadow_log, ts)


class _DecidedTime(msgspec.Struct):
    timestamp: float | str | None = None


_time_decoder = msgspec.json.Decoder(_DecidedTime)


class _ShadowLogBefore(JsonlLog):
    """Its newest rows are skipped, down to those that are older than a time.

    A row among newer ones may be older because its clock was behind: only many in a row are the older part.
    """

    def __init__(self, path: Path, ts: float) -> None:
        super().__init__(path, _classify_line)
        self._ts = ts

    def backward(self) -> Iterator[bytes]:
        lines = super().backward()
        older: list[bytes] = []
        for line in lines:
            row = decode_row(_time_decoder, line)
            if isinstance(row, Rejection) or not isinstance(row.timestamp, float) or row.timestamp < self._ts:
                older.append(line)
            else:
                older.clear()
            if len(older) >= _STRAY_ROWS:
                break
        yield from older
        yield from lines


def _classify_line(line: bytes) -> LineKind:
    return LineKind.BLOCK_END if read_source(line) is not None else LineKind.FOREIGN


def last_offset(log: JsonlLog) -> LogOffset | None:
    """Where the attempts log was left off, as the newest row of the shadow log says."""
    return next(_offsets_backward(log), None)


def _offsets_backward(log: JsonlLog) -> Iterator[LogOffset]:
    for line in log.backward():
        found = read_source(line)
        if found is not None:
            yield offset_in(*found)


def offset_in(decision_id: str, source: Source) -> LogOffset:
    """Where the attempt of a decision stands."""
    return LogOffset(source.head, source.start, source.end, source.digest or decision_id)


def follow_attempts(settings: Settings, log: JsonlLog) -> Follower:
    """The attempts that the shadow log has not decided."""
    return Follower(settings.order_attempts, last_offset(log), earlier=_offsets_backward(log))
