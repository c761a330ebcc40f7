"""From an attempt to what the risk engine is asked: the order intent and the account state as of the attempt."""

from typing import NamedTuple

from pipeline_v6_dagster.domain.attempt import SIDES, Attempt, NavSnapshot, PositionSide, Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.rolling import RollingState

# A position that follows from a snapshot's gross exposure is valued at the price of that time: what differs by less is
# the same position.
_ESTIMATE_TOLERANCE = 0.05


def build_intent(attempt: Attempt, account: RollingState, limits: Limits) -> tuple[OrderIntent, RiskState]:
    """The intent and the state that `check_order` takes.

    The notional is the attempt's own, else |qty| * price; a missing quantity follows from notional / price.
    Exposure is the attempt's snapshot, else the newest known positions; what neither says stays None, and the
    rules that need it deny. Leverage is the attempt's, else the universe's target, else None.
    """
    symbol_limits = limits.of(attempt.symbol)
    as_of, symbol, price = attempt.as_of, attempt.symbol, attempt.price
    qty, notional = _quantity_and_notional(attempt)
    tier = attempt.tier or symbol_limits.tier
    side = SIDES.get(attempt.side)
    nav = attempt.nav
    has_snapshot = nav is not None and not (nav.gross_usd is None and nav.symbol_gross_usd is None)
    if not has_snapshot:
        nav = _with_positions(nav, account)
    exposure = _exposure(nav, symbol, tier, limits) if nav is not None else _UNKNOWN
    has_position = exposure.has_position
    if has_position is False and account.was_filled_since(symbol, as_of - _age_s(attempt.nav)):
        has_position = None  # The snapshot was taken before: what is held since, only the live logs can say.
    intent = OrderIntent(
        symbol=symbol,
        side=side,
        qty=qty,
        quote_notional=notional,
        leverage=symbol_limits.target_leverage if attempt.leverage is None else attempt.leverage,
        price=price,
        tier_name=tier,
        tier_gross_notional=exposure.tier_usd,
        current_gross_notional=exposure.symbol_usd,
        symbol_open_qty=0.0 if has_position is False else account.held_qty(symbol, side),
        nav_usd=nav.nav_usd if nav else None,
        open_positions_count=exposure.positions,
        strategy_id=attempt.strategy_id,
        reduce_only=attempt.is_reduce_only,
        intent_id=attempt.intent_id,
        attempt_id=attempt.attempt_id,
        amends=attempt.amends,
    )
    state = account.risk_state(
        intent,
        as_of=as_of,
        nav_age_s=None if attempt.nav is None else _age_s(attempt.nav),
        portfolio_gross_usd=exposure.portfolio_usd,
        has_position=has_position,
    )
    if attempt.nav is not None:
        state.free_balance_usd = attempt.nav.free_balance_usd
    if attempt.is_reduce_only:
        state.position_qty = _position_against(intent, attempt.position_side, exposure, has_position, account)
    if symbol_limits.max_concurrent_positions is not None and attempt.position_side is not None and side is not None:
        state.other_positions = bool(account.position_against(symbol, side, None))
    if has_snapshot and attempt.nav is not None:
        figures = intent.nav_usd, exposure.portfolio_usd, exposure.positions
        state.snapshot_ts = account.pending.snapshot_time(as_of, attempt.nav.age_s, figures)
    if symbol_limits.max_openings_per_hour is not None:
        state.openings_last_hour += account.pending.count_unanswered(symbol, as_of)
    _add_pending(intent, state, account, limits, nav)
    return intent, state


def _quantity_and_notional(attempt: Attempt) -> tuple[float | None, float | None]:
    qty, price, notional = attempt.qty, attempt.price, attempt.quote_notional_usd
    if notional is None and qty is not None and price is not None:
        notional = abs(qty) * price
    elif qty is None and notional is not None and price:
        qty = notional / price
    return qty, notional


def _position_against(
    intent: OrderIntent,
    position_side: PositionSide | None,
    exposure: "_Exposure",
    has_position: bool | None,
    account: RollingState,
) -> float | None:
    """The position that a reduce-only order reduces: by the live logs, else the snapshot's gross over the price.

    Live logs that hold no position where the snapshot has one do not hold all fills.
    """
    if intent.side is None:
        return None
    known = account.position_against(intent.symbol, intent.side, position_side)
    is_contradicted = known == 0 and has_position and not account.held_qty(intent.symbol, intent.side)
    if known is not None and not is_contradicted:
        return known
    if has_position is False:
        return 0.0
    held_usd, price, qty = exposure.symbol_usd, intent.price, intent.qty
    if not has_position or not held_usd or not price or price <= 0 or qty is None:
        return None
    estimate = held_usd / price
    return qty if estimate < qty <= estimate * (1 + _ESTIMATE_TOLERANCE) else estimate


def _add_pending(
    intent: OrderIntent, state: RiskState, account: RollingState, limits: Limits, nav: NavSnapshot | None
) -> None:
    """Put into `state` what is on its way beyond the snapshot."""
    pending = account.pending.exposure(
        intent.symbol, intent.side, state.as_of, state.snapshot_ts, account.find_price, intent.amends
    )
    if limits.max_net_nav_ratio is not None and intent.side is not None:
        net_usd = account.net_usd()
        if net_usd is not None and pending.side_usd is not None:
            state.net_usd = (net_usd if intent.side is Side.BUY else -net_usd) + pending.side_usd
    if not pending.open_orders and not pending.symbols:
        return
    listed = (nav.symbol_gross_usd if nav is not None else None) or {}
    state.pending_live_usd, state.pending_v6_usd = pending.live_usd, pending.v6_usd
    state.pending_portfolio_usd, state.pending_qty = pending.portfolio_usd, pending.qty
    state.open_orders = pending.open_orders
    symbol, others = intent.symbol, 0
    for name in pending.symbols:
        if name != symbol and not listed.get(name):
            others += 1
    state.pending_positions = others


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
