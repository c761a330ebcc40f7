import json
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.config.files import PairsUniverseFile, RiskLimitsFile
from pipeline_v6_dagster.config.identity import hash_limits, scope_hash
from pipeline_v6_dagster.config.keys import UnknownKey
from pipeline_v6_dagster.config.limits import Configuration, load_configuration, resolve
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.domain.limits import KnownRows, Limits, SymbolLimits
from pipeline_v6_dagster_tests.builders import unhurried

NOTHING: dict[str, Any] = {}


def resolved(risk: dict[str, Any], universe: dict[str, Any] | None = None) -> Limits:
    return resolve(
        RiskLimitsFile.model_validate(risk), PairsUniverseFile.model_validate(universe or {"symbols": ["A", "B"]})
    )


def loaded(folder: Path, risk: dict[str, Any], universe: dict[str, Any] | None = None) -> Configuration:
    paths = folder / "risk_limits.json", folder / "pairs_universe.json"
    for path, content in zip(paths, (risk, universe or {"symbols": ["BTCUSDT", "ETHUSDT"]}), strict=True):
        path.write_text(json.dumps(content))
    return load_configuration(*paths)


def test_nothing_configured_is_the_built_in_trade_caps_and_no_other_limit() -> None:
    limits = resolved({})
    assert limits == Limits(
        symbols={name: SymbolLimits(symbol=name, is_known=True) for name in "AB"},
        fallback=SymbolLimits(symbol="", is_known=False),
        trade_equity_nav_ratio=0.15,
        max_trade_nav_ratio=0.10,
        is_fail_closed_on_nav_stale=True,
        config_hash=limits.config_hash,
    )


# (key, value, stricter value, field of Limits, what the stricter one is inside)
GLOBAL = [
    ("nav_freshness_seconds", 150, 90, "nav_freshness_s", 90),
    ("fail_closed_on_nav_stale", False, True, "is_fail_closed_on_nav_stale", True),
    ("kill_switch", False, True, "is_kill_switch_on", True),
    ("trade_equity_nav_pct", 20, 0.12, "trade_equity_nav_ratio", 0.12),
    ("max_trade_nav_pct", 0.2, 5, "max_trade_nav_ratio", 0.05),
    ("max_portfolio_gross_nav_pct", 200, 150, "max_portfolio_gross_nav_ratio", 1.5),
    ("max_gross_nav_pct", 200, 0.5, "max_portfolio_gross_nav_ratio", 0.5),
    ("max_gross_exposure_pct", 200, 150, "max_portfolio_gross_nav_ratio", 1.5),
    ("max_concurrent_positions", 5, 0, "max_concurrent_positions", 0),
    ("whitelist", ["A", "B"], ["B"], "whitelist", frozenset("B")),
    ("tiers", {"X": {"per_symbol_nav_pct": 0.3}}, {"X": {"per_symbol_nav_pct": 20}}, "tier_nav_ratios", {"X": 0.2}),
]


@pytest.mark.parametrize(("key", "loose", "strict", "field", "value"), GLOBAL, ids=[case[0] for case in GLOBAL])
def test_a_global_limit_may_stand_at_either_level_and_the_stricter_holds(
    key: str, loose: Any, strict: Any, field: str, value: Any
) -> None:
    assert getattr(resolved({"global": {key: strict}}), field) == value
    assert getattr(resolved({key: strict}), field) == value
    assert getattr(resolved({"global": {key: loose}, key: strict}), field) == value
    assert getattr(resolved({"global": {key: strict}, key: loose}), field) == value
    assert getattr(resolved({"global": {key: loose}, key: loose}), field) != value


def test_restricted_symbols_of_both_levels_are_restricted() -> None:
    limits = resolved({"global": {"restricted_symbols": ["A"]}, "restricted_symbols": ["B"]})
    assert limits.restricted_symbols == frozenset("AB")


