"""A row of the shadow log, ours or another producer's, as a comparison needs it."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from pipeline_v6_dagster.domain.attempt import SIDES, PositionSide
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.figures import finite, magnitude, price_or_none
from pipeline_v6_dagster.domain.quality import IgnoredRow, Rejection, Unusable
from pipeline_v6_dagster.sources.decoding import decode_row, epoch_s


class _Intent(msgspec.Struct, gc=False, kw_only=True):
    symbol: str | None = None
    side: str | None = None
    qty: float | None = None
    quote_notional: float | None = None
    price: float | None = None
    tier_name: str | None = None
    reduce_only: bool | None = None
    intent_id: str | None = None
    attempt_id: str | None = None
    # What other producers may write differently: it is read where it is what we write, and is no error else.
    nav_usd: Any = None
    amends: Any = None
    position_side: Any = None


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


class _Source(msgspec.Struct, gc=False, kw_only=True):
    log: str | None = None
    head: str | None = None
    start: int | None = None
    end: int | None = None
    skipped: dict[str, int] = {}
    lost_bytes: int | None = None


class _ShadowRow(msgspec.Struct, gc=False, kw_only=True):
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
    engine_version: Any = None
    number: Any = None
    source: _Source | str | None = None  # text where another producer says it in words


_decoder = msgspec.json.Decoder(_ShadowRow)
_POSITION_SIDES = {side.value: side for side in PositionSide}  # BOTH is one-way mode.
_NO_INTENT, _NO_SIZE, _NO_ROUTE = _Intent(), _Size(), _Route()


class ShadowRow(NamedTuple):
    """A row read back. `skipped` counts the unusable attempts before it, by kind; `lost_bytes` as `Source` has it."""

    decision: ShadowSide
    skipped: Mapping[str, int]
    lost_bytes: int | None = None

    @property
    def ts(self) -> float:
        """The decision's as-of time (epoch s)."""
        return self.decision.as_of


_Kind = TypeVar("_Kind", str, int, float)


def _as(kind: type[_Kind], value: Any) -> _Kind | None:
    """A value of the kind that we write; None where it is another."""
    if kind is float and type(value) is int:
        return kind(value)
    return value if type(value) is kind else None


def parse_shadow_row(line: bytes, fallback_id: str | None = None) -> ShadowRow | Unusable:
    """What compare needs of a row. `fallback_id` names the decision of a producer that writes no ids."""
    row = decode_row(_decoder, line)
    if isinstance(row, Rejection):
        return Unusable(row)
    if row.heartbeat:
        return Unusable(IgnoredRow.HEARTBEAT)
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
        decision_id=decision_id,
        symbol=row.symbol or intent.symbol or "",
        side=SIDES.get((intent.side or "").upper()),
        intent_id=row.intent_id or intent.intent_id,
        attempt_id=row.attempt_id or intent.attempt_id,
        as_of=as_of,
        is_allowed=row.risk_decision.allowed,
        reasons=row.risk_decision.reasons,
        is_reduce_only=intent.reduce_only is True,
        price=price_or_none(intent.price),
        quote_notional=magnitude(intent.quote_notional),
        sized_qty=magnitude(size.qty),
        sized_gross_usd=magnitude(sized_gross_usd),
        expected_slippage_bps=route.expected_slippage_bps,
        route=route.route,
        config_hash=row.config_hash,
        tier=intent.tier_name,
        engine_version=_as(str, row.engine_version),
        nav_usd=None if (nav_usd := _as(float, intent.nav_usd)) is None else finite(nav_usd),
        amends=_as(str, intent.amends),
        position_side=_POSITION_SIDES.get((_as(str, intent.position_side) or "").upper()),
        number=_as(int, row.number),
        asked_qty=magnitude(intent.qty),
    )
    if isinstance(row.source, _Source):
        return ShadowRow(decision, row.source.skipped, row.source.lost_bytes)
    return ShadowRow(decision, {})
