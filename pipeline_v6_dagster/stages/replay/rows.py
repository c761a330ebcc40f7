"""What a replay reads of the compare log: of each diff the few fields that it needs, in their newest state.

There may be a hundred thousand of them, so that what is not needed is not built.
"""

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.compare_log import open_compare_log


class Leg(msgspec.Struct, kw_only=True):
    """What a replay needs of one exchange order."""

    is_reduce_only: bool = False
    executed_qty: float | None = None
    avg_price: float | None = None
    fees_usd: float | None = None
    last_ts: float = 0.0


class LivePart(msgspec.Struct, kw_only=True):
    """What a replay needs of the live side."""

    legs: tuple[Leg, ...] = ()
    avg_price: float | None = None
    executed_qty: float | None = None
    executed_gross_usd: float | None = None
    gross_usd: float | None = None
    fees_usd: float | None = None


class ShadowPart(msgspec.Struct, kw_only=True):
    """What a replay needs of a decision."""

    is_allowed: bool
    reasons: tuple[str, ...] = ()
    is_reduce_only: bool = False
    price: float | None = None
    sized_gross_usd: float | None = None


class DiffPart(msgspec.Struct, kw_only=True):
    """What a replay needs of a diff. A line that is the end of a block has no `ts` of a decision and no kind."""

    ts: float = 0.0
    mismatch_kind: str | None = None
    symbol: str | None = None
    side: Side | None = None
    decision_id: str | None = None
    intent_id: str | None = None
    live_outcome: str = ""
    shadow: ShadowPart | None = None
    live: LivePart | None = None


_decoder = msgspec.json.Decoder(DiffPart)


def read_old(settings: Settings) -> list[DiffPart]:
    """What was decided then and what live did: the newest state of each diff, newest first.

    Raises:
        DataError, StorageError: the compare log is not understood or cannot be read.
    """
    seen: set[str] = set()
    diffs = []
    for line in open_compare_log(settings).backward():
        try:
            diff = _decoder.decode(line)
        except msgspec.DecodeError as error:
            raise DataError(
                f"{settings.compare_diffs}: a line is not understood ({error}); run pipeline-v6 compare --rebuild"
            ) from None
        if diff.mismatch_kind is None or diff.decision_id in seen:
            continue
        if diff.decision_id is not None:
            seen.add(diff.decision_id)
        diffs.append(diff)
    return diffs


def compute_slippage_usd(diff: DiffPart) -> float | None:
    """What the fills cost beyond the decision price, USD; None where a part of it is missing."""
    live, decision = diff.live, diff.shadow
    if live is None or live.avg_price is None or not live.executed_gross_usd or decision is None:
        return None
    if not decision.price or diff.side is None:
        return None
    qty = live.executed_gross_usd / live.avg_price
    sign = 1.0 if diff.side is Side.BUY else -1.0
    return sign * (live.avg_price - decision.price) * qty
