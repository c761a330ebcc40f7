"""What a matcher gives: decisions whose outcome is decided, and the live evidence that no open decision explains."""

from dataclasses import dataclass

from pipeline_v6_dagster.compare.open_state import VetoedDecision
from pipeline_v6_dagster.domain.comparison import LiveOutcome, MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import ExchangeFilter, IntentOrders, OrderEvent, Veto


@dataclass(slots=True, kw_only=True)
class Settled:
    """One decision whose outcome is decided. `reason` is the live veto's or error's.

    `exchange` is what the exchange asked of the symbol by then; `shares_intent` tells of another decision of the
    intent. `refusal` is the veto or error itself if there is no order. `later_price` is where the market stood
    after the last row of the order, None where nothing was logged of it by then.
    """

    decision: ShadowSide
    outcome: LiveOutcome
    order: IntentOrders | None = None
    method: MatchMethod | None = None
    reason: str | None = None
    arrival_price: float | None = None
    exchange: ExchangeFilter | None = None
    shares_intent: bool = False
    refusal: Veto | OrderEvent | None = None
    later_price: float | None = None


@dataclass(slots=True)
class UnmatchedOrder:
    """An order that no open decision explains: late for a settled one, or nobody's.

    `retries` is the vetoed decision that it repeats under another id.
    """

    order: IntentOrders
    outcome: LiveOutcome
    retries: VetoedDecision | None = None


@dataclass(slots=True)
class UnmatchedRow:
    """A veto or an error with an id that no open decision took: late for a settled one, or nobody's."""

    row: Veto | OrderEvent
