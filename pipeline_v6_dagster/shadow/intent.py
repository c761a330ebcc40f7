"""From an attempt to what the risk engine is asked: the order intent and the account state as of the attempt."""

from typing import NamedTuple

from pipeline_v6_dagster.domain.attempt import SIDES, Attempt, NavSnapshot
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.rolling import RollingState

DEFAULT_LEVERAGE = 1.0


def build_intent(attempt: Attempt, account: RollingState, limits: Limits) -> tuple[OrderIntent, RiskState]:
    """The intent and the state that `check_order` takes.

    The notional is the attempt's own, else |qty| * price; a missing quantity follows from notional / price.
    Exposure is the attempt's snapshot, else the newest known positions; what neither tells stays None, and the
    rules that need it deny.
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
    side = SIDES.get(attempt.side)
    nav = attempt.nav
    if nav is None or (nav.gross_usd is None and nav.symbol_gross_usd is None):
        nav = _with_positions(nav, account)
    exposure = _exposure(nav, attempt.symbol, tier, limits) if nav is not None else _UNKNOWN
    has_position = exposure.has_position
    if has_position is False and account.was_filled_since(attempt.symbol, attempt.as_of - _age_s(attempt.nav)):
        has_position = None  # The snapshot was taken before: what is held now, only the live logs can tell.
    intent = OrderIntent(
        attempt.symbol,
        side,
        qty,
        notional,
        DEFAULT_LEVERAGE if leverage is None else leverage,
        price,
        tier,
        exposure.tier_usd,
        exposure.symbol_usd,
        0.0 if has_position is False else account.held_qty(attempt.symbol, side),
        nav.nav_usd if nav else None,
        exposure.positions,
        attempt.strategy_id,
        attempt.is_reduce_only,
        attempt.intent_id,
        attempt.attempt_id,
    )
    state = account.risk_state(
        intent,
        as_of=attempt.as_of,
        nav_age_s=None if attempt.nav is None else _age_s(attempt.nav),
        portfolio_gross_usd=exposure.portfolio_usd,
        has_position=has_position,
    )
    return intent, state


def _age_s(nav: NavSnapshot | None) -> float:
    """How old a snapshot is; one without a time of its own is as fresh as the attempt."""
    return (nav.age_s if nav is not None else None) or 0.0


class _Exposure(NamedTuple):
    """Gross exposure in USD; None where it is not known."""

    portfolio_usd: float | None = None
    symbol_usd: float | None = None
    tier_usd: float | None = None
    positions: int | None = None
    has_position: bool | None = None


_UNKNOWN = _Exposure()
_NOTHING_OPEN = _Exposure(0.0, 0.0, 0.0, 0, has_position=False)


def _with_positions(nav: NavSnapshot | None, account: RollingState) -> NavSnapshot | None:
    """The snapshot with the exposure that the live logs tell of, where it has none itself."""
    gross_usd = account.gross_usd()
    if gross_usd is None:
        return nav
    return NavSnapshot(
        nav_usd=nav.nav_usd if nav else None,
        gross_usd=sum(gross_usd.values()),
        symbol_gross_usd=gross_usd,
        age_s=nav.age_s if nav else None,
    )


def _exposure(nav: NavSnapshot, symbol: str, tier: str | None, limits: Limits) -> _Exposure:
    """What a snapshot tells.

    Of the portfolio its own figure, or that of the symbols that it lists where that is more. Of the symbol its entry,
    0 where others are listed and it is not. Where only the portfolio's gross is known, that is the most that the
    symbol can have, and it is taken.
    """
    listed = nav.symbol_gross_usd
    if not listed:
        return _NOTHING_OPEN if nav.gross_usd == 0 else _Exposure(nav.gross_usd, nav.gross_usd)
    total = of_tier = 0.0
    positions = 0
    symbols = limits.symbols
    for name, signed_usd in listed.items():
        gross_usd = abs(signed_usd)
        total += gross_usd
        positions += gross_usd > 0
        known = symbols.get(name)
        if known is not None and known.tier == tier:
            of_tier += gross_usd
    own = abs(listed.get(symbol, 0.0))
    is_short = nav.gross_usd is None or 0 <= nav.gross_usd < total
    return _Exposure(total if is_short else nav.gross_usd, own, None if tier is None else of_tier, positions, own > 0)
