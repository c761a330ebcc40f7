"""A shadow decision: what v6 would have done with one attempt."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline_v6_dagster.domain.account import RoutingRecord
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision, RiskState


class Route(StrEnum):
    """How an order would go to the exchange."""

    MAKER = "maker"
    TAKER = "taker"


class RouteQuality(StrEnum):
    """How well the router has done of late."""

    GOOD = "good"
    OK = "ok"
    DEGRADED = "degraded"
    BROKEN = "broken"


@dataclass(slots=True)
class Sizing:
    """One order's gross notional at three stages, USD; None where a stage did not say."""

    screener_gross_usd: float | None
    executor_gross_usd: float | None
    sized_gross_usd: float | None


@dataclass(slots=True)
class SizeDecision:
    """What v6 would have ordered: never more than asked for. `caps_applied` says what made it smaller."""

    gross_usd: float
    qty: float
    caps_applied: tuple[str, ...]


@dataclass(slots=True)
class RoutePolicy:
    """`taker_bias` is the weight of crossing the spread, 0 (never) to 1 (always)."""

    maker_first: bool
    taker_bias: float
    quality: RouteQuality


@dataclass(slots=True)
class EffectivePrice:
    """Price after fees, for either liquidity side."""

    maker: float
    taker: float


@dataclass(slots=True, kw_only=True)
class RouterDecision:
    """`offset_bps` is how far inside the decision price a maker order would rest. Slippage: positive = cost.

    `record` is what the router judged by; None where a desk's own router did not say.
    """

    policy: RoutePolicy
    offset_bps: float
    route: Route
    expected_px: float
    expected_slippage_bps: float
    effective_px: EffectivePrice
    record: RoutingRecord | None = None


@dataclass(slots=True, kw_only=True)
class ShadowDecision:
    """One attempt decided. `size_decision` and `router_decision` are None where risk denied it."""

    intent: OrderIntent
    state: RiskState
    risk_decision: RiskDecision
    sizing: Sizing
    size_decision: SizeDecision | None
    router_decision: RouterDecision | None
    as_of: float
