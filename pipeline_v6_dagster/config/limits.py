"""From the configuration files to `domain.Limits`: levels combined, units resolved, the content hashed.

Where several sources limit the same thing the strictest holds: the largest minimum, the smallest maximum.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline_v6_dagster.config.exchange_info import (
    FILE_NAME,
    FilterDifference,
    filter_differences,
    load_exchange_info,
)
from pipeline_v6_dagster.config.files import (
    GlobalLimits,
    PairsUniverseFile,
    RiskLimitsFile,
    SharedLimits,
    SymbolKeys,
    UniverseKeys,
    load_file,
)
from pipeline_v6_dagster.config.identity import hash_limits
from pipeline_v6_dagster.config.keys import (
    UnknownKey,
    other_spellings,
    symbols_in,
    unknown_keys,
    unlisted_symbols,
    without_exempt,
)
from pipeline_v6_dagster.config.order_limits import account_limits, order_limits
from pipeline_v6_dagster.domain.attempt import SIDES
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.domain.limits import KnownRows, Limits, SymbolLimits

_ENABLED = frozenset({"enabled", "active", "trading"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Limits, and what was found in the files that is no part of them.

    `unknown_keys` are read by nothing, without those that a file exempts under `unread_keys_ok`. `unlisted` are limits
    of symbols that the universe does not list: they change nothing, because every order of those is denied.
    `filter_differences` are limits that the desk and the exchange's `exchange_info.json` give with different values,
    `missing_on_exchange` the symbols of the universe that it does not list; both are empty without that file.
    """

    limits: Limits
    unknown_keys: tuple[UnknownKey, ...]
    unlisted: tuple[UnknownKey, ...] = ()
    filter_differences: tuple[FilterDifference, ...] = ()
    missing_on_exchange: tuple[str, ...] = ()

    @property
    def unread_keys(self) -> tuple[str, ...]:
        """`file: key` of every key that nothing reads and no file exempts."""
        return tuple(map(str, self.unknown_keys))


def load_configuration(risk_limits: Path, pairs_universe: Path) -> Configuration:
    """Read both files, and the exchange's filters beside the universe (`exchange_info.json`) if they are there.

    Raises:
        ConfigError: naming every problem of both files, or what is wrong with the exchange's filters.
        StorageError: one is there and cannot be read.
    """
    problems: list[Problem] = []
    try:
        risk = load_file(risk_limits, RiskLimitsFile)
    except ConfigError as error:
        problems += error.problems
    try:
        universe = load_file(pairs_universe, PairsUniverseFile)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    listed = {*universe.symbols, *(entry.symbol for entry in universe.universe)}
    exchange = load_exchange_info(pairs_universe.with_name(FILE_NAME), listed)
    limits = resolve(risk, universe, exchange or {})
    problems = [
        *other_spellings(symbols_in(risk), limits.symbols, risk_limits),
        *other_spellings(symbols_in(universe), limits.symbols, pairs_universe),
    ]
    if problems:
        raise ConfigError(problems)
    unlisted = (
        *unlisted_symbols("per_symbol", risk.per_symbol, limits.symbols, risk_limits.name),
        *unlisted_symbols("overrides", universe.overrides, limits.symbols, pairs_universe.name),
    )
    unknown = (
        *unknown_keys(risk, risk_limits.name),
        *unknown_keys(universe, pairs_universe.name),
        # A symbol that resembles a listed one is a misspelt key, not another symbol.
        *(each for each in unlisted if each.nearest is not None),
    )
    exempt = {*risk.unread_keys_ok, *risk.global_.unread_keys_ok, *universe.unread_keys_ok}
    return Configuration(
        limits=limits,
        unknown_keys=tuple(without_exempt(unknown, exempt)),
        unlisted=tuple(each for each in unlisted if each.nearest is None),
        filter_differences=() if not exchange else tuple(_differences(risk, universe, exchange)),
        missing_on_exchange=() if exchange is None else tuple(sorted(listed - exchange.keys())),
    )


def _differences(
    risk: RiskLimitsFile, universe: PairsUniverseFile, exchange: Mapping[str, tuple[UniverseKeys, ...]]
) -> Iterator[FilterDifference]:
    alone = {symbol: _symbol_limits(symbol, (), None, entries) for symbol, entries in sorted(exchange.items())}
    return filter_differences(resolve(risk, universe).symbols, alone)


