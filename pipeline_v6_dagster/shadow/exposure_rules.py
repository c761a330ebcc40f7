"""Caps on exposure: of one order, a symbol, a tier, the account; and their entries in the table.

Limits apply to gross (absolute) exposure, as Binance USD-M futures count it: notional is price times quantity. Exposure
is the snapshot's and what is pending on top of it.
"""

from math import inf, isfinite

from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState
from pipeline_v6_dagster.shadow.intent_rules import convert_to_usd
from pipeline_v6_dagster.shadow.readings import EPSILON, Cap, Number, is_positive, plus

Measured = tuple[Number, Number] | None


def order_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The symbol's and the universe's limit on one order."""
    cap = symbol.max_order_notional_usd
    return None if cap is None else (cap, 0.0)


def max_position_qty(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The position in the order's direction, at what the order pays per unit."""
    if symbol.max_position_qty is None:
        return None
    held = intent.symbol_open_qty
    used = None if held is None else convert_to_usd(abs(held) + state.pending_qty, intent)
    return convert_to_usd(symbol.max_position_qty, intent), used


def max_position_usd(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The symbol's exposure in USD."""
    cap = symbol.max_position_usd
    return None if cap is None else (cap, _symbol_usd(intent, state))


def symbol_nav_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The symbol's share of NAV."""
    ratio = symbol.max_symbol_nav_ratio
    return None if ratio is None else (_of_nav(intent, ratio), _symbol_usd(intent, state))


def symbol_share_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The symbol's share of the portfolio's gross exposure after the order, or of NAV where that is more.

    Of gross exposure alone the first order of a flat account would have a share of 100 %. From
    used + order <= ratio * (gross + order) follows order <= (ratio * gross - used) / (1 - ratio). Pending orders of
    other symbols do not make the portfolio larger: they may never be filled.
    """
    ratio, used = symbol.max_share_ratio, _symbol_usd(intent, state)
    if ratio is None:
        return None
    limit, gross = _of_nav(intent, ratio), state.portfolio_gross_usd
    if limit is not None and used is not None and gross is not None and ratio < 1:
        limit = max(limit, used + (ratio * gross - used) / (1 - ratio))
    return limit, used if gross is not None and 0 <= gross < inf else None


def leverage_brackets(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The largest position of the brackets that admit the order's leverage; 0 where none does."""
    asked = intent.leverage
    if not symbol.leverage_brackets:
        return None
    if asked is None or not is_positive(asked):
        return None, _symbol_usd(intent, state)
    admitting = (
        bracket.max_position_usd for bracket in symbol.leverage_brackets if asked <= bracket.leverage * (1 + EPSILON)
    )
    return max(admitting, default=0.0), _symbol_usd(intent, state)


def margin(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """What the free balance buys at the order's leverage; what is pending counts at the same leverage."""
    ratio, free_usd, leverage = limits.max_margin_ratio, state.free_balance_usd, intent.leverage
    if ratio is None:
        return None
    if free_usd is None or not 0 <= free_usd < inf or leverage is None or not is_positive(leverage):
        return None, state.pending_portfolio_usd
    return free_usd * ratio * leverage, state.pending_portfolio_usd


def equity_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """One order's share of NAV, by the older key."""
    return _of_nav(intent, limits.trade_equity_nav_ratio), 0.0


def trade_nav_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """One order's share of NAV."""
    return _of_nav(intent, limits.max_trade_nav_ratio), 0.0


def portfolio_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """Gross exposure of all symbols."""
    ratio = limits.max_portfolio_gross_nav_ratio
    if ratio is None:
        return None
    return _of_nav(intent, ratio), plus(state.portfolio_gross_usd, state.pending_portfolio_usd)


def net_exposure_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """Net exposure in the order's direction: what is net held the other way raises the limit."""
    ratio, net_usd = limits.max_net_nav_ratio, state.net_usd
    if ratio is None:
        return None
    limit = _of_nav(intent, ratio)
    if net_usd is None or limit is None or not isfinite(net_usd):
        return limit, None
    return limit - min(net_usd, 0.0), max(net_usd, 0.0)


def tier_cap(intent: OrderIntent, state: RiskState, limits: Limits, symbol: SymbolLimits) -> Measured:
    """The share of NAV that a symbol of the tier may have."""
    if intent.tier_name is None:
        return None
    ratio = limits.tier_nav_ratios.get(intent.tier_name)
    # A tier that has a name but no limit is unknown, and what is unknown is denied.
    return (None if ratio is None else _of_nav(intent, ratio)), _symbol_usd(intent, state)


def _symbol_usd(intent: OrderIntent, state: RiskState) -> float | None:
    """Gross exposure of the symbol with what is pending."""
    held, live, v6 = intent.current_gross_notional, state.pending_live_usd, state.pending_v6_usd
    return None if held is None or live is None or v6 is None else held + live + v6


def _of_nav(intent: OrderIntent, ratio: float) -> float | None:
    nav_usd = intent.nav_usd
    return nav_usd * ratio if nav_usd is not None and 0 < nav_usd < inf else None


_CREDIT = "SEC 15c3-5(c)(1)(i)"
R = DenyReason
EXPOSURE_RULES: tuple[Cap, ...] = (
    Cap(
        reason=R.SYMBOL_CAP,
        denies_when="notional above the smallest of the symbol's and the universe's order limit",
        limit_keys=("max_order_notional", "max_notional_usd"),
        measure=order_cap,
        when_unknown="-",
        source="RTS 6 art. 15",
        is_set=lambda limits, symbol: symbol.max_order_notional_usd is not None,
    ),
    Cap(
        reason=R.MAX_POSITION,
        denies_when="position in the order's direction plus quantity above the limit (both valued at the order's"
        " price)",
        limit_keys=("max_position_qty",),
        measure=max_position_qty,
        source="`MAX_POSITION`; RTS 6 art. 15",
        is_set=lambda limits, symbol: symbol.max_position_qty is not None,
    ),
    Cap(
        reason=R.MAX_POSITION,
        denies_when="the symbol's gross exposure plus notional above the limit",
        limit_keys=("max_position_usd",),
        measure=max_position_usd,
        source="RTS 6 art. 15",
        is_set=lambda limits, symbol: symbol.max_position_usd is not None,
    ),
    Cap(
        reason=R.SYMBOL_NAV_CAP,
        denies_when="the symbol's gross exposure plus notional above NAV times the smallest ratio",
        limit_keys=("max_nav_pct", "max_symbol_exposure_pct"),
        measure=symbol_nav_cap,
        source=_CREDIT,
        is_set=lambda limits, symbol: symbol.max_symbol_nav_ratio is not None,
    ),
    Cap(
        reason=R.SYMBOL_SHARE_CAP,
        denies_when="the symbol's gross exposure plus notional above the ratio of the larger of NAV and the"
        " portfolio's gross exposure plus notional",
        limit_keys=("symbol_notional_share_cap_pct",),
        measure=symbol_share_cap,
        is_set=lambda limits, symbol: symbol.max_share_ratio is not None,
    ),
    Cap(
        reason=R.LEVERAGE_BRACKETS,
        denies_when="the symbol's gross exposure plus notional above the largest position of the brackets that"
        " admit the leverage",
        limit_keys=("leverage_brackets",),
        measure=leverage_brackets,
        source="the exchange's leverage brackets",
        is_set=lambda limits, symbol: bool(symbol.leverage_brackets),
    ),
    Cap(
        reason=R.MARGIN,
        denies_when="pending exposure plus notional, over leverage, above the free balance times the ratio",
        limit_keys=("max_margin_pct",),
        measure=margin,
        source=_CREDIT,
        is_set=lambda limits, symbol: limits.max_margin_ratio is not None,
    ),
    Cap(
        reason=R.TRADE_GT_EQUITY_CAP,
        denies_when="notional above NAV times the ratio",
        limit_keys=("trade_equity_nav_pct",),
        measure=equity_cap,
        default="15 %",
        source="RTS 6 art. 15",
    ),
    Cap(
        reason=R.TRADE_GT_MAX_TRADE_NAV_PCT,
        denies_when="notional above NAV times the ratio",
        limit_keys=("max_trade_nav_pct",),
        measure=trade_nav_cap,
        default="10 %",
        source="RTS 6 art. 15",
    ),
    Cap(
        reason=R.PORTFOLIO_CAP,
        denies_when="portfolio gross exposure plus notional above NAV times the ratio",
        limit_keys=("max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct"),
        measure=portfolio_cap,
        source=f"{_CREDIT}; RTS 6 art. 17",
        is_set=lambda limits, symbol: limits.max_portfolio_gross_nav_ratio is not None,
    ),
    Cap(
        reason=R.NET_EXPOSURE_CAP,
        denies_when="net exposure in the order's direction plus notional above NAV times the ratio",
        limit_keys=("max_net_exposure_pct",),
        measure=net_exposure_cap,
        source=_CREDIT,
        is_set=lambda limits, symbol: limits.max_net_nav_ratio is not None,
    ),
    Cap(
        reason=R.TIER_CAP,
        denies_when="the symbol's gross exposure plus notional above NAV times its tier's ratio",
        limit_keys=("tiers.*.per_symbol_nav_pct",),
        measure=tier_cap,
        is_set=lambda limits, symbol: bool(limits.tier_nav_ratios),
    ),
)
