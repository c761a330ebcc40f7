"""How v6 would have sent an order, judged by the router's own record of the orders before it."""

from typing import Protocol

from pipeline_v6_dagster.domain.account import RoutingRecord
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
from pipeline_v6_dagster.shadow.account_book import MIN_RECORD
from pipeline_v6_dagster.shadow.lots import round_to_tick

BPS = 1e-4
# What the quality of a record is judged by. Slippage above a fee's size is what a desk notices, five times that
# what it stops for.
GOOD_P90_BPS = 10.0
DEGRADED_P90_BPS = 25.0
BROKEN_P50_BPS = 50.0
BROKEN_FILL_SHARE = 0.5
# Resting pays where most maker orders are filled: a fallback crosses the spread after the price has moved.
MAKER_FILL_SHARE = 0.6
MAX_OFFSET_BPS = 5.0
_RESTED_AT = frozenset({RouteQuality.GOOD, RouteQuality.OK})


class Router(Protocol):
    """Routes a sized order. Must be pure."""

    def route_order(self, intent: OrderIntent, size: SizeDecision, record: RoutingRecord) -> RouterDecision:
        """Policy, route, expected price and slippage (bps, positive = cost)."""


def rate_quality(record: RoutingRecord) -> RouteQuality:
    """How well orders went: `degraded` also where there are too few to tell."""
    p50, p90 = record.taker_slippage_p50_bps, record.taker_slippage_p90_bps
    is_thin = record.taker_orders + record.maker_orders < MIN_RECORD
    if not is_thin and record.taker_fill_share is not None and record.taker_fill_share < BROKEN_FILL_SHARE:
        return RouteQuality.BROKEN
    if not is_thin and p50 is not None and p50 > BROKEN_P50_BPS:
        return RouteQuality.BROKEN
    if is_thin or p90 is None or p90 > DEGRADED_P90_BPS:
        return RouteQuality.DEGRADED
    is_maker_poor = record.maker_fill_share is not None and record.maker_fill_share < MAKER_FILL_SHARE
    return RouteQuality.OK if p90 > GOOD_P90_BPS or is_maker_poor else RouteQuality.GOOD


class RecordRouter:
    """The built-in router. It rests an order only where resting orders were filled; else it crosses the spread.

    The expected slippage is the median of what was measured, `expected_slippage_bps` of the configuration where
    there are fewer than `MIN_RECORD` orders of the kind.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def route_order(self, intent: OrderIntent, size: SizeDecision, record: RoutingRecord) -> RouterDecision:
        """`intent` has passed the risk check, so side and price are known."""
        limits, price = self._limits, intent.price or 0.0
        is_buy = intent.side is Side.BUY
        sign = 1.0 if is_buy else -1.0
        quality = rate_quality(record)
        taker_bps = _measured(record.taker_orders, record.taker_slippage_p50_bps, limits.expected_slippage_bps)
        fill_share = record.maker_fill_share or 0.0
        is_maker_first = quality in _RESTED_AT and record.maker_orders >= MIN_RECORD and fill_share >= MAKER_FILL_SHARE
        if is_maker_first:
            offset_bps = min(max(taker_bps / 2, 0.0), MAX_OFFSET_BPS)
            maker_bps = _measured(record.maker_orders, record.maker_slippage_p50_bps, -offset_bps)
            slippage_bps = fill_share * maker_bps + (1 - fill_share) * taker_bps
            tick = limits.of(intent.symbol).tick_size
            expected_px = round_to_tick(price * (1 - sign * offset_bps * BPS), tick, is_up=not is_buy)
        else:
            offset_bps, slippage_bps = 0.0, taker_bps
            expected_px = price * (1 + sign * slippage_bps * BPS)
        return RouterDecision(
            policy=RoutePolicy(is_maker_first, 1 - fill_share if is_maker_first else 1.0, quality),
            offset_bps=offset_bps,
            route=Route.MAKER if is_maker_first else Route.TAKER,
            expected_px=expected_px,
            expected_slippage_bps=slippage_bps,
            effective_px=EffectivePrice(
                maker=expected_px * (1 + sign * limits.maker_fee_bps * BPS),
                taker=expected_px * (1 + sign * limits.taker_fee_bps * BPS),
            ),
            record=record,
        )


def _measured(orders: int, median_bps: float | None, otherwise_bps: float) -> float:
    return otherwise_bps if median_bps is None or orders < MIN_RECORD else median_bps