def test_an_empty_whitelist_lists_nothing_and_no_whitelist_is_none() -> None:
    assert resolved({"whitelist": []}).whitelist == frozenset()
    assert resolved({}).whitelist is None


def test_the_older_names_of_the_portfolio_limit_are_the_same_limit() -> None:
    names = ("max_portfolio_gross_nav_pct", "max_gross_nav_pct", "max_gross_exposure_pct")
    for smallest in names:
        risk = {name: 120 if name == smallest else 200 for name in names}
        assert resolved(risk).max_portfolio_gross_nav_ratio == 1.2


def test_tiers_of_both_levels_are_known_and_sorted() -> None:
    risk = {
        "tiers": {"Z": {"per_symbol_nav_pct": 0.1}, "C": {}},
        "global": {"tiers": {"Y": {"per_symbol_nav_pct": 30}}},
    }
    assert list(resolved(risk).tier_nav_ratios.items()) == [("Y", 0.3), ("Z", 0.1)]


def test_fees_and_slippage_are_taken_from_the_global_level_first() -> None:
    limits = resolved({"global": {"maker_fee_bps": -0.5, "taker_fee_bps": 4}, "taker_fee_bps": 9})
    assert (limits.maker_fee_bps, limits.taker_fee_bps, limits.expected_slippage_bps) == (-0.5, 4, 0)


# (where a value may stand, which field it becomes); the value is put in the place of `...`
RISK_PLACES = {
    "global": {"global": ...},
    "top": ...,
    "per_symbol": {"per_symbol": {"A": ...}},
}
UNIVERSE_PLACES = {
    "overrides": {"symbols": ["A", "B"], "overrides": {"A": ...}},
    "universe": {"universe": [{"symbol": "A", "": ...}, {"symbol": "B"}]},
    "caps": {"universe": [{"symbol": "A", "caps": ...}, {"symbol": "B"}]},
}
SYMBOL_KEYS = [
    ("max_leverage", ["global", "top", "per_symbol", "overrides", "universe"], 3, 2, "max_leverage"),
    ("min_notional", ["global", "top", "per_symbol", "overrides", "universe"], 5, 10, "min_notional_usd"),
    ("min_notional_usd", ["global", "top", "per_symbol"], 5, 10, "min_notional_usd"),
    ("min_notional_usdt", ["global", "top", "per_symbol"], 5, 10, "min_notional_usd"),
    (
        "max_order_notional",
        ["global", "top", "per_symbol", "overrides", "universe", "caps"],
        500,
        400,
        "max_order_notional_usd",
    ),
    ("max_notional_usd", ["global", "top", "per_symbol"], 500, 400, "max_order_notional_usd"),
    ("max_nav_pct", ["per_symbol", "overrides", "universe", "caps"], 25, 0.2, "max_symbol_nav_ratio"),
    ("max_symbol_exposure_pct", ["global", "top"], 50, 0.2, "max_symbol_nav_ratio"),
]


