"""What the configuration says of single orders: exchange filters, positions, prices, leverage, trading state.

Called by `config.limits`, which combines everything else.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from pipeline_v6_dagster.config.files import GlobalLimits, SharedLimits, SymbolKeys, UniverseKeys
from pipeline_v6_dagster.domain.limits import LeverageBracket, TradingState


def account_limits(levels: Sequence[GlobalLimits]) -> dict[str, Any]:
    """Fields of `Limits`; `levels` are `global` and the top level of the limits file."""
    states = [level.trading_state for level in levels if level.trading_state is not None]
    return {
        "trading_state": reduce(TradingState.stricter, states, TradingState.ACTIVE),
        "disabled_rules": frozenset(name for level in levels for name in level.disabled_rules or ()),
        "notional_mismatch_ratio": _smallest(level.notional_mismatch_pct for level in levels),
        "max_margin_ratio": _smallest(level.max_margin_pct for level in levels),
        "max_net_nav_ratio": _smallest(level.max_net_exposure_pct for level in levels),
    }


def order_limits(shared: Sequence[SharedLimits], own: SymbolKeys, entries: Sequence[UniverseKeys]) -> dict[str, Any]:
    """Fields of `SymbolLimits`; `shared` are the levels and the symbol's own keys, `entries` the universe's."""
    positions = (entry.caps.max_concurrent_positions for entry in entries if entry.caps is not None)
    return {
        "min_qty": _largest(value for entry in entries for value in (entry.min_qty, entry.market_min_qty)),
        "max_qty": _smallest(value for entry in entries for value in (entry.max_qty, entry.market_max_qty)),
        "max_position_qty": _smallest((own.max_position_qty, *(entry.max_position_qty for entry in entries))),
        "max_position_usd": _smallest(level.max_position_usd for level in shared),
        "max_concurrent_positions": _fewest(positions),
        "max_share_ratio": _smallest(level.symbol_notional_share_cap_pct for level in shared),
        "max_drawdown_ratio": _smallest(level.symbol_drawdown_cap_pct for level in shared),
        "max_open_orders": _fewest(
            (*(level.max_open_orders for level in shared), *(entry.max_open_orders for entry in entries))
        ),
        "price_multiplier_up": _smallest(entry.multiplier_up for entry in entries),
        "price_multiplier_down": _largest(entry.multiplier_down for entry in entries),
        "leverage_brackets": next((_brackets(entry) for entry in entries if entry.leverage_brackets), ()),
    }


def _brackets(entry: UniverseKeys) -> tuple[LeverageBracket, ...]:
    brackets = (LeverageBracket(keys.leverage, keys.max_position_usd) for keys in entry.leverage_brackets or ())
    return tuple(sorted(brackets, key=lambda bracket: (bracket.leverage, bracket.max_position_usd)))


def _fewest(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _smallest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
