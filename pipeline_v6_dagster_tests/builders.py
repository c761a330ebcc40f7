"""Small pieces of data in the shape of the real logs and files. Each call gives a new one, changed as it says."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipeline_v6_dagster.config.files import PairsUniverseFile, RiskLimitsFile
from pipeline_v6_dagster.config.limits import resolve
from pipeline_v6_dagster.domain.account_events import AccountEvent
from pipeline_v6_dagster.domain.attempt import Attempt, NavSnapshot, Side
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import OrderIntent, RiskState
from pipeline_v6_dagster.shadow.rolling import RollingState

SYMBOL = "BTCUSDT"
PRICE = 100.0
NAV_USD = 10_000.0
AS_OF = 1_762_000_000.25
AS_OF_ISO = "2025-11-01T12:26:40.250000+00:00"

# For property tests: that the machine is busy is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def attempt_row(**changes: Any) -> dict[str, Any]:
    """A row of `orders_attempted.jsonl`: a BUY of 5 at 100 on a flat account of 10,000."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "qty": 5.0,
        "price_hint": PRICE,
        "strategy": None,
        "local_ts": AS_OF,
        "ts": AS_OF_ISO,
        "nav_snapshot": {"nav_usd": NAV_USD, "gross_usd": 0.0},
        "reduce_only": False,
        "intent_id": "ord_1",
        "attempt_id": "sig_1",
        "event_type": "order_attempt",
        "pid": 1,
    }
    return row | changes


def line(row: object) -> bytes:
    """A row as it stands in a log, without the newline."""
    return json.dumps(row).encode()


def nav(**changes: Any) -> NavSnapshot:
    """An account of 10,000 that holds nothing."""
    fields = {"nav_usd": NAV_USD, "gross_usd": 0.0, "symbol_gross_usd": None, "age_s": None}
    return NavSnapshot(**(fields | changes))


def attempt(**changes: Any) -> Attempt:
    """The record of `attempt_row()`."""
    fields = {
        "symbol": SYMBOL,
        "side": "BUY",
        "qty": 5.0,
        "price": PRICE,
        "quote_notional_usd": None,
        "leverage": None,
        "tier": None,
        "strategy_id": None,
        "is_reduce_only": False,
        "intent_id": "ord_1",
        "attempt_id": "sig_1",
        "as_of": AS_OF,
        "nav": nav(),
    }
    return Attempt(**(fields | changes))


def intent(notional: float = 500.0, **changes: Any) -> OrderIntent:
    """A BUY of `notional` USD at 100 on a flat account of 10,000; no limit of the defaults is near."""
    fields = {
        "symbol": SYMBOL,
        "side": Side.BUY,
        "qty": notional / PRICE,
        "quote_notional": notional,
        "leverage": 1.0,
        "price": PRICE,
        "tier_name": None,
        "tier_gross_notional": 0.0,
        "current_gross_notional": 0.0,
        "symbol_open_qty": 0.0,
        "nav_usd": NAV_USD,
        "open_positions_count": 0,
        "strategy_id": None,
        "reduce_only": False,
        "intent_id": "ord_1",
        "attempt_id": "sig_1",
    }
    return OrderIntent(**(fields | changes))


def state(**changes: Any) -> RiskState:
    """What goes with `intent()`."""
    fields = {
        "as_of": AS_OF,
        "nav_age_s": 0.0,
        "portfolio_gross_usd": 0.0,
        "has_position": False,
        "is_in_trade": False,
        "peak_nav_usd": NAV_USD,
        "position_qty": 1e9,  # Nothing that a test reduces exceeds it.
    }
    return RiskState(**(fields | changes))


def utc_day(ts: float) -> tuple[float, float]:
    """The day of a desk whose clocks show UTC."""
    start = ts // 86_400 * 86_400
    return start, start + 86_400


def account(rules: Limits | None = None, *events: AccountEvent) -> RollingState:
    """An account of which the live logs tell `events`."""
    rolling = RollingState(rules or limits(), utc_day)
    for event in events:
        rolling.apply(event)
    return rolling


def limits(risk: dict[str, Any] | None = None, own: dict[str, Any] | None = None, **entry: Any) -> Limits:
    """Limits of `risk_limits.json` with `own` for the symbol, and a universe of one symbol with `entry`."""
    risk_file = RiskLimitsFile.model_validate((risk or {}) | ({"per_symbol": {SYMBOL: own}} if own else {}))
    universe = PairsUniverseFile.model_validate({"symbols": [SYMBOL], "overrides": {SYMBOL: entry}})
    return resolve(risk_file, universe)


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can hold, wild numbers and times included."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(min_value=10**300, max_value=10**320)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8)
        | st.sampled_from([AS_OF, AS_OF_ISO, "1.5", "NaN", "1e999", "true", "BUY", SYMBOL, "order_ack", "order_fill"])
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