def resolve(
    risk: RiskLimitsFile,
    universe: PairsUniverseFile,
    exchange: Mapping[str, tuple[UniverseKeys, ...]] = MappingProxyType({}),
) -> Limits:
    """What both files come to, with the exchange's own filters by symbol."""
    levels: tuple[GlobalLimits, ...] = (risk.global_, risk)
    entries: dict[str, list[UniverseKeys]] = {symbol: [] for symbol in universe.symbols}
    entries.update({entry.symbol: [entry] for entry in universe.universe})
    for symbol, keys in universe.overrides.items():
        if symbol in entries:
            entries[symbol].append(keys)
    for symbol, filters in exchange.items():
        entries[symbol].extend(filters)
    freshness = _smallest(*(level.nav_freshness_seconds for level in levels))
    defaults = Limits(symbols={}, fallback=SymbolLimits(symbol="", is_known=False))
    limits = Limits(
        symbols={
            symbol: _symbol_limits(symbol, levels, risk.per_symbol.get(symbol), tuple(found))
            for symbol, found in sorted(entries.items())
        },
        fallback=_symbol_limits("", levels, None, None),
        restricted_symbols=frozenset(symbol for level in levels for symbol in level.restricted_symbols or ()),
        whitelist=_whitelist(levels),
        is_kill_switch_on=any(level.kill_switch for level in levels),
        nav_freshness_s=freshness,
        is_fail_closed_on_nav_stale=_is_any_on_or_none_set(level.fail_closed_on_nav_stale for level in levels),
        trade_equity_nav_ratio=_or(
            _smallest(*(level.trade_equity_nav_pct for level in levels)), defaults.trade_equity_nav_ratio
        ),
        max_trade_nav_ratio=_or(
            _smallest(*(level.max_trade_nav_pct for level in levels)), defaults.max_trade_nav_ratio
        ),
        max_portfolio_gross_nav_ratio=_smallest(
            *(level.max_portfolio_gross_nav_pct for level in levels),
            *(level.max_gross_nav_pct for level in levels),
            *(level.max_gross_exposure_pct for level in levels),
        ),
        max_concurrent_positions=_fewest(level.max_concurrent_positions for level in levels),
        tier_nav_ratios=_tier_nav_ratios(levels),
        maker_fee_bps=_first((level.maker_fee_bps for level in levels), defaults.maker_fee_bps),
        taker_fee_bps=_first((level.taker_fee_bps for level in levels), defaults.taker_fee_bps),
        expected_slippage_bps=_first((level.expected_slippage_bps for level in levels), defaults.expected_slippage_bps),
    )
    limits = replace(limits, **_rolling_limits(levels), **_other_keys(levels), **account_limits(levels))
    return replace(limits, config_hash=hash_limits(limits))


def _rolling_limits(levels: tuple[GlobalLimits, ...]) -> dict[str, Any]:
    """The limits on what happened before. A window belongs to its count: the first level that has one holds."""
    burst = next((level.burst_limit for level in levels if level.burst_limit is not None), None)
    breakers = (breaker for level in levels for breaker in (level.circuit_breaker, level.error_circuit))
    breaker = next((breaker for breaker in breakers if breaker is not None), None)
    after_loss_min = _largest(*(level.cooldown_minutes_after_stop for level in levels))
    peak_since = max((level.nav_peak_since for level in levels if level.nav_peak_since is not None), default=None)
    pyramiding = [level.allow_pyramiding for level in levels if level.allow_pyramiding is not None]
    return {
        "is_pyramiding_allowed": bool(pyramiding) and all(pyramiding),
        "cooldown_after_loss_s": None if after_loss_min is None else after_loss_min * 60,
        "burst_window_s": burst and burst.window_sec,
        "burst_max_orders": burst and burst.max_orders,
        "breaker_window_s": breaker and breaker.window_sec,
        "breaker_max_errors": breaker and breaker.max_errors,
        "day_loss_nav_ratio": _smallest(*(level.daily_loss_limit_pct for level in levels)),
        "reset_timezone": next((level.reset_timezone for level in levels if level.reset_timezone), "UTC"),
        "drawdown_nav_ratio": _smallest(*(level.max_nav_drawdown_pct for level in levels)),
        "peak_since": peak_since and peak_since.timestamp(),
        "duplicate_window_s": _largest(*(level.duplicate_window_sec for level in levels)),
    }


