"""A pre-trade risk check: what goes in, the closed set of reasons, what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline_v6_dagster.domain.attempt import Side


class DenyReason(StrEnum):
    """Why an order was denied. Closed: a reason that is not here cannot be given.

    The order is the order in which a decision lists them.
    """

    INVALID_INTENT = "invalid_intent"
    KILL_SWITCH = "kill_switch"
    NAV_STALE = "nav_stale"
    UNKNOWN_SYMBOL = "unknown_symbol"
    SYMBOL_DISABLED = "symbol_disabled"
    RESTRICTED_SYMBOL = "restricted_symbol"
    NOT_WHITELISTED = "not_whitelisted"
    SIDE_BLOCKED = "side_blocked"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    SYMBOL_CAP = "symbol_cap"
    SYMBOL_NAV_CAP = "symbol_nav_cap"
    LEVERAGE_EXCEEDED = "leverage_exceeded"
    TRADE_GT_EQUITY_CAP = "trade_gt_equity_cap"
    TRADE_GT_MAX_TRADE_NAV_PCT = "trade_gt_max_trade_nav_pct"
    PORTFOLIO_CAP = "portfolio_cap"
    TIER_CAP = "tier_cap"
    MAX_CONCURRENT = "max_concurrent"
    ALREADY_IN_TRADE = "already_in_trade"
    COOLDOWN = "cooldown"
    TRADE_RATE_LIMIT = "trade_rate_limit"
    BURST_LIMIT = "burst_limit"
    CIRCUIT_BREAKER = "circuit_breaker"
    DAY_LOSS_LIMIT = "day_loss_limit"
    NAV_DRAWDOWN_LIMIT = "nav_drawdown_limit"
    PRICE_COLLAR = "price_collar"
    DUPLICATE_INTENT = "duplicate_intent"
    ENGINE_ERROR = "engine_error"


@dataclass(slots=True)
class OrderIntent:
    """What is to be decided. Quantities in the base asset, money in USD.

    `side` is None where the attempt's text is no side; numbers are None where the attempt has none.
    `current_gross_notional` is the symbol's own gross exposure, `tier_gross_notional` that of its tier,
    `symbol_open_qty` what is held in the intent's direction.
    """

    symbol: str
    side: Side | None
    qty: float | None
    quote_notional: float | None
    leverage: float
    price: float | None
    tier_name: str | None
    tier_gross_notional: float | None
    current_gross_notional: float | None
    symbol_open_qty: float | None
    nav_usd: float | None
    open_positions_count: int | None
    strategy_id: str | None
    reduce_only: bool
    intent_id: str | None
    attempt_id: str | None


@dataclass(slots=True)
class RiskState:
    """Account state as of the attempt, beyond what the intent carries.

    `nav_age_s` is 0 where the snapshot is as fresh as the attempt, None where there is no snapshot.
    `has_position` is None where no log tells whether the symbol is held, `is_in_trade` where none tells whether it
    is held in the intent's direction. Seconds since are None where it never happened. Counts are of what came
    before this attempt, within the configured window; `day_pnl_usd` is realised since the desk's midnight, before
    fees; `reference_price` that of the newest fill or mark.
    """

    as_of: float
    nav_age_s: float | None
    portfolio_gross_usd: float | None
    has_position: bool | None
    is_in_trade: bool | None = None
    since_fill_s: float | None = None
    since_loss_s: float | None = None
    openings_last_hour: int = 0
    attempts_in_window: int = 0
    errors_in_window: int = 0
    day_pnl_usd: float = 0.0
    peak_nav_usd: float | None = None
    reference_price: float | None = None
    is_intent_seen: bool = False
    since_same_order_s: float | None = None


@dataclass(slots=True)
class Diagnostic:
    """The numbers behind one reason; None where the number itself is what is missing."""

    threshold: float | str | None
    observed: float | str | None
    unit: str


@dataclass(slots=True)
class RiskDecision:
    """The outcome of a check. `clamped_qty` is the largest quantity that would have passed, 0 where none."""

    allowed: bool
    clamped_qty: float
    reasons: tuple[DenyReason, ...]
    hit_caps: tuple[DenyReason, ...]
    warnings: tuple[DenyReason, ...]
    diagnostics: Mapping[DenyReason, Diagnostic]
