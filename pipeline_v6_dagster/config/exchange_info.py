"""`exchange_info.json`: the exchange's own `exchangeInfo` answer, read as further entries of the universe.

The filters of Binance's USD-M futures and spot markets are understood. A filter that limits nothing v6 checks (iceberg
parts, algorithmic orders, the bounds of `PRICE_FILTER`) is skipped, and so is a symbol that the universe does not list.
A filter value of 0 means that the exchange does not apply that part of the filter.
"""

import os
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline_v6_dagster.config.files import UniverseKeys, read_object
from pipeline_v6_dagster.config.problems import list_problems, shorten
from pipeline_v6_dagster.config.units import Count, NotNegative
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.domain.limits import SymbolLimits

FILE_NAME = "exchange_info.json"


class _Keys(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Filter(_Keys):
    """The numbers of every filter type that is read."""

    filterType: str
    minQty: NotNegative | None = None
    maxQty: NotNegative | None = None
    stepSize: NotNegative | None = None
    tickSize: NotNegative | None = None
    notional: NotNegative | None = None
    minNotional: NotNegative | None = None
    maxNotional: NotNegative | None = None
    multiplierUp: NotNegative | None = None
    multiplierDown: NotNegative | None = None
    bidMultiplierUp: NotNegative | None = None
    askMultiplierDown: NotNegative | None = None
    limit: Count | None = None
    maxNumOrders: Count | None = None
    maxPosition: NotNegative | None = None


class _Symbol(_Keys):
    status: str | None = None
    filters: list[_Filter]


# The key of a universe entry that each number of a filter type is.
_MEANINGS: Mapping[str, Mapping[str, str]] = {
    "LOT_SIZE": {"minQty": "min_qty", "maxQty": "max_qty", "stepSize": "step_size"},
    "MARKET_LOT_SIZE": {"minQty": "market_min_qty", "maxQty": "market_max_qty", "stepSize": "step_size"},
    "PRICE_FILTER": {"tickSize": "tick_size"},
    "MIN_NOTIONAL": {"notional": "min_notional", "minNotional": "min_notional"},
    "NOTIONAL": {"minNotional": "min_notional", "maxNotional": "max_order_notional"},
    "PERCENT_PRICE": {"multiplierUp": "multiplier_up", "multiplierDown": "multiplier_down"},
    "PERCENT_PRICE_BY_SIDE": {"bidMultiplierUp": "multiplier_up", "askMultiplierDown": "multiplier_down"},
    "MAX_NUM_ORDERS": {"limit": "max_open_orders", "maxNumOrders": "max_open_orders"},
    "MAX_POSITION": {"maxPosition": "max_position_qty"},
}


class FilterDifference(NamedTuple):
    """A limit of one symbol that the desk's files and the exchange give with different values.

    `name` is the key in the universe. `is_exchange_stricter`: the exchange would refuse what the desk's file admits.
    """

    symbol: str
    name: str
    desk: float
    exchange: float
    is_exchange_stricter: bool


# Key, field of `SymbolLimits`, and which of two values is the stricter.
_COMPARED: tuple[tuple[str, str, Callable[[float, float], float]], ...] = (
    ("step_size", "lot_step", max),
    ("tick_size", "tick_size", max),
    ("min_notional", "min_notional_usd", max),
    ("max_order_notional", "max_order_notional_usd", min),
    ("min_qty", "min_qty", max),
    ("max_qty", "max_qty", min),
    ("max_position_qty", "max_position_qty", min),
    ("max_open_orders", "max_open_orders", min),
    ("multiplier_up", "price_multiplier_up", min),
    ("multiplier_down", "price_multiplier_down", max),
)


def load_exchange_info(path: Path, symbols: Container[str]) -> dict[str, tuple[UniverseKeys, ...]] | None:
    """What the exchange says of each of `symbols`, one entry per filter; None if there is no such file.

    Raises:
        ConfigError: the file is not what the exchange answers. It names the first problem and counts the others.
        StorageError: it is there and cannot be read.
    """
    if not os.path.lexists(path):
        return None
    listed = read_object(path).get("symbols")
    if not isinstance(listed, list) or not listed:
        raise _refused(path, "symbols", "must be the exchange's exchangeInfo: `symbols` is a list of at least one")
    found: dict[str, tuple[UniverseKeys, ...]] = {}
    for number, entry in enumerate(listed):
        name = entry.get("symbol") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise _refused(path, f"symbols.{number}", f"must be an object with a `symbol`, not {shorten(entry)}")
        if name not in symbols:
            continue
        if name in found:
            raise _refused(path, f"symbols.{number}", f"may list a symbol once, not {shorten(name)}")
        found[name] = tuple(_entries(_validated(_Symbol, entry, path, name), path))
    return found


def filter_differences(
    desk: Mapping[str, SymbolLimits], exchange: Mapping[str, SymbolLimits]
) -> Iterator[FilterDifference]:
    """What both give with different values; each is given without the other."""
    for symbol, of_exchange in exchange.items():
        for name, field, stricter in _COMPARED:
            ours, theirs = getattr(desk[symbol], field), getattr(of_exchange, field)
            if ours is not None and theirs is not None and ours != theirs:
                yield FilterDifference(symbol, name, ours, theirs, stricter(ours, theirs) == theirs)


def _entries(symbol: _Symbol, path: Path) -> Iterator[UniverseKeys]:
    yield UniverseKeys(status=symbol.status)
    for one in symbol.filters:
        keys = {
            key: value
            for name, key in _MEANINGS.get(one.filterType, {}).items()
            if (value := getattr(one, name))  # 0 as well as None: not applied
        }
        yield _validated(UniverseKeys, keys, path, one.filterType)


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(model: type[_Model], content: Any, path: Path, name: str) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first, *others = list_problems(error, str(path))
        more = f" (and {len(others):,} more like it)" if others else ""
        raise ConfigError(
            [Problem(first.where, f"{name}.{first.key}", first.value, f"{first.allowed}{more}")]
        ) from None


def _refused(path: Path, key: str, why: str) -> ConfigError:
    return ConfigError([Problem(where=str(path), key=key, value="", allowed=why)])