def placed(place: str, keys: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(risk limits, universe) with `keys` at one place."""

    def put(shape: Any) -> Any:
        if shape is ...:
            return keys
        if isinstance(shape, dict):
            content = {key: put(inner) for key, inner in shape.items()}
            return content | content.pop("", {})
        return [put(inner) for inner in shape] if isinstance(shape, list) else shape

    if place in RISK_PLACES:
        return put(RISK_PLACES[place]), {"symbols": ["A", "B"]}
    return {}, put(UNIVERSE_PLACES[place])


def combined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both contents in one; they share no leaf."""
    content = dict(first)
    for key, value in second.items():
        known = content.get(key)
        content[key] = combined(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return content


PLACED = [(key, place, *rest) for key, places, *rest in SYMBOL_KEYS for place in places]


@pytest.mark.parametrize(("key", "place", "loose", "strict", "field"), PLACED)
def test_a_symbol_limit_is_read_wherever_it_may_stand(
    key: str, place: str, loose: float, strict: float, field: str
) -> None:
    limits = resolved(*placed(place, {key: strict}))
    value = strict if field.endswith("_usd") or field == "max_leverage" else 0.2
    assert getattr(limits.of("A"), field) == value
    is_global = place in ("global", "top")
    assert getattr(limits.of("B"), field) == (value if is_global else None)
    assert getattr(limits.fallback, field) == (value if is_global else None)


@pytest.mark.parametrize(
    ("key", "places", "loose", "strict", "field"), SYMBOL_KEYS, ids=[case[0] for case in SYMBOL_KEYS]
)
def test_where_two_places_limit_the_same_the_stricter_holds(
    key: str, places: list[str], loose: float, strict: float, field: str
) -> None:
    expected = getattr(resolved(*placed(places[0], {key: strict})).of("A"), field)
    for strict_place in places:
        for loose_place in places:
            if strict_place == loose_place or {strict_place, loose_place} <= {"universe", "caps"}:
                continue
            strict_risk, strict_universe = placed(strict_place, {key: strict})
            loose_risk, loose_universe = placed(loose_place, {key: loose})
            limits = resolved(combined(strict_risk, loose_risk), combined(strict_universe, loose_universe))
            assert getattr(limits.of("A"), field) == expected, (strict_place, loose_place)


def test_the_stricter_of_a_universe_entry_and_its_caps_holds() -> None:
    entry = {"symbol": "A", "max_order_notional": 500, "max_nav_pct": 0.1}
    caps = {"max_order_notional": 400, "max_nav_pct": 25}
    limits = resolved({}, {"universe": [entry | {"caps": caps}]}).of("A")
    assert (limits.max_order_notional_usd, limits.max_symbol_nav_ratio) == (400, 0.1)


def test_the_exchange_filters_and_the_tier_come_from_either_shape_of_the_universe() -> None:
    keys = {"tier": "CORE", "target_leverage": 3, "step_size": 0.001, "tick_size": 0.1}
    older = resolved({}, {"symbols": ["A"], "overrides": {"A": keys}})
    newer = resolved({}, {"universe": [{"symbol": "A"} | keys]})
    assert older == newer
    limits = older.of("A")
    assert (limits.tier, limits.target_leverage, limits.lot_step, limits.tick_size) == ("CORE", 3, 0.001, 0.1)


@pytest.mark.parametrize(
    ("own", "entry", "is_enabled"),
    [
        ({}, {}, True),
        ({"enabled": True}, {"enabled": True, "status": "Enabled"}, True),
        ({}, {"status": "TRADING"}, True),
        ({}, {"status": "active"}, True),
        ({"enabled": False}, {"enabled": True}, False),
        ({"enabled": True}, {"enabled": False}, False),
        ({}, {"enabled": True, "status": "disabled"}, False),
        ({}, {"status": "BREAK"}, False),
        ({}, {"status": ""}, False),
    ],
)
def test_a_symbol_is_enabled_only_where_nothing_says_otherwise(
    own: dict[str, Any], entry: dict[str, Any], is_enabled: bool
) -> None:
    risk = {"per_symbol": {"A": own}}
    assert resolved(risk, {"symbols": ["A"], "overrides": {"A": entry}}).of("A").is_enabled is is_enabled
    assert resolved(risk, {"universe": [{"symbol": "A"} | entry]}).of("A").is_enabled is is_enabled


def test_long_and_short_block_the_sides_that_they_are() -> None:
    limits = resolved({"per_symbol": {"A": {"block_sides": ["long"]}, "B": {"block_sides": ["Sell", "SHORT"]}}})
    assert limits.of("A").block_sides == {Side.BUY}
    assert limits.of("B").block_sides == {Side.SELL}


def test_a_symbol_that_the_universe_does_not_list_has_the_global_limits_and_is_not_known() -> None:
    limits = resolved({"max_leverage": 4, "per_symbol": {"C": {"max_leverage": 1}}})
    assert limits.of("C") == SymbolLimits(symbol="", is_known=False, max_leverage=4)


def test_symbols_of_both_shapes_are_known() -> None:
    limits = resolved({}, {"symbols": ["A"], "universe": [{"symbol": "B"}]})
    assert set(limits.symbols) == {"A", "B"}


def test_unknown_keys_of_both_files_are_listed_with_the_nearest_known_one(tmp_path: Path) -> None:
    risk = {
        "max_levrage": 3,
        "global": {"drawdown_alert_pct": 3, "max_trade_nav": 1},
        "per_symbol": {"BTCUSDT": {"max_notional": 5}, "BTCUSTD": {"max_nav_pct": 0.1}, "XAUUSDT": {"max_leverage": 1}},
        "tiers": {"CORE": {"per_symbol_nav": 3}},
        "quote_symbols": ["USDT"],
    }
    universe = {
        "version": "v6",
        "universe": [{"symbol": "BTCUSDT", "bucket": "CORE", "caps": {"max_order_notionl": 5}}],
        "overrides": {"ETHUSDT": {"targetleverage": 3}},
    }
    found = loaded(tmp_path, risk, universe)
    assert found.unknown_keys == (
        UnknownKey("risk_limits.json", "max_levrage", "max_leverage"),
        UnknownKey("risk_limits.json", "tiers.CORE.per_symbol_nav", "per_symbol_nav_pct"),
        UnknownKey("risk_limits.json", "global.max_trade_nav", "max_trade_nav_pct"),
        UnknownKey("risk_limits.json", "per_symbol.BTCUSDT.max_notional", "max_notional_usd"),
        UnknownKey("pairs_universe.json", "overrides.ETHUSDT.targetleverage", "target_leverage"),
        UnknownKey("pairs_universe.json", "universe.BTCUSDT.caps.max_order_notionl", "max_order_notional"),
        UnknownKey("risk_limits.json", "per_symbol.BTCUSTD", "BTCUSDT"),
    )
    assert found.unread_keys[0] == "risk_limits.json: max_levrage"
    assert found.unlisted == (
        UnknownKey("risk_limits.json", "per_symbol.XAUUSDT", None),
        UnknownKey("pairs_universe.json", "overrides.ETHUSDT", None),
    )


@pytest.mark.parametrize("place", ["top", "global", "universe"])
@pytest.mark.parametrize("name", ["max_levrage", "per_symbol.BTCUSDT.max_levrage"])
def test_a_key_that_a_file_exempts_is_not_unread(tmp_path: Path, place: str, name: str) -> None:
    risk: dict[str, Any] = {"per_symbol": {"BTCUSDT": {"max_levrage": 3}}, "max_trade_nav": 1}
    universe: dict[str, Any] = {"symbols": ["BTCUSDT"]}
    exempt = {"unread_keys_ok": [name]}
    if place == "universe":
        universe |= exempt
    else:
        risk |= exempt if place == "top" else {"global": exempt}
    assert loaded(tmp_path, risk, universe).unread_keys == ("risk_limits.json: max_trade_nav",)


# Every key that the desk's own files hold, with a value that differs from what they say elsewhere.
DESK_RISK: dict[str, Any] = {
    "global": {
        "daily_loss_limit_pct": 5.0,
        "cooldown_minutes_after_stop": 30,
        "max_trades_per_symbol_per_hour": 10,
        "drawdown_alert_pct": 3.0,
        "max_gross_exposure_pct": 150,
        "max_symbol_exposure_pct": 40,
        "max_nav_drawdown_pct": 10,
        "max_concurrent_positions": 4,
        "max_leverage": 4,
        "min_notional_usdt": 100,
        "max_trade_nav_pct": 0.2,
        "trade_equity_nav_pct": 0.15,
        "symbol_notional_share_cap_pct": 25.0,
        "symbol_drawdown_cap_pct": 3.0,
        "tiers": {"CORE": {"per_symbol_nav_pct": 30.0}},
    },
    "nav_freshness_seconds": 150,
    "fail_closed_on_nav_stale": True,
    "reset_timezone": "UTC",
    "min_notional_usd": 5,
    "quote_symbols": ["USDT", "USDC"],
    "restricted_symbols": [],
    "per_symbol": {
        "A": {"min_notional": 100, "max_order_notional": 80000, "max_leverage": 4, "max_nav_pct": 0.25},
        "XAUUSDT": {"max_notional_usd": 15000},
    },
    "non_prod": {"require_dry_run": True},
}
DESK_UNIVERSE: dict[str, Any] = {
    "version": "v6.0",
    "symbols": ["A", "B"],
    "universe": [
        {
            "symbol": "A",
            "tier": "CORE",
            "bucket": "CORE",
            "enabled": True,
            "status": "enabled",
            "target_leverage": 20.0,
            "max_leverage": 4,
            "min_notional": 100,
            "min_gross_usd": 150.0,
            "caps": {"max_nav_pct": 0.25, "max_order_notional": 80000, "max_concurrent_positions": 0},
        }
    ],
}


def test_every_key_of_a_desks_own_files_is_read(tmp_path: Path) -> None:
    found = loaded(tmp_path, DESK_RISK, DESK_UNIVERSE)
    assert found.unread_keys == ()
    assert [each.key for each in found.unlisted] == ["per_symbol.XAUUSDT"]
    limits = found.limits
    assert (limits.quote_symbols, limits.drawdown_alert_ratio) == ({"USDT", "USDC"}, 0.03)
    of_a, of_b = limits.of("A"), limits.of("B")
    assert (of_a.min_notional_usd, of_b.min_notional_usd) == (150.0, 100.0)
    assert (of_a.max_concurrent_positions, of_b.max_concurrent_positions) == (0, None)
    assert (of_a.max_share_ratio, of_a.max_drawdown_ratio) == (0.25, 0.03)


def test_quote_symbols_of_both_levels_must_agree() -> None:
    assert resolved({"quote_symbols": ["USDT", "USDC"], "global": {"quote_symbols": ["USDT"]}}).quote_symbols == {
        "USDT"
    }


def test_rows_that_may_be_dropped_are_those_of_both_levels_and_change_no_hash() -> None:
    rows = {"event_types": ["order_executed"], "strategies": ["manual"]}
    limits = resolved({"known_rows_ok": rows, "global": {"known_rows_ok": {"strategies": ["hedger"]}}})
    assert limits.known_rows == KnownRows(frozenset({"order_executed"}), frozenset({"manual", "hedger"}))
    assert limits.config_hash == resolved({}).config_hash
    assert resolved({"drawdown_alert_pct": 3}).config_hash == resolved({}).config_hash


def test_a_misspelt_list_of_rows_that_may_be_dropped_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"known_rows_ok\.event_type"):
        loaded(tmp_path, {"known_rows_ok": {"event_type": ["order_executed"]}})


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    paths = tmp_path / "risk_limits.json", tmp_path / "pairs_universe.json"
    for path, content in zip(paths, ({"max_leverage": 3}, {"symbols": ["A"]}), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8-sig")
    assert load_configuration(*paths).limits.of("A").max_leverage == 3


def test_an_unknown_key_changes_no_limit(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"max_levrage": 3}).limits == loaded(tmp_path, {}).limits


def test_a_rule_for_another_spelling_of_a_listed_symbol_is_refused(tmp_path: Path) -> None:
    risk = {
        "restricted_symbols": ["btcusdt", "BTCUSDT", "DELISTED"],
        "global": {"whitelist": ["ETHUSDT "]},
        "per_symbol": {"EthUsdt": {"max_leverage": 1}},
    }
    universe = {"symbols": ["BTCUSDT", "ETHUSDT"], "overrides": {"ethusdt": {}}}
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, risk, universe)
    assert [(Path(problem.where).name, problem.key, problem.value) for problem in caught.value.problems] == [
        ("risk_limits.json", "per_symbol.EthUsdt", "'EthUsdt'"),
        ("risk_limits.json", "global.whitelist", "'ETHUSDT '"),
        ("risk_limits.json", "restricted_symbols", "'btcusdt'"),
        ("pairs_universe.json", "overrides.ethusdt", "'ethusdt'"),
    ]
    assert "must be written 'BTCUSDT', as the universe does" in str(caught.value)


