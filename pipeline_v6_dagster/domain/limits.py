"""Limits as the decision needs them: resolved, in one unit, one number where several sources limit the same thing.

How configuration files become these is `config.limits`. All ratios are fractions of NAV; None means that
nothing is configured and the limit does not deny.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline_v6_dagster.domain.attempt import Side

# The most orders, attempts or errors that a limit may count: what is remembered to count them is bounded.
MAX_COUNTED = 1000

# Rules that are on where nothing is configured, by the name of their reason: `disabled_rules` may list these.
DEFAULT_RULES = frozenset(
    {"price_collar", "notional_mismatch", "already_in_trade", "trade_gt_equity_cap", "trade_gt_max_trade_nav_pct"}
)


class TradingState(StrEnum):
    """What the desk lets through: everything, only what reduces a position, nothing. Ordered from lax to strict."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    def stricter(self, other: "TradingState") -> "TradingState":
        """The one of the two that lets less through."""
        if self is other or self is TradingState.HALTED or other is TradingState.ACTIVE:
            return self
        return other


@dataclass(frozen=True, slots=True)
class LeverageBracket:
    """The largest position (USD) that an exchange allows at a leverage up to `leverage`."""

    leverage: float
    max_position_usd: float


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Rows of the executor's logs that the desk knows and that may be dropped although they carry a quantity."""

    event_types: frozenset[str] = frozenset()
    strategies: frozenset[str] = frozenset()

    def includes(self, event_type: str | None, strategy: str | None) -> bool:
        """Whether a row of that event type, written for that strategy, may be dropped."""
        return event_type in self.event_types or strategy in self.strategies


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolLimits:
    """What holds for one symbol, the global, symbol and universe limits already combined.

    Minima are the largest, maxima the smallest of their sources. `max_concurrent_positions` counts the positions in
    this symbol (0: none may be opened). `max_share_ratio` is the largest part of the account's gross exposure that the
    symbol may be, `max_drawdown_ratio` the largest realised loss of the symbol in a trading day, as a ratio of NAV.
    Price multipliers are those of the exchange's PERCENT_PRICE filter.
    """

    symbol: str
    is_known: bool
    is_enabled: bool = True
    tier: str | None = None
    target_leverage: float | None = None
    max_leverage: float | None = None
    min_notional_usd: float | None = None
    max_order_notional_usd: float | None = None
    max_symbol_nav_ratio: float | None = None
    max_open_qty: float | None = None
    block_sides: frozenset[Side] = frozenset()
    lot_step: float | None = None
    tick_size: float | None = None
    cooldown_s: float | None = None
    max_openings_per_hour: int | None = None
    price_collar_ratio: float | None = None
    min_qty: float | None = None
    max_qty: float | None = None
    max_position_qty: float | None = None
    max_position_usd: float | None = None
    max_open_orders: int | None = None
    price_multiplier_up: float | None = None
    price_multiplier_down: float | None = None
    leverage_brackets: tuple[LeverageBracket, ...] = ()
    max_concurrent_positions: int | None = None
    max_share_ratio: float | None = None
    max_drawdown_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits of one configuration; `config_hash` names it (16 hex digits over what differs from the defaults).

    `peak_since` (epoch s) is from when on the peak of the NAV counts, all that was seen where it is None.
    `quote_symbols` are the quote currencies that may be traded, all where it is None. `drawdown_alert_ratio` and
    `known_rows` limit no order: an alert level, and rows that may be dropped.
    `fallback` holds the global limits for a symbol that the universe does not know.
    """

    symbols: Mapping[str, SymbolLimits]
    fallback: SymbolLimits
    restricted_symbols: frozenset[str] = frozenset()
    whitelist: frozenset[str] | None = None
    is_kill_switch_on: bool = False
    nav_freshness_s: float | None = None
    is_fail_closed_on_nav_stale: bool = True
    trade_equity_nav_ratio: float = 0.15
    max_trade_nav_ratio: float = 0.10
    max_portfolio_gross_nav_ratio: float | None = None
    max_concurrent_positions: int | None = None
    tier_nav_ratios: Mapping[str, float] = field(default_factory=dict)
    maker_fee_bps: float = 2.0
    taker_fee_bps: float = 5.0
    expected_slippage_bps: float = 0.0
    is_pyramiding_allowed: bool = False
    cooldown_after_loss_s: float | None = None
    burst_window_s: float | None = None
    burst_max_orders: int | None = None
    breaker_window_s: float | None = None
    breaker_max_errors: int | None = None
    day_loss_nav_ratio: float | None = None
    reset_timezone: str = "UTC"
    drawdown_nav_ratio: float | None = None
    peak_since: float | None = None
    duplicate_window_s: float | None = None
    trading_state: TradingState = TradingState.ACTIVE
    disabled_rules: frozenset[str] = frozenset()
    notional_mismatch_ratio: float | None = None
    max_margin_ratio: float | None = None
    max_net_nav_ratio: float | None = None
    quote_symbols: frozenset[str] | None = None
    drawdown_alert_ratio: float | None = None
    known_rows: KnownRows = KnownRows()
    config_hash: str = ""

    def of(self, symbol: str) -> SymbolLimits:
        """The limits of `symbol`; those of an unknown symbol where the universe does not list it."""
        return self.symbols.get(symbol, self.fallback)
