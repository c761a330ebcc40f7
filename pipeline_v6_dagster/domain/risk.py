"""A pre-trade risk check: what goes in, the closed set of reasons, what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.limits import TradingState


class DenyReason(StrEnum):
    """Why an order was denied. Closed: a reason that is not here cannot be given.

    The order is the order in which a decision lists them.
    """

    INVALID_INTENT = "invalid_intent"
    KILL_SWITCH = "kill_switch"
    TRADING_STATE = "trading_state"
    NAV_STALE = "nav_stale"
    UNKNOWN_SYMBOL = "unknown_symbol"
    SYMBOL_DISABLED = "symbol_disabled"
    RESTRICTED_SYMBOL = "restricted_symbol"
    NOT_WHITELISTED = "not_whitelisted"
    QUOTE_NOT_ALLOWED = "quote_not_allowed"
    SIDE_BLOCKED = "side_blocked"
    REDUCE_ONLY_INVALID = "reduce_only_invalid"
    NOTIONAL_MISMATCH = "notional_mismatch"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    ORDER_QTY = "order_qty"
    SYMBOL_CAP = "symbol_cap"
    MAX_POSITION = "max_position"
    SYMBOL_NAV_CAP = "symbol_nav_cap"
    SYMBOL_SHARE_CAP = "symbol_share_cap"
    LEVERAGE_EXCEEDED = "leverage_exceeded"
    LEVERAGE_BRACKETS = "leverage_brackets"
    MARGIN = "margin"
    TRADE_GT_EQUITY_CAP = "trade_gt_equity_cap"
    TRADE_GT_MAX_TRADE_NAV_PCT = "trade_gt_max_trade_nav_pct"
    PORTFOLIO_CAP = "portfolio_cap"
    NET_EXPOSURE_CAP = "net_exposure_cap"
    TIER_CAP = "tier_cap"
    MAX_CONCURRENT = "max_concurrent"
    ALREADY_IN_TRADE = "already_in_trade"
    MAX_OPEN_ORDERS = "max_open_orders"
    COOLDOWN = "cooldown"
    TRADE_RATE_LIMIT = "trade_rate_limit"
    BURST_LIMIT = "burst_limit"
    CIRCUIT_BREAKER = "circuit_breaker"
    DAY_LOSS_LIMIT = "day_loss_limit"
    SYMBOL_DRAWDOWN = "symbol_drawdown"
    NAV_DRAWDOWN_LIMIT = "nav_drawdown_limit"
    PRICE_COLLAR = "price_collar"
    PERCENT_PRICE = "percent_price"
    DUPLICATE_INTENT = "duplicate_intent"
    ENGINE_ERROR = "engine_error"


@dataclass(slots=True, kw_only=True)
class OrderIntent:
    """What is to be decided. Quantities in the base asset, money in USD.

    `side` is None where the attempt's text is no side; numbers are None where the attempt has none. `leverage` is the
    attempt's, else the universe's target, else None. `current_gross_notional` is the symbol's own gross exposure as
    the snapshot says, `tier_gross_notional` that of its tier, `symbol_open_qty` what is held in the intent's direction.
    `amends` is the intent or attempt id that the attempt replaces.
    """

    symbol: str
    side: Side | None
    qty: float | None
    quote_notional: float | None
    leverage: float | None
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
    amends: str | None = None


@dataclass(slots=True, kw_only=True)
class RiskState:
    """Account state as of the attempt, beyond what the intent carries.

    `nav_age_s` is 0 where the snapshot is as fresh as the attempt, None if there is no snapshot.
    `has_position` is None where no log says whether the symbol is held, `is_in_trade` where none says whether it
    is held in the intent's direction. Seconds since are None where it never happened. Counts are of what came
    before this attempt, within the configured window; `orders_in_window` are the orders that v6 allowed, and
    `openings_last_hour` includes those that no live event has answered, where their number is limited.
    `day_pnl_usd` is realised since the desk's midnight, before fees, `symbol_day_pnl_usd` that of the symbol;
    `reference_price` that of the newest fill or metrics row, None where it is older than five minutes.

    `position_qty` is the position against the order, which a reduce-only order reduces; None where it is not known.

    Pending exposure is on its way and not in the snapshot: `pending_live_usd` (of the symbol) is the rest of live
    opening orders that have not ended and what was filled after the snapshot, `pending_v6_usd` (of the symbol) what v6
    allowed and no live event has answered. `pending_portfolio_usd` is both, of all symbols; `pending_qty` both, of the
    symbol in the intent's direction; `pending_positions` counts the other symbols that hold nothing in the snapshot
    and have any. None where an order has no price. `open_orders` counts the symbol's orders that are on their way.
    `other_positions` counts the symbol's positions to which the order would not add (hedge mode: the other side).
    `snapshot_ts` is the time from which on pending exposure counts. `net_usd` (long minus short, in the intent's
    direction, with what is pending in that direction) and `free_balance_usd` are None where no log says them.
    `trading_state` is that of the rollout; that of the limits may be stricter.
    """

    as_of: float
    nav_age_s: float | None
    portfolio_gross_usd: float | None
    has_position: bool | None
    is_in_trade: bool | None = None
    since_fill_s: float | None = None
    since_loss_s: float | None = None
    openings_last_hour: int = 0
    orders_in_window: int = 0
    errors_in_window: int = 0
    day_pnl_usd: float = 0.0
    peak_nav_usd: float | None = None
    reference_price: float | None = None
    is_intent_seen: bool = False
    since_same_order_s: float | None = None
    position_qty: float | None = None
    pending_live_usd: float | None = 0.0
    pending_v6_usd: float | None = 0.0
    pending_portfolio_usd: float | None = 0.0
    pending_qty: float = 0.0
    pending_positions: int = 0
    open_orders: int = 0
    other_positions: int = 0
    snapshot_ts: float | None = None
    net_usd: float | None = None
    free_balance_usd: float | None = None
    symbol_day_pnl_usd: float = 0.0
    trading_state: TradingState = TradingState.ACTIVE


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