RISK: dict[str, Any] = {
    "global": {
        "max_gross_exposure_pct": 180,
        "max_symbol_exposure_pct": 40,
        "max_concurrent_positions": 4,
        "tiers": {"CORE": {"per_symbol_nav_pct": 30.0}, "SATELLITE": {"per_symbol_nav_pct": 20.0}},
    },
    "max_leverage": 4,
    "nav_freshness_seconds": 150,
    "fail_closed_on_nav_stale": True,
    "kill_switch": False,
    "restricted_symbols": ["C", "D"],
    "whitelist": ["A", "B", "C"],
    "trade_equity_nav_pct": 0.15,
    "max_trade_nav_pct": 0.1,
    "maker_fee_bps": 2,
    "taker_fee_bps": 5,
    "expected_slippage_bps": 1,
    "per_symbol": {
        "A": {"max_nav_pct": 0.25, "max_open_qty": 3, "block_sides": ["SELL", "BUY"], "min_notional": 5},
        "B": {"max_order_notional": 25000, "enabled": True},
    },
}
UNIVERSE: dict[str, Any] = {
    "symbols": ["A", "B"],
    "overrides": {"A": {"tier": "CORE", "step_size": 0.001, "tick_size": 0.1}, "B": {"target_leverage": 3}},
}


