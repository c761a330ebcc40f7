"""Rolling state: what was known of the account as of each attempt, in one forward pass over attempts and live rows.

Belongs here: what a rule knows of the account and of the attempts before. How a live row changes the account is
`shadow.account_book`, what is remembered of attempts is `shadow.attempt_window`.
"""

from pipeline_v6_dagster.domain.account import AccountState, RoutingRecord, SymbolState
from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.position_book import PositionBook
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.domain.rollout import TradingStates
from pipeline_v6_dagster.shadow.account_book import HOUR_S, AccountBook, TradingDayBounds
from pipeline_v6_dagster.shadow.attempt_window import AttemptWindow
from pipeline_v6_dagster.shadow.pending import DEFAULT_TOLERANCE_S

# A price is compared with no older one: in five minutes a market may move as far as a collar allows.
PRICE_FRESH_S = 300.0


class RollingState:
    """The account and the newest attempts, and what is derived from both.

    `trading_day_bounds` says when the desk's day begins and ends, `trading_states` what the rollout let through when.
    """

    def __init__(
        self,
        limits: Limits,
        trading_day_bounds: TradingDayBounds,
        state: AccountState | None = None,
        tolerance_s: float = DEFAULT_TOLERANCE_S,
        trading_states: TradingStates | None = None,
    ) -> None:
        self._trading_states = trading_states or TradingStates()
        self._peak_since = limits.peak_since
        self._breaker_window_s = limits.breaker_window_s
        self._has_symbol_loss_limit = any(
            rules.max_drawdown_ratio is not None for rules in (limits.fallback, *limits.symbols.values())
        )
        self._book = AccountBook(trading_day_bounds, state, tolerance_s)
        # A live row that was logged by now. The book's own method: one is applied for every row.
        self.apply = self._book.apply
        # What is held in the direction of a side; None if no log says so.
        self.held_qty = self._book.held_qty
        self.pending = self._book.pending
        self._attempts = AttemptWindow(limits)
        self.state = self._book.state

    @property
    def positions(self) -> PositionBook:
        """What is held, as the live logs tell."""
        return self._book.positions

    def note_attempt(
        self,
        as_of: float,
        symbol: str,
        side: Side | None,
        qty: float | None,
        intent_id: str | None,
        nav_usd: float | None,
        *,
        is_allowed: bool = True,
    ) -> None:
        """Remember an attempt once it is decided, whatever the decision."""
        self._attempts.add(as_of, symbol, side, qty, intent_id, is_allowed=is_allowed)
        self._begin_peak(as_of)
        state = self.state
        if nav_usd is not None and nav_usd > 0 and (state.peak_nav_usd is None or nav_usd > state.peak_nav_usd):
            state.peak_nav_usd = nav_usd

    def _begin_peak(self, as_of: float) -> None:
        since, state = self._peak_since, self.state
        if since != state.peak_since and (since is None or as_of >= since):
            state.peak_since, state.peak_nav_usd = since, None

    def find_price(self, symbol: str) -> float | None:
        """The newest price of a symbol; None where no log has one."""
        known = self._book.known(symbol)
        return None if known is None else known.price

    def net_usd(self) -> float | None:
        """Long minus short of all symbols; None where a position is not known, or a held one has no price."""
        return self._book.net_usd()

    def position_against(self, symbol: str, side: Side, position_side: PositionSide | None) -> float | None:
        """The position that a reduce-only order on `side` reduces; None where it is not known."""
        return self._book.positions.reducible(symbol, side, position_side)

    def was_filled_since(self, symbol: str, ts: float) -> bool:
        """Whether the live logs tell of a fill of the symbol after `ts`."""
        known = self._book.known(symbol)
        return known is not None and known.last_fill_ts is not None and known.last_fill_ts > ts

    def gross_usd(self) -> dict[str, float] | None:
        """Gross exposure of every symbol that is held; None where it is not known (`AccountBook.gross_usd`)."""
        return self._book.gross_usd()

    def risk_state(
        self,
        intent: OrderIntent,
        as_of: float,
        nav_age_s: float | None,
        portfolio_gross_usd: float | None,
        has_position: bool | None,
    ) -> RiskState:
        """What the rules know besides the intent."""
        book = self._book
        symbol = book.known(intent.symbol)
        self._begin_peak(as_of)
        peak, nav = self.state.peak_nav_usd, intent.nav_usd
        breaker_s = self._breaker_window_s
        return RiskState(
            as_of=as_of,
            nav_age_s=nav_age_s,
            portfolio_gross_usd=portfolio_gross_usd,
            has_position=has_position,
            is_in_trade=self._is_in_trade(intent, has_position),
            since_fill_s=_since(symbol.last_fill_ts, as_of) if symbol else None,
            since_loss_s=_since(symbol.last_loss_ts, as_of) if symbol else None,
            openings_last_hour=book.openings_since(intent.symbol, as_of - HOUR_S),
            orders_in_window=self._attempts.count(as_of),
            errors_in_window=0 if breaker_s is None else book.errors_since(as_of - breaker_s),
            day_pnl_usd=book.day_pnl_usd(as_of),
            peak_nav_usd=peak if nav is None or (peak is not None and not nav > peak) else nav,
            reference_price=_fresh_price(symbol, as_of),
            is_intent_seen=intent.amends is None and self._attempts.is_known(intent.intent_id),
            since_same_order_s=_since(self._attempts.same_order_ts(intent, as_of), as_of),
            symbol_day_pnl_usd=book.day_pnl_usd(as_of, intent.symbol) if self._has_symbol_loss_limit else 0.0,
            trading_state=self._trading_states.at(as_of),
        )

    def routing_record(self, symbol: str, as_of: float) -> RoutingRecord:
        """How the symbol's orders went of late, or those of all symbols where it has too few."""
        return self._book.routing_record(symbol, as_of)

    def _is_in_trade(self, intent: OrderIntent, has_position: bool | None) -> bool | None:
        """Whether the intent's direction is held already; None where it cannot be known.

        The account snapshot says whether there is a position, the live logs in which direction.
        """
        if has_position is False:
            return False
        held = self.held_qty(intent.symbol, intent.side)
        if held is None or (held == 0 and has_position and not self._is_other_side_held(intent)):
            return None
        return held > 0

    def _is_other_side_held(self, intent: OrderIntent) -> bool:
        other = Side.SELL if intent.side is Side.BUY else Side.BUY
        return bool(self.held_qty(intent.symbol, other))


def _fresh_price(symbol: SymbolState | None, as_of: float) -> float | None:
    """The price of the newest fill or metrics row, unless it is older than `PRICE_FRESH_S`."""
    if symbol is None or symbol.price_ts is None or as_of - symbol.price_ts > PRICE_FRESH_S:
        return None
    return symbol.price


def _since(ts: float | None, as_of: float) -> float | None:
    """Seconds since `ts`; 0 where clocks disagree and it is still to come."""
    return None if ts is None else max(as_of - ts, 0.0)
