"""The shape of `risk_limits.json` and `pairs_universe.json`, key by key, as pydantic models.

What the keys come to is `config.limits`. Keys that no field names are kept in `model_extra` for `doctor`.
"""

import json
from codecs import BOM_UTF8
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from pipeline_v6_dagster.config.problems import list_problems, shorten
from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.units import Count, Counted, Finite, NotNegative, Positive, Ratio, Switch
from pipeline_v6_dagster.domain.attempt import SIDES
from pipeline_v6_dagster.domain.errors import ConfigError, Problem, StorageError
from pipeline_v6_dagster.domain.limits import DEFAULT_RULES, TradingState

Model = TypeVar("Model", bound=BaseModel)


class _Keys(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)


class SharedLimits(_Keys):
    """Keys that may stand at the global level or for a symbol. The older names are alternatives."""

    max_leverage: Positive | None = None
    min_notional: NotNegative | None = None
    min_notional_usd: NotNegative | None = None
    min_notional_usdt: NotNegative | None = None
    max_order_notional: Positive | None = None
    max_notional_usd: Positive | None = None
    cooldown_sec: NotNegative | None = None
    max_trades_per_symbol_per_hour: Counted | None = None
    price_collar_pct: Ratio | None = None
    max_position_usd: Positive | None = None
    max_open_orders: Count | None = None
    symbol_notional_share_cap_pct: Ratio | None = None
    symbol_drawdown_cap_pct: Ratio | None = None


class TierLimits(_Keys):
    """One entry of `tiers`."""

    per_symbol_nav_pct: Ratio | None = None


class BurstLimit(_Keys):
    """`burst_limit`: at most so many attempts in so many seconds."""

    window_sec: Positive
    max_orders: Counted


class CircuitBreaker(_Keys):
    """`circuit_breaker`: nothing new after so many order errors in so many seconds."""

    window_sec: Positive
    max_errors: Counted


class KnownRowsKeys(BaseModel):
    """`known_rows_ok`: rows that may be dropped although they carry a quantity. A misspelt key is refused."""

    model_config = ConfigDict(extra="forbid")

    event_types: list[str] = Field(default_factory=list)
    strategies: list[str] = Field(default_factory=list)


