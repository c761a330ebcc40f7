"""From two configuration files to `domain.Limits`: levels combined, units resolved, the content hashed.

Where several sources limit the same thing the strictest holds: the largest minimum, the smallest maximum.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipeline_v6_dagster.config.files import (
    GlobalLimits,
    PairsUniverseFile,
    RiskLimitsFile,
    SharedLimits,
    SymbolKeys,
    UniverseKeys,
    load_file,
)
from pipeline_v6_dagster.config.order_limits import account_limits, order_limits
from pipeline_v6_dagster.config.problems import shorten
from pipeline_v6_dagster.domain.attempt import SIDES
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.domain.limits import Limits, SymbolLimits

_ENABLED = frozenset({"enabled", "active", "trading"})
_HASH_HEX_DIGITS = 16


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that nothing reads; `nearest` is the known one that it resembles most, if any."""

    file: str
    key: str
    nearest: str | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Limits, and what was found in the files that is no part of them."""

    limits: Limits
    unknown_keys: tuple[UnknownKey, ...]


def load_configuration(risk_limits: Path, pairs_universe: Path) -> Configuration:
    """Read both files.

    Raises:
        ConfigError: naming every problem of both files.
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
    limits = resolve(risk, universe)
    problems = [
        *_other_spellings(_symbols_of(risk), limits, risk_limits),
        *_other_spellings(_symbols_of(universe), limits, pairs_universe),
    ]
    if problems:
        raise ConfigError(problems)
    unknown = (
        *_unknown_keys(risk, risk_limits.name),
        *_unlisted("per_symbol", risk.per_symbol, limits, risk_limits.name),
        *_unknown_keys(universe, pairs_universe.name),
        *_unlisted("overrides", universe.overrides, limits, pairs_universe.name),
    )
    return Configuration(limits, unknown)


def resolve(risk: RiskLimitsFile, universe: PairsUniverseFile) -> Limits:
    """What both files come to."""
    levels: tuple[GlobalLimits, ...] = (risk.global_, risk)
    entries: dict[str, list[UniverseKeys]] = {symbol: [] for symbol in universe.symbols}
    entries.update({entry.symbol: [entry] for entry in universe.universe})
    for symbol, keys in universe.overrides.items():
        if symbol in entries:
            entries[symbol].append(keys)
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
    limits = replace(limits, **_rolling_limits(levels), **account_limits(levels))
    return replace(limits, config_hash=_hash(limits))


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


def _hash(limits: Limits) -> str:
    content = json.dumps(asdict(limits), sort_keys=True, default=sorted)
    return hashlib.sha256(content.encode()).hexdigest()[:_HASH_HEX_DIGITS]


def _symbols_of(file: RiskLimitsFile | PairsUniverseFile) -> Iterator[tuple[str, str]]:
    """(key, symbol) wherever a file names a symbol for which it has a rule."""
    if isinstance(file, PairsUniverseFile):
        yield from ((f"overrides.{symbol}", symbol) for symbol in file.overrides)
        return
    yield from ((f"per_symbol.{symbol}", symbol) for symbol in file.per_symbol)
    for prefix, level in (("global.", file.global_), ("", file)):
        yield from ((f"{prefix}restricted_symbols", symbol) for symbol in level.restricted_symbols or ())
        yield from ((f"{prefix}whitelist", symbol) for symbol in level.whitelist or ())


def _other_spellings(named: Iterable[tuple[str, str]], limits: Limits, path: Path) -> Iterator[Problem]:
    """A rule for `btcusdt` would silently not hold for BTCUSDT: it is refused."""
    spellings = {symbol.casefold(): symbol for symbol in limits.symbols}
    for key, symbol in named:
        listed = spellings.get(symbol.strip().casefold(), symbol)
        if symbol not in limits.symbols and symbol != listed:
            yield Problem(str(path), key, shorten(symbol), f"must be written {listed!r}, as the universe does")


def _unlisted(key: str, symbols: Iterable[str], limits: Limits, file: str) -> Iterator[UnknownKey]:
    """Rules for symbols that the universe does not list: nothing reads them."""
    for symbol in symbols:
        if symbol not in limits.symbols:
            # Symbols share their quote currency, so that only close ones are worth a hint.
            nearest = get_close_matches(symbol, limits.symbols, n=1, cutoff=0.8)
            yield UnknownKey(file, f"{key}.{symbol}", nearest[0] if nearest else None)


def _unknown_keys(model: BaseModel, file: str, prefix: str = "") -> Iterator[UnknownKey]:
    known = [field.alias or name for name, field in type(model).model_fields.items()]
    for key in model.model_extra or {}:
        nearest = get_close_matches(key, known, n=1)
        yield UnknownKey(file, f"{prefix}{key}", nearest[0] if nearest else None)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        path = f"{prefix}{field.alias or name}"
        if isinstance(value, BaseModel):
            yield from _unknown_keys(value, file, f"{path}.")
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _unknown_keys(item, file, f"{path}.{key}.")
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, BaseModel):
                    yield from _unknown_keys(item, file, f"{path}.{getattr(item, 'symbol', '?')}.")