def shuffled(content: Any, random: Random) -> Any:
    """The same content, its keys and its lists of names in another order."""
    if isinstance(content, dict):
        items = [(key, shuffled(value, random)) for key, value in content.items()]
        random.shuffle(items)
        return dict(items)
    return random.sample(content, len(content)) if isinstance(content, list) else content


@unhurried
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_and_names_changes_neither_limits_nor_hash(random: Random) -> None:
    limits = resolved(shuffled(RISK, random), shuffled(UNIVERSE, random))
    assert limits == resolved(RISK, UNIVERSE)  # the hash is one of the fields
    assert list(limits.symbols) == ["A", "B"]


def test_fractions_and_percents_of_the_same_limits_have_the_same_hash() -> None:
    assert resolved({"max_trade_nav_pct": 29}).config_hash == resolved({"max_trade_nav_pct": 0.29}).config_hash


CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *((key, {key: value}, NOTHING) for key, _, value, _, _ in GLOBAL if key != "fail_closed_on_nav_stale"),
    ("fail_closed_on_nav_stale", {"fail_closed_on_nav_stale": False}, NOTHING),
    *((key, {"per_symbol": {"A": {key: value}}}, NOTHING) for key, value in [
        ("max_leverage", 1),
        ("min_notional", 50),
        ("max_order_notional", 5),
        ("max_nav_pct", 0.01),
        ("max_open_qty", 2),
        ("block_sides", ["BUY"]),
        ("enabled", False),
    ]),
    *((key, {key: 0.5}, NOTHING) for key in ("maker_fee_bps", "taker_fee_bps", "expected_slippage_bps")),
    ("restricted_symbols", {"restricted_symbols": ["A"]}, NOTHING),
    *((key, NOTHING, {"overrides": {"A": {key: value}}}) for key, value in [
        ("tier", "SATELLITE"),
        ("target_leverage", 2),
        ("step_size", 0.01),
        ("tick_size", 0.01),
    ]),
    ("symbols", NOTHING, {"symbols": ["A", "B", "C"]}),
]  # fmt: skip