class GlobalLimits(SharedLimits):
    """Keys of `global`, which may as well stand at the top level."""

    kill_switch: Switch | None = None
    nav_freshness_seconds: Positive | None = None
    fail_closed_on_nav_stale: Switch | None = None
    restricted_symbols: list[str] | None = None
    whitelist: list[str] | None = None
    max_symbol_exposure_pct: Ratio | None = None
    trade_equity_nav_pct: Ratio | None = None
    max_trade_nav_pct: Ratio | None = None
    max_portfolio_gross_nav_pct: Ratio | None = None
    max_gross_nav_pct: Ratio | None = None
    max_gross_exposure_pct: Ratio | None = None
    max_concurrent_positions: Count | None = None
    tiers: dict[str, TierLimits] | None = None
    maker_fee_bps: Finite | None = None
    taker_fee_bps: Finite | None = None
    expected_slippage_bps: Finite | None = None
    allow_pyramiding: Switch | None = None
    cooldown_minutes_after_stop: NotNegative | None = None
    burst_limit: BurstLimit | None = None
    circuit_breaker: CircuitBreaker | None = None
    error_circuit: CircuitBreaker | None = None
    daily_loss_limit_pct: Ratio | None = None
    reset_timezone: str | None = None
    max_nav_drawdown_pct: Ratio | None = None
    nav_peak_since: AwareDatetime | None = None
    duplicate_window_sec: NotNegative | None = None
    trading_state: TradingState | None = None
    disabled_rules: list[str] | None = None
    notional_mismatch_pct: Ratio | None = None
    max_margin_pct: Ratio | None = None
    max_net_exposure_pct: Ratio | None = None
    quote_symbols: list[str] | None = None
    drawdown_alert_pct: Ratio | None = None
    known_rows_ok: KnownRowsKeys | None = None
    unread_keys_ok: list[str] = Field(default_factory=list)

    @field_validator("disabled_rules")
    @classmethod
    def _are_default_rules(cls, names: list[str] | None) -> list[str] | None:
        unknown = [name for name in names or () if name not in DEFAULT_RULES]
        if unknown:
            known = ", ".join(sorted(DEFAULT_RULES))
            raise ValueError(f"may name rules that are on by default ({known}), not {', '.join(map(repr, unknown))}")
        return names

    @field_validator("reset_timezone")
    @classmethod
    def _is_timezone(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError("must be the name of a time zone, as Europe/Berlin or UTC") from None
        return name


class SymbolKeys(SharedLimits):
    """One entry of `per_symbol`."""

    enabled: Switch | None = None
    max_nav_pct: Ratio | None = None
    max_open_qty: NotNegative | None = None
    max_position_qty: NotNegative | None = None
    block_sides: list[str] | None = None

    @field_validator("block_sides")
    @classmethod
    def _are_sides(cls, sides: list[str] | None) -> list[str] | None:
        unknown = [side for side in sides or () if side.upper() not in SIDES]
        if unknown:
            raise ValueError(f"may hold BUY, SELL, LONG and SHORT, not {', '.join(map(repr, unknown))}")
        return sides


class RiskLimitsFile(GlobalLimits):
    """`risk_limits.json`: limits under `global` or at the top level, and per symbol."""

    global_: GlobalLimits = Field(default_factory=GlobalLimits, alias="global")
    per_symbol: dict[str, SymbolKeys] = Field(default_factory=dict)


class UniverseCaps(_Keys):
    """`caps` of a universe entry."""

    max_nav_pct: Ratio | None = None
    max_order_notional: Positive | None = None
    max_concurrent_positions: Count | None = None


class LeverageBracketKeys(BaseModel):
    """One of `leverage_brackets`, as here or as the exchange writes it (`initialLeverage`, `notionalCap`)."""

    leverage: Positive = Field(validation_alias=AliasChoices("leverage", "initialLeverage"))
    max_position_usd: Positive = Field(validation_alias=AliasChoices("max_position_usd", "notionalCap"))


class UniverseKeys(_Keys):
    """What the universe says of one symbol: an entry of `overrides`, or of `universe`."""

    tier: str | None = None
    enabled: Switch | None = None
    status: str | None = None
    target_leverage: Positive | None = None
    max_leverage: Positive | None = None
    min_notional: NotNegative | None = None
    max_order_notional: Positive | None = None
    max_nav_pct: Ratio | None = None
    min_gross_usd: NotNegative | None = None
    step_size: Positive | None = None
    tick_size: Positive | None = None
    min_qty: NotNegative | None = None
    max_qty: Positive | None = None
    market_min_qty: NotNegative | None = None
    market_max_qty: Positive | None = None
    max_open_orders: Count | None = None
    max_position_qty: NotNegative | None = None
    multiplier_up: Positive | None = None
    multiplier_down: NotNegative | None = None
    leverage_brackets: list[LeverageBracketKeys] | None = None
    caps: UniverseCaps | None = None


class UniverseEntry(UniverseKeys):
    """An entry of the `universe` list."""

    symbol: str = Field(min_length=1)


class PairsUniverseFile(_Keys):
    """`pairs_universe.json`: `symbols` with `overrides`, or `universe`, or both."""

    symbols: list[str] = Field(default_factory=list)
    overrides: dict[str, UniverseKeys] = Field(default_factory=dict)
    universe: list[UniverseEntry] = Field(default_factory=list, validate_default=True)
    unread_keys_ok: list[str] = Field(default_factory=list)

    @field_validator("universe")
    @classmethod
    def _lists_each_once(cls, universe: list[UniverseEntry], info: ValidationInfo) -> list[UniverseEntry]:
        # Symbols that are bad themselves are missing from the data, and named already.
        if not universe and info.data.get("symbols") == []:
            raise ValueError("must list at least one symbol, under `symbols` or `universe`")
        counts = Counter(entry.symbol for entry in universe)
        twice = [symbol for symbol, count in counts.items() if count > 1]
        if twice:
            raise ValueError(f"may list a symbol once, not {', '.join(map(repr, twice))}")
        return universe


def load_file(path: Path, model: type[Model]) -> Model:
    """Read and validate one configuration file.

    Raises:
        ConfigError: the file is missing, not JSON, or has bad values (all of them are named).
        StorageError: it is there and cannot be read.
    """
    try:
        return model.model_validate(read_object(path))
    except ValidationError as error:
        raise ConfigError(list_problems(error, str(path))) from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds: text in UTF-8 (a byte-order mark is skipped), finite numbers, no key twice.

    Raises:
        ConfigError: the file is missing or holds anything else.
        StorageError: it is there and cannot be read.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        raise _refused(path, "is missing; put it there or set PIPELINE_V6_HOME or PIPELINE_V6_CONFIG_DIR") from None
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        parsed = json.loads(
            content.removeprefix(BOM_UTF8).decode("utf-8"),
            parse_constant=_no_constant,
            object_pairs_hook=_no_duplicates,
        )
        # An escape may stand for half a character, which no log of ours can hold.
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise _refused(path, f"must be text in UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:
        raise _refused(path, f"is not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise _refused(path, f"must hold a JSON object, not {shorten(parsed)}")
    return parsed


def unreadable(path: Path, error: OSError) -> StorageError:
    """What to tell of a configuration file that is there and does not open."""
    return StorageError(f"{path}: cannot be read: {error.strerror}; check its owner and mode")


def _refused(path: Path, why: str) -> ConfigError:
    return ConfigError([Problem(where=str(path), key="", value="", allowed=why)])


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(twice)} stands twice in one object")
    return content
