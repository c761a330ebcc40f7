"""What the simulated desk trades and within which limits: the instruments, and both configuration files made of them.

Belongs here: every number that the simulated executor and the shadow must agree on. How a file is written is the
caller's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Largest order and largest gross exposure of the account, as ratios of NAV.
MAX_TRADE_NAV_RATIO = 0.10
MAX_PORTFOLIO_NAV_RATIO = 1.5
MIN_NOTIONAL_USD = 100.0
MAKER_FEE_BPS = 2.0
TAKER_FEE_BPS = 5.0
EXPECTED_SLIPPAGE_BPS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One perpetual future: the exchange's filters and the desk's limits."""

    symbol: str
    tier: str
    tick_size: float
    lot_step: float
    max_order_notional_usd: float
    max_nav_ratio: float
    target_leverage: float
    max_leverage: float

    def qty(self, lots: int) -> float:
        """`lots` lot steps as a quantity of the base asset."""
        # Steps are decimal numbers: 3 * 0.1 must read 0.3.
        return round(lots * self.lot_step, 9)

    def lots(self, notional_usd: float, price: float) -> int:
        """The most lot steps that are worth at most `notional_usd`."""
        return int(notional_usd / (price * self.lot_step))

    def breach(self, notional_usd: float, nav_usd: float) -> tuple[str, float] | None:
        """(live reason, USD) of the limit on one order that an opening of that notional breaches."""
        if notional_usd < MIN_NOTIONAL_USD:
            return "min_notional", MIN_NOTIONAL_USD
        cap_usd = min(self.max_order_notional_usd, MAX_TRADE_NAV_RATIO * nav_usd)
        return ("per_trade_cap", cap_usd) if notional_usd > cap_usd else None

    def round_price(self, price: float) -> float:
        """The tick nearest to `price`, at least one tick."""
        return round(max(round(price / self.tick_size), 1) * self.tick_size, 9)


INSTRUMENTS: Mapping[str, Instrument] = {
    instrument.symbol: instrument
    for instrument in (
        Instrument(
            symbol="BTCUSDT",
            tier="CORE",
            tick_size=0.1,
            lot_step=0.001,
            max_order_notional_usd=75_000.0,
            max_nav_ratio=0.25,
            target_leverage=3.0,
            max_leverage=4.0,
        ),
        Instrument(
            symbol="ETHUSDT",
            tier="CORE",
            tick_size=0.01,
            lot_step=0.001,
            max_order_notional_usd=60_000.0,
            max_nav_ratio=0.20,
            target_leverage=3.0,
            max_leverage=4.0,
        ),
        Instrument(
            symbol="SOLUSDT",
            tier="SATELLITE",
            tick_size=0.01,
            lot_step=0.01,
            max_order_notional_usd=40_000.0,
            max_nav_ratio=0.15,
            target_leverage=2.0,
            max_leverage=3.0,
        ),
    )
}


def risk_limits() -> dict[str, object]:
    """The content of `risk_limits.json`."""
    return {
        "global": {
            "min_notional_usdt": MIN_NOTIONAL_USD,
            "max_trade_nav_pct": MAX_TRADE_NAV_RATIO,
            "trade_equity_nav_pct": 0.15,
            "max_gross_exposure_pct": MAX_PORTFOLIO_NAV_RATIO * 100,
            "max_symbol_exposure_pct": 40.0,
            "max_concurrent_positions": len(INSTRUMENTS),
            "max_leverage": 4.0,
            "maker_fee_bps": MAKER_FEE_BPS,
            "taker_fee_bps": TAKER_FEE_BPS,
            "expected_slippage_bps": EXPECTED_SLIPPAGE_BPS,
            "allow_pyramiding": True,
            "tiers": {"CORE": {"per_symbol_nav_pct": 30.0}, "SATELLITE": {"per_symbol_nav_pct": 20.0}},
        },
        "nav_freshness_seconds": 150.0,
        "fail_closed_on_nav_stale": True,
        "restricted_symbols": [],
        "per_symbol": {
            symbol: {
                "min_notional": MIN_NOTIONAL_USD,
                "max_order_notional": instrument.max_order_notional_usd,
                "max_leverage": instrument.max_leverage,
                "max_nav_pct": instrument.max_nav_ratio,
            }
            for symbol, instrument in INSTRUMENTS.items()
        },
    }


def pairs_universe() -> dict[str, object]:
    """The content of `pairs_universe.json`."""
    return {
        "symbols": list(INSTRUMENTS),
        "universe": [
            {
                "symbol": instrument.symbol,
                "tier": instrument.tier,
                "enabled": True,
                "status": "enabled",
                "target_leverage": instrument.target_leverage,
                "max_leverage": instrument.max_leverage,
                "min_notional": MIN_NOTIONAL_USD,
                "step_size": instrument.lot_step,
                "tick_size": instrument.tick_size,
                "caps": {
                    "max_nav_pct": instrument.max_nav_ratio,
                    "max_order_notional": instrument.max_order_notional_usd,
                },
            }
            for instrument in INSTRUMENTS.values()
        ],
    }