@pytest.mark.parametrize(("risk", "universe"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_any_changed_limit_changes_the_hash(risk: dict[str, Any], universe: dict[str, Any]) -> None:
    before = resolved(RISK, UNIVERSE)
    after = resolved(RISK | risk, UNIVERSE | universe)
    assert len(after.config_hash) == 16
    assert int(after.config_hash, 16) >= 0
    assert after.config_hash != before.config_hash


@dataclass(frozen=True)
class _LimitsWithOneMore(Limits):
    """The code of another day, in which a limit was added that no desk has configured."""

    max_something: float | None = None


@dataclass(frozen=True)
class _SymbolLimitsWithOneMore(SymbolLimits):
    max_something: float | None = None


def with_one_more(limits: Limits, **changes: Any) -> Limits:
    def wider(rules: SymbolLimits) -> SymbolLimits:
        return _SymbolLimitsWithOneMore(**{field.name: getattr(rules, field.name) for field in fields(rules)})

    values = {field.name: getattr(limits, field.name) for field in fields(limits)}
    values["symbols"] = {symbol: wider(rules) for symbol, rules in limits.symbols.items()}
    values["fallback"] = wider(limits.fallback)
    return _LimitsWithOneMore(**values, **changes)


@pytest.mark.parametrize(("risk", "universe"), [({}, {"symbols": ["A"]}), (RISK, UNIVERSE), (DESK_RISK, DESK_UNIVERSE)])
def test_a_limit_that_the_code_gains_changes_no_hash_until_it_is_configured(
    risk: dict[str, Any], universe: dict[str, Any]
) -> None:
    limits = resolved(risk, universe)
    assert hash_limits(with_one_more(limits)) == limits.config_hash
    assert hash_limits(with_one_more(limits, max_something=1.0)) != limits.config_hash


def test_a_default_that_is_written_down_is_the_same_configuration() -> None:
    assert resolved({"trade_equity_nav_pct": 15, "maker_fee_bps": 2.0}).config_hash == resolved({}).config_hash


def test_without_symbols_in_scope_the_scope_is_everything() -> None:
    limits = resolved(RISK, UNIVERSE)
    assert scope_hash(limits, ()) == limits.config_hash


@pytest.mark.parametrize(
    ("risk", "universe", "is_in_scope"),
    [
        ({"per_symbol": {"B": {"max_leverage": 1}}}, {}, False),
        ({"restricted_symbols": ["B"]}, {}, False),
        ({"whitelist": ["A"]}, {}, False),
        ({}, {"symbols": ["A", "B", "C"]}, False),
        ({"per_symbol": {"A": {"max_leverage": 1}}}, {}, True),
        ({"restricted_symbols": ["A"]}, {}, True),
        ({"whitelist": ["B"]}, {}, True),
        ({"max_leverage": 2}, {}, True),
        ({"max_gross_exposure_pct": 100}, {}, True),
    ],
)
def test_the_hash_of_a_scope_changes_with_what_holds_for_its_symbols_alone(
    risk: dict[str, Any], universe: dict[str, Any], is_in_scope: bool
) -> None:
    shared = {"whitelist": ["A", "B"]}
    before = resolved(shared, {"symbols": ["A", "B"]})
    after = resolved(shared | risk, {"symbols": ["A", "B"]} | universe)
    assert after.config_hash != before.config_hash
    assert (scope_hash(after, ["A"]) != scope_hash(before, ["A"])) is is_in_scope
    assert scope_hash(after, ["A"]) != scope_hash(after, ["A", "B"])


def test_a_symbol_in_scope_that_the_universe_does_not_list_has_the_global_limits() -> None:
    before, after = resolved({"max_leverage": 2}), resolved({"max_leverage": 3})
    assert scope_hash(before, ["Z"]) != scope_hash(after, ["Z"])


def test_the_universe_may_allow_a_symbol_no_position_and_the_stricter_minimum_holds() -> None:
    entry = {"symbol": "A", "min_notional": 20, "min_gross_usd": 15, "caps": {"max_concurrent_positions": 0}}
    limits = resolved({}, {"universe": [entry]}).of("A")
    assert (limits.min_notional_usd, limits.max_concurrent_positions) == (20, 0)
