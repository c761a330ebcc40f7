"""What names a configuration: a hash over everything that differs from the defaults.

A field that nobody configured is not part of it, so that a limit which the code gains changes no desk's hash and
throws no evidence away.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, Field, asdict, fields, replace
from typing import Any

from pipeline_v6_dagster.domain.limits import LeverageBracket, Limits, SymbolLimits

_HASH_HEX_DIGITS = 16
# The hash itself, and what changes no decision: rows that may be dropped, a level at which somebody is alerted.
_NOT_HASHED = frozenset({"config_hash", "known_rows", "drawdown_alert_ratio"})


def hash_limits(limits: Limits) -> str:
    """The hash of all limits: 16 hex digits."""
    content = _configured(limits)
    content["symbols"] = {symbol: _configured(rules) for symbol, rules in limits.symbols.items()}
    content["fallback"] = _configured(limits.fallback)
    text = json.dumps(content, sort_keys=True, default=_to_json)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_HEX_DIGITS]


def scope_hash(limits: Limits, symbols: Iterable[str]) -> str:
    """The hash of what holds for `symbols`: another symbol's limits do not change it. No symbols: all of them.

    Limits of the whole account (the portfolio's, the tiers') are part of it whatever the scope.
    """
    scope = frozenset(symbols)
    if not scope:
        return hash_limits(limits)
    is_listed = scope <= limits.symbols.keys()
    return hash_limits(
        replace(
            limits,
            symbols={symbol: rules for symbol, rules in limits.symbols.items() if symbol in scope},
            # What holds for a symbol that the universe does not list concerns nobody where all are listed.
            fallback=SymbolLimits(symbol="", is_known=False) if is_listed else limits.fallback,
            restricted_symbols=limits.restricted_symbols & scope,
            whitelist=None if limits.whitelist is None else limits.whitelist & scope,
        )
    )


def _to_json(value: LeverageBracket | frozenset[str]) -> object:
    return asdict(value) if isinstance(value, LeverageBracket) else sorted(value)


def _configured(record: Limits | SymbolLimits) -> dict[str, Any]:
    """The fields that hold something else than their default."""
    return {
        field.name: value
        for field in fields(record)
        if field.name not in _NOT_HASHED and (value := getattr(record, field.name)) != _default(field)
    }


def _default(field: "Field[Any]") -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default