def _other_keys(levels: tuple[GlobalLimits, ...]) -> dict[str, Any]:
    """Which quote currencies may be traded; a level of alerts; rows that may be dropped."""
    quotes = [frozenset(level.quote_symbols) for level in levels if level.quote_symbols is not None]
    rows = [level.known_rows_ok for level in levels if level.known_rows_ok is not None]
    return {
        "quote_symbols": frozenset.intersection(*quotes) if quotes else None,
        "drawdown_alert_ratio": _smallest(*(level.drawdown_alert_pct for level in levels)),
        "known_rows": KnownRows(
            event_types=frozenset(name for each in rows for name in each.event_types),
            strategies=frozenset(name for each in rows for name in each.strategies),
        ),
    }


def _symbol_limits(
    symbol: str, levels: tuple[GlobalLimits, ...], own: SymbolKeys | None, found: tuple[UniverseKeys, ...] | None
) -> SymbolLimits:
    """`found` is what the universe says of the symbol, possibly in two places; None where it does not list it."""
    own_keys = own or SymbolKeys()
    entries = found or ()
    caps = [keys.caps for keys in entries if keys.caps is not None]
    shared: tuple[SharedLimits, ...] = (*levels, own_keys)
    return SymbolLimits(
        symbol=symbol,
        is_known=found is not None,
        is_enabled=own_keys.enabled is not False and all(map(_is_enabled, entries)),
        tier=next((keys.tier for keys in entries if keys.tier is not None), None),
        target_leverage=_smallest(*(keys.target_leverage for keys in entries)),
        max_leverage=_smallest(*(level.max_leverage for level in shared), *(keys.max_leverage for keys in entries)),
        min_notional_usd=_largest(
            *(level.min_notional for level in shared),
            *(level.min_notional_usd for level in shared),
            *(level.min_notional_usdt for level in shared),
            *(keys.min_notional for keys in entries),
            *(keys.min_gross_usd for keys in entries),
        ),
        max_order_notional_usd=_smallest(
            *(level.max_order_notional for level in shared),
            *(level.max_notional_usd for level in shared),
            *(keys.max_order_notional for keys in entries),
            *(cap.max_order_notional for cap in caps),
        ),
        max_symbol_nav_ratio=_smallest(
            own_keys.max_nav_pct,
            *(keys.max_nav_pct for keys in entries),
            *(cap.max_nav_pct for cap in caps),
            *(level.max_symbol_exposure_pct for level in levels),
        ),
        max_open_qty=own_keys.max_open_qty,
        block_sides=frozenset(SIDES[side.upper()] for side in own_keys.block_sides or ()),
        cooldown_s=_largest(*(level.cooldown_sec for level in shared)),
        max_openings_per_hour=_fewest(level.max_trades_per_symbol_per_hour for level in shared),
        price_collar_ratio=_smallest(*(level.price_collar_pct for level in shared)),
        lot_step=_largest(*(keys.step_size for keys in entries)),
        tick_size=_largest(*(keys.tick_size for keys in entries)),
        **order_limits(shared, own_keys, entries),
    )


def _is_enabled(keys: UniverseKeys) -> bool:
    return keys.enabled is not False and (keys.status is None or keys.status.lower() in _ENABLED)


def _smallest(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _largest(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _fewest(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _first(values: Iterator[float | None], default: float) -> float:
    return next((value for value in values if value is not None), default)


def _whitelist(levels: tuple[GlobalLimits, ...]) -> frozenset[str] | None:
    lists = [frozenset(level.whitelist) for level in levels if level.whitelist is not None]
    return frozenset.intersection(*lists) if lists else None


def _is_any_on_or_none_set(switches: Iterable[bool | None]) -> bool:
    known = [switch for switch in switches if switch is not None]
    return any(known) or not known


def _tier_nav_ratios(levels: tuple[GlobalLimits, ...]) -> dict[str, float]:
    ratios: dict[str, float] = {}
    for level in levels:
        for name, tier in (level.tiers or {}).items():
            if tier.per_symbol_nav_pct is not None:
                ratios[name] = min(ratios.get(name, tier.per_symbol_nav_pct), tier.per_symbol_nav_pct)
    return dict(sorted(ratios.items()))
