"""The market, and what an account is worth in it.

Belongs here: prices (a seeded geometric random walk per symbol through calm, trending and volatile spells, on the
tick), the price at which the market takes an order, positions valued at those prices. Who orders what and when is
`simulator.executor`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, sqrt

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.simulator.configuration import INSTRUMENTS

BPS = 1e-4
START_PRICES: Mapping[str, float] = {"BTCUSDT": 64_000.0, "ETHUSDT": 3_200.0, "SOLUSDT": 155.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One kind of market. Volatility in bps per square root of a second, drift in bps per second (either way)."""

    name: str
    volatility_bps: float
    drift_bps_per_s: float
    half_spread_bps: float
    mean_duration_s: float


REGIMES = (
    Regime(name="calm", volatility_bps=0.5, drift_bps_per_s=0.0, half_spread_bps=0.5, mean_duration_s=1800.0),
    Regime(name="trending", volatility_bps=0.9, drift_bps_per_s=0.03, half_spread_bps=0.8, mean_duration_s=600.0),
    Regime(name="volatile", volatility_bps=2.5, drift_bps_per_s=0.0, half_spread_bps=2.0, mean_duration_s=300.0),
)


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One symbol's price between ticks, and the spell that it is in."""

    price: float
    ts: float
    regime: Regime
    drift_bps_per_s: float
    regime_ends_ts: float


class Market:
    """The prices of all instruments. Questions are asked in time order; the same questions get the same answers."""

    def __init__(self, seed: int, start_ts: float) -> None:
        self._rng = random.Random(f"market {seed}")  # noqa: S311 -- repeatable, not secret
        self._walks = {
            symbol: _Walk(
                price=START_PRICES[symbol], ts=start_ts, regime=REGIMES[0], drift_bps_per_s=0.0, regime_ends_ts=start_ts
            )
            for symbol in INSTRUMENTS
        }

    def price(self, symbol: str, ts: float) -> float:
        """The mark price at `ts` (epoch s); one before the last question gets the last answer."""
        return INSTRUMENTS[symbol].round_price(self._at(symbol, ts).price)

    def fill_price(self, symbol: str, side: Side, ts: float) -> float:
        """What an order that crosses the spread pays at `ts`: half the spread and some impact, against it."""
        walk = self._at(symbol, ts)
        cost_bps = walk.regime.half_spread_bps * (1 + self._rng.expovariate(2.0))
        sign = 1 if side is Side.BUY else -1
        return INSTRUMENTS[symbol].round_price(walk.price * (1 + sign * cost_bps * BPS))

    def _at(self, symbol: str, ts: float) -> _Walk:
        walk = self._walks[symbol]
        while walk.ts < ts:
            if walk.regime_ends_ts <= walk.ts:
                walk.regime = self._rng.choice(REGIMES)
                walk.drift_bps_per_s = self._rng.choice((-1.0, 1.0)) * walk.regime.drift_bps_per_s
                walk.regime_ends_ts = walk.ts + max(1.0, self._rng.expovariate(1 / walk.regime.mean_duration_s))
            step_ts = min(ts, walk.regime_ends_ts)
            dt_s = step_ts - walk.ts
            volatility = walk.regime.volatility_bps * BPS
            shock = volatility * sqrt(dt_s) * self._rng.gauss(0.0, 1.0)
            # Half the variance less, so that the price and not its logarithm is what drifts.
            walk.price *= exp((walk.drift_bps_per_s * BPS - volatility**2 / 2) * dt_s + shock)
            walk.ts = step_ts
        return walk


@dataclass(slots=True)
class HeldPosition:
    """One side of one symbol (hedge mode). `closing_lots` are asked to be closed and not filled yet."""

    lots: int = 0
    entry_price: float = 0.0
    closing_lots: int = 0

    @property
    def free_lots(self) -> int:
        """What a new order may still close."""
        return self.lots - self.closing_lots


@dataclass(slots=True)
class Account:
    """Cash and positions; BUY holds the longs, SELL the shorts of a symbol."""

    market: Market
    cash_usd: float
    positions: dict[tuple[str, Side], HeldPosition] = field(
        default_factory=lambda: {(symbol, side): HeldPosition() for symbol in INSTRUMENTS for side in Side}
    )

    def gross_usd(self, symbol: str, ts: float) -> float:
        """Both sides of a symbol at the mark price."""
        lots = sum(self.positions[symbol, side].lots for side in Side)
        return INSTRUMENTS[symbol].qty(lots) * self.market.price(symbol, ts)

    def nav_usd(self, ts: float) -> float:
        """Cash and what closing everything at the mark price would realise."""
        return self.cash_usd + sum(
            pnl_usd(symbol, side, held.lots, held.entry_price, self.market.price(symbol, ts))
            for (symbol, side), held in self.positions.items()
            if held.lots
        )

    def open(self, symbol: str, side: Side, lots: int, price: float) -> None:
        """Add a fill to a position; its entry price is the average."""
        held = self.positions[symbol, side]
        held.entry_price = (held.lots * held.entry_price + lots * price) / (held.lots + lots)
        held.lots += lots

    def close(self, symbol: str, side: Side, lots: int, price: float) -> float:
        """Take a fill out of a position; the profit or loss (USD) that it realised."""
        held = self.positions[symbol, side]
        realised_usd = pnl_usd(symbol, side, lots, held.entry_price, price)
        held.lots -= lots
        held.closing_lots -= lots
        if not held.lots:
            held.entry_price = 0.0
        self.cash_usd += realised_usd
        return realised_usd


def pnl_usd(symbol: str, side: Side, lots: int, entry_price: float, price: float) -> float:
    """What `lots` bought (BUY) or sold (SELL) at `entry_price` have made at `price`."""
    sign = 1 if side is Side.BUY else -1
    return sign * INSTRUMENTS[symbol].qty(lots) * (price - entry_price)
