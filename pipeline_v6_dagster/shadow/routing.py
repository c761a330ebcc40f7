"""How v6 would have sent the order, and at what price after fees."""

from typing import Protocol

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.decision import (
    EffectivePrice,
    Route,
    RoutePolicy,
    RouteQuality,
    RouterDecision,
    SizeDecision,
)
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent

BPS = 1e-4


class Router(Protocol):
    """Routes a sized order. Must be pure."""

    def route_order(self, intent: OrderIntent, size: SizeDecision) -> RouterDecision:
        """Policy, route, expected price and slippage (bps, positive = cost)."""


class TakerRouter:
    """The built-in router without a record of its own fills: it crosses the spread.

    Resting an order needs evidence that resting orders get filled; without it quality is `degraded`. The
    expected slippage is the configured `expected_slippage_bps`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def route_order(self, intent: OrderIntent, size: SizeDecision) -> RouterDecision:
        """`intent` has passed the risk check, so side and price are known."""
        limits = self._limits
        sign = 1.0 if intent.side is Side.BUY else -1.0
        slippage_bps = limits.expected_slippage_bps
        expected_px = (intent.price or 0.0) * (1 + sign * slippage_bps * BPS)
        return RouterDecision(
            policy=RoutePolicy(maker_first=False, taker_bias=1.0, quality=RouteQuality.DEGRADED),
            offset_bps=0.0,
            route=Route.TAKER,
            expected_px=expected_px,
            expected_slippage_bps=slippage_bps,
            effective_px=EffectivePrice(
                maker=expected_px * (1 + sign * limits.maker_fee_bps * BPS),
                taker=expected_px * (1 + sign * limits.taker_fee_bps * BPS),
            ),
        )
