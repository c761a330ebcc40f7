"""How much v6 would have ordered: what was asked for, rounded down to the lot step. Never more."""

from typing import Protocol

from pipeline_v6_dagster.domain.decision import SizeDecision
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskDecision
from pipeline_v6_dagster.shadow.lots import round_down

# Room for binary rounding: a notional buys the quantity it came from.
_EPSILON = 1e-9


class Sizer(Protocol):
    """Sizes an intent that risk allows. Must be pure and never enlarge."""

    def size_order(self, intent: OrderIntent, risk: RiskDecision) -> SizeDecision:
        """The quantity (base asset) and gross notional (USD) to order."""


class LotStepSizer:
    """The built-in sizer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def size_order(self, intent: OrderIntent, risk: RiskDecision) -> SizeDecision:
        """Round the intent's quantity down to the symbol's lot step; the notional shrinks in proportion.

        Risk has checked the notional. Where an attempt asks for a quantity that is worth more, it gets what the
        notional buys. `intent` has passed the risk check, so quantity, price and notional are above 0.
        """
        asked = intent.qty or 0.0
        notional = intent.quote_notional or 0.0
        bought = notional / (intent.price or 1.0)
        caps: list[str] = []
        qty = asked
        if bought < asked * (1 - _EPSILON):
            qty = bought
            caps.append("notional")
        rounded = round_down(qty, self._limits.of(intent.symbol).lot_step)
        if rounded != qty:
            caps.append("lot_step")
        share = rounded / qty if qty else 0.0
        return SizeDecision(gross_usd=notional * share, qty=rounded, caps_applied=tuple(caps))
