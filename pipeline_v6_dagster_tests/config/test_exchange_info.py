"""The exchange's own filters beside the desk's limits: the stricter of both holds, and what differs is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline_v6_dagster.config.exchange_info import FilterDifference, load_exchange_info
from pipeline_v6_dagster.config.limits import Configuration, load_configuration
from pipeline_v6_dagster.domain.errors import ConfigError, PipelineError, StorageError
from pipeline_v6_dagster.domain.limits import SymbolLimits
from pipeline_v6_dagster_tests.builders import json_values, unhurried

SYMBOL = "BTCUSDT"
# As https://fapi.binance.com/fapi/v1/exchangeInfo answers, shortened.
FUTURES: list[dict[str, Any]] = [
    {"filterType": "PRICE_FILTER", "maxPrice": "4529764", "minPrice": "556.80", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "maxQty": "1000", "minQty": "0.001", "stepSize": "0.001"},
    {"filterType": "MARKET_LOT_SIZE", "maxQty": "120", "minQty": "0.002", "stepSize": "0.002"},
    {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
    {"filterType": "MIN_NOTIONAL", "notional": "100"},
    {"filterType": "PERCENT_PRICE", "multiplierDecimal": "4", "multiplierDown": "0.9500", "multiplierUp": "1.0500"},
    {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
]
# As https://api.binance.com/api/v3/exchangeInfo answers, shortened.
SPOT: list[dict[str, Any]] = [
    {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "107.30000000", "stepSize": "0.00000000"},
    {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "5",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "5",
        "askMultiplierDown": "0.2",
        "avgPriceMins": 5,
    },
    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000", "avgPriceMins": 5},
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    {"filterType": "MAX_POSITION", "maxPosition": "10.00000000"},
]


def info(filters: object = FUTURES, **changes: Any) -> dict[str, Any]:
    other = {"symbol": "NOTOURS", "status": "SETTLING", "filters": "whatever"}
    entry = {"symbol": SYMBOL, "status": "TRADING", "contractType": "PERPETUAL", "filters": filters}
    return {"timezone": "UTC", "rateLimits": [], "symbols": [other, entry | changes]}


def loaded(
    folder: Path, exchange: object, risk: dict[str, Any] | None = None, symbol: str = SYMBOL, **entry: Any
) -> Configuration:
    (folder / "risk_limits.json").write_text(json.dumps(risk or {}))
    (folder / "pairs_universe.json").write_text(json.dumps({"symbols": [symbol], "overrides": {symbol: entry}}))
    if exchange is not None:
        content = exchange if isinstance(exchange, bytes) else json.dumps(exchange).encode()
        (folder / "exchange_info.json").write_bytes(content)
    return load_configuration(folder / "risk_limits.json", folder / "pairs_universe.json")


def test_the_filters_of_a_futures_market(tmp_path: Path) -> None:
    assert loaded(tmp_path, info()).limits.of(SYMBOL) == SymbolLimits(
        symbol=SYMBOL,
        is_known=True,
        tick_size=0.1,
        lot_step=0.002,
        min_qty=0.002,
        max_qty=120,
        max_open_orders=200,
        min_notional_usd=100,
        price_multiplier_up=1.05,
        price_multiplier_down=0.95,
    )


def test_the_filters_of_a_spot_market(tmp_path: Path) -> None:
    assert loaded(tmp_path, info(SPOT)).limits.of(SYMBOL) == SymbolLimits(
        symbol=SYMBOL,
        is_known=True,
        lot_step=0.00001,
        min_qty=0.00001,
        max_qty=107.3,
        price_multiplier_up=5,
        price_multiplier_down=0.2,
        min_notional_usd=5,
        max_order_notional_usd=9_000_000,
        max_open_orders=200,
        max_position_qty=10,
    )


def test_a_symbol_that_the_exchange_does_not_trade_is_disabled(tmp_path: Path) -> None:
    assert not loaded(tmp_path, info(status="SETTLING")).limits.of(SYMBOL).is_enabled


# (key of the universe, its value, filter, value of the exchange, field, what holds, whether that is the exchange's)
BOTH = [
    ("step_size", 0.001, {"filterType": "LOT_SIZE", "stepSize": "0.01"}, "lot_step", 0.01, True),
    ("step_size", 0.1, {"filterType": "LOT_SIZE", "stepSize": "0.01"}, "lot_step", 0.1, False),
    ("tick_size", 0.1, {"filterType": "PRICE_FILTER", "tickSize": "0.5"}, "tick_size", 0.5, True),
    ("min_notional", 5, {"filterType": "MIN_NOTIONAL", "notional": "100"}, "min_notional_usd", 100, True),
    ("min_notional", 200, {"filterType": "MIN_NOTIONAL", "notional": "100"}, "min_notional_usd", 200, False),
    ("max_order_notional", 9, {"filterType": "NOTIONAL", "maxNotional": "8"}, "max_order_notional_usd", 8, True),
    ("min_qty", 1, {"filterType": "LOT_SIZE", "minQty": "2"}, "min_qty", 2, True),
    ("max_qty", 1, {"filterType": "MARKET_LOT_SIZE", "maxQty": "2"}, "max_qty", 1, False),
    ("max_position_qty", 3, {"filterType": "MAX_POSITION", "maxPosition": "2"}, "max_position_qty", 2, True),
    ("max_open_orders", 100, {"filterType": "MAX_NUM_ORDERS", "limit": 200}, "max_open_orders", 100, False),
    ("multiplier_up", 1.2, {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1"}, "price_multiplier_up", 1.1, True),
    ("multiplier_down", 0.9, {"filterType": "PERCENT_PRICE", "multiplierDown": "0.8"}, "price_multiplier_down", 0.9, 0),
]  # fmt: skip


@pytest.mark.parametrize(("key", "desk", "of_exchange", "field", "holds", "is_exchange"), BOTH)
def test_where_both_speak_the_stricter_holds_and_the_difference_is_named(
    tmp_path: Path, key: str, desk: float, of_exchange: dict[str, Any], field: str, holds: float, is_exchange: bool
) -> None:
    found = loaded(tmp_path, info([of_exchange]), **{key: desk})
    assert getattr(found.limits.of(SYMBOL), field) == holds
    (theirs,) = (float(value) for name, value in of_exchange.items() if name != "filterType")
    assert found.filter_differences == (FilterDifference(SYMBOL, key, desk, theirs, is_exchange),)


def test_the_same_value_is_no_difference_and_other_spellings_of_it_are_not_either(tmp_path: Path) -> None:
    found = loaded(tmp_path, info(), {"min_notional_usd": 100.0}, step_size="0.00200", tick_size=0.1)
    assert found.filter_differences == ()


def test_the_filters_are_part_of_the_configuration_identity(tmp_path: Path) -> None:
    without = loaded(tmp_path, None).limits.config_hash
    first = loaded(tmp_path, info()).limits.config_hash
    assert first != without
    assert loaded(tmp_path, info([*FUTURES, {"filterType": "NEW_FILTER", "x": 1}])).limits.config_hash == first
    assert loaded(tmp_path, info(SPOT)).limits.config_hash != first
    (tmp_path / "exchange_info.json").unlink()
    assert loaded(tmp_path, None).limits.config_hash == without


def test_a_symbol_of_the_universe_that_the_exchange_does_not_list_is_named(tmp_path: Path) -> None:
    found = loaded(tmp_path, info(), symbol="ETHUSDT")
    assert found.missing_on_exchange == ("ETHUSDT",)
    assert found.limits.of("ETHUSDT").lot_step is None
    assert loaded(tmp_path, info()).missing_on_exchange == ()


HOSTILE: list[tuple[object, str]] = [
    (b"", "is not valid JSON"),
    (b"\xff\xfe{}", "must be text in UTF-8"),
    (b"[" * 100_000, "is not valid JSON"),
    (b'{"symbols": NaN}', "NaN is not a number"),
    ([], "must hold a JSON object"),
    ({}, "`symbols` is a list of at least one"),
    ({"symbols": {}}, "`symbols` is a list of at least one"),
    ({"symbols": []}, "`symbols` is a list of at least one"),
    ({"code": -1121, "msg": "Invalid symbol."}, "`symbols` is a list of at least one"),
    ({"symbols": [SYMBOL]}, "must be an object with a `symbol`, not 'BTCUSDT'"),
    ({"symbols": [{"symbol": 7}]}, "must be an object with a `symbol`"),
    ({"symbols": [{"symbol": SYMBOL}]}, "BTCUSDT.filters"),
    ({"symbols": [{"symbol": SYMBOL, "filters": []}] * 2}, "may list a symbol once"),
    (info("none"), "BTCUSDT.filters"),
    (info([{"stepSize": "1"}]), "BTCUSDT.filters.0.filterType"),
    (info([{"filterType": "LOT_SIZE", "stepSize": "-1"}]), "BTCUSDT.filters.0.stepSize"),
    (info([{"filterType": "LOT_SIZE", "stepSize": "1e400"}]), "BTCUSDT.filters.0.stepSize"),
    (info([{"filterType": "LOT_SIZE", "stepSize": True}]), "BTCUSDT.filters.0.stepSize"),
    (info([{"filterType": "LOT_SIZE", "stepSize": "a\nb"}]), "BTCUSDT.filters.0.stepSize"),
    (info([{"filterType": "LOT_SIZE", "stepSize": "9" * 400}]), "BTCUSDT.filters.0.stepSize"),
    (info([{"filterType": "MAX_NUM_ORDERS", "limit": 1.5}]), "BTCUSDT.filters.0.limit"),
    (info([{}] * 5000), "(and 4,999 more like it)"),
    (info(status=3), "BTCUSDT.status"),
]


@pytest.mark.parametrize(("content", "why"), HOSTILE)
def test_a_hostile_file_is_refused_in_one_line_with_path_and_key(tmp_path: Path, content: object, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, content)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / "exchange_info.json")) and why in text
    assert "\n" not in text and len(text) < 400


def test_a_file_that_does_not_open_is_a_fault_of_the_path_and_a_broken_link_is_no_absence(tmp_path: Path) -> None:
    path = tmp_path / "exchange_info.json"
    assert load_exchange_info(path, {SYMBOL}) is None
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="is missing"):
        load_exchange_info(path, {SYMBOL})
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        load_exchange_info(path, {SYMBOL})


@settings(parent=unhurried)
@given(content=json_values())
def test_whatever_json_holds_is_understood_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    for shape in (
        content,
        {"symbols": content},
        info(content),
        info([content]),
        info([{"filterType": "LOT_SIZE", "stepSize": content}]),
    ):
        try:
            loaded(folder, shape)
        except PipelineError as error:
            assert "\n" not in str(error)
