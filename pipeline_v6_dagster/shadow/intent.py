"""From an attempt to what the risk engine is asked: the order intent and the account state as of the attempt."""

from pipeline_v6_dagster.domain.attempt import SIDES, Attempt, NavSnapshot
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState

DEFAULT_LEVERAGE = 1.0


def build_intent(attempt: Attempt, limits: Limits) -> tuple[OrderIntent, RiskState]:
    """The intent and the state that `check_order` takes.

    The notional is the attempt's own, else |qty| * price; a missing quantity follows from notional / price.
    Exposure that no snapshot tells stays None, and the rules that need it deny.
    """
    symbol_limits = limits.of(attempt.symbol)
    qty, price, notional = attempt.qty, attempt.price, attempt.quote_notional_usd
    if notional is None and qty is not None and price is not None:
        notional = abs(qty) * price
    elif qty is None and notional is not None and price:
        qty = notional / price
    leverage = attempt.leverage
    if leverage is None:
        leverage = symbol_limits.target_leverage
    tier = attempt.tier or symbol_limits.tier
    nav = attempt.nav
    symbol_gross = _symbol_gross_usd(nav, attempt.symbol)
    intent = OrderIntent(
        symbol=attempt.symbol,
        side=SIDES.get(attempt.side),
        qty=qty,
        quote_notional=notional,
        leverage=DEFAULT_LEVERAGE if leverage is None else leverage,
        price=price,
        tier_name=tier,
        tier_gross_notional=_tier_gross_usd(nav, tier, limits),
        current_gross_notional=symbol_gross,
        symbol_open_qty=0.0 if symbol_gross == 0 else None,
        nav_usd=nav.nav_usd if nav else None,
        open_positions_count=_open_positions(nav),
        strategy_id=attempt.strategy_id,
        reduce_only=attempt.is_reduce_only,
        intent_id=attempt.intent_id,
        attempt_id=attempt.attempt_id,
    )
    state = RiskState(
        as_of=attempt.as_of,
        nav_age_s=None if nav is None else (nav.age_s or 0.0),
        portfolio_gross_usd=_portfolio_gross_usd(nav),
        has_position=_has_position(nav, attempt.symbol),
    )
    return intent, state


def _portfolio_gross_usd(nav: NavSnapshot | None) -> float | None:
    """The snapshot's own figure, or that of the symbols that it lists where that is more."""
    if nav is None or not nav.symbol_gross_usd:
        return nav.gross_usd if nav else None
    listed = sum(map(abs, nav.symbol_gross_usd.values()))
    return listed if nav.gross_usd is None or 0 <= nav.gross_usd < listed else nav.gross_usd


def _symbol_gross_usd(nav: NavSnapshot | None, symbol: str) -> float | None:
    """The symbol's gross: its entry; 0 where others are listed and it is not, or where nothing is open.

    Where only the portfolio's gross is known, that is the most that the symbol can have, and it is taken.
    """
    if nav is None:
        return None
    if nav.symbol_gross_usd:
        return abs(nav.symbol_gross_usd.get(symbol, 0.0))
    return nav.gross_usd


def _tier_gross_usd(nav: NavSnapshot | None, tier: str | None, limits: Limits) -> float | None:
    if nav is None or tier is None or not nav.symbol_gross_usd:
        return 0.0 if nav is not None and nav.gross_usd == 0 else None
    return sum(abs(gross) for symbol, gross in nav.symbol_gross_usd.items() if limits.of(symbol).tier == tier)


def _open_positions(nav: NavSnapshot | None) -> int | None:
    if nav is None:
        return None
    if nav.symbol_gross_usd:
        return sum(1 for gross in nav.symbol_gross_usd.values() if abs(gross) > 0)
    return 0 if nav.gross_usd == 0 else None


def _has_position(nav: NavSnapshot | None, symbol: str) -> bool | None:
    if nav is None:
        return None
    if nav.symbol_gross_usd:
        return abs(nav.symbol_gross_usd.get(symbol, 0.0)) > 0
    return False if nav.gross_usd == 0 else None
