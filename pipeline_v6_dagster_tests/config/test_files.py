import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.files import PairsUniverseFile, RiskLimitsFile, load_file
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.errors import ConfigError, StorageError

RISK = "risk_limits.json"
UNIVERSE = "pairs_universe.json"


def write(folder: Path, risk: object, universe: object) -> tuple[Path, Path]:
    """Both files; text and bytes stand as they are."""
    paths = (folder / RISK, folder / UNIVERSE)
    for path, content in zip(paths, (risk, universe), strict=True):
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        path.write_bytes(content)
    return paths


def refusal(folder: Path, risk: object, universe: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_configuration(*write(folder, risk, universe))
    assert "\n" not in str(caught.value)
    return caught.value


def keys(error: ConfigError, folder: Path) -> list[tuple[str, str]]:
    return [(str(Path(problem.where).relative_to(folder)), problem.key) for problem in error.problems]


WHOLE = {"symbols": ["BTCUSDT"]}

NOT_A_FILE_OF_LIMITS = [
    ("", "is not valid JSON"),
    ('{"max_leverage": 3', "is not valid JSON"),
    ("max_leverage: 3", "is not valid JSON"),
    ('{"max_leverage": 3,}', "is not valid JSON"),
    ('{"max_leverage": NaN}', "NaN is not a number"),
    ('{"max_leverage": Infinity}', "Infinity is not a number"),
    ('{"nobody_reads": {"x": -Infinity}}', "-Infinity is not a number"),
    ('{"max_leverage": 3, "max_leverage": 30}', "max_leverage stands twice in one object"),
    ('{"per_symbol": {"A": {}, "B": {}, "A": {}}}', "A stands twice in one object"),
    ("[]", "must hold a JSON object, not []"),
    ('"text"', "must hold a JSON object, not 'text'"),
    ("null", "must hold a JSON object, not None"),
    ("[" * 100_000, "is not valid JSON"),
    ('{"max_leverage": ' + "9" * 10_000 + "}", "is not valid JSON"),
    (b'{"max_leverage": "\xff"}', "must be text in UTF-8"),
    ('{"per_symbol": {"\\ud800": {}}}', "must be text in UTF-8"),
    ('{"symbols": ["BTC\\udfff"]}', "must be text in UTF-8"),
]


@pytest.mark.parametrize(("content", "why"), NOT_A_FILE_OF_LIMITS)
def test_what_is_no_configuration_file_is_refused_with_its_path_and_why(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    (problem,) = refusal(tmp_path, content, WHOLE).problems
    assert problem.where == str(tmp_path / RISK)
    assert why in problem.allowed
    (problem,) = refusal(tmp_path, {}, content).problems
    assert problem.where == str(tmp_path / UNIVERSE)
    assert why in problem.allowed


def test_a_missing_file_is_named_with_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_configuration(tmp_path / RISK, tmp_path / UNIVERSE)
    assert [problem.where for problem in caught.value.problems] == [str(tmp_path / RISK), str(tmp_path / UNIVERSE)]
    assert str(caught.value).count("is missing; put it there or set PIPELINE_V6_HOME or PIPELINE_V6_CONFIG_DIR") == 2


def test_a_file_that_does_not_open_is_refused_as_a_fault_of_the_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: Is a directory; check its owner and mode"):
        load_file(tmp_path, RiskLimitsFile)


BAD_NUMBERS: list[object] = ["three", True, [], {}, 10**400]

BAD_RISK: list[tuple[str, dict[str, Any], list[object]]] = [
    *(
        (key, {key: ...}, [*BAD_NUMBERS, 0, -1])
        for key in (
            "max_leverage",
            "max_order_notional",
            "max_notional_usd",
            "nav_freshness_seconds",
            "max_symbol_exposure_pct",
            "trade_equity_nav_pct",
            "max_trade_nav_pct",
            "max_portfolio_gross_nav_pct",
            "max_gross_nav_pct",
            "max_gross_exposure_pct",
        )
    ),
    *(
        (key, {key: ...}, [*BAD_NUMBERS, -0.01])
        for key in ("min_notional", "min_notional_usd", "min_notional_usdt", "max_concurrent_positions")
    ),
    *((key, {key: ...}, BAD_NUMBERS) for key in ("maker_fee_bps", "taker_fee_bps", "expected_slippage_bps")),
    *((key, {key: ...}, ["true", 1, 0, []]) for key in ("kill_switch", "fail_closed_on_nav_stale")),
    *((key, {key: ...}, ["BTCUSDT", {}, 1, [1]]) for key in ("restricted_symbols", "whitelist")),
    ("global.max_leverage", {"global": {"max_leverage": ...}}, [*BAD_NUMBERS, 0]),
    ("global", {"global": ...}, [[], "x", None, 1]),
    ("per_symbol", {"per_symbol": ...}, [[], "x", None, 1]),
    ("per_symbol.BTCUSDT", {"per_symbol": {"BTCUSDT": ...}}, [[], "x", None, 1]),
    ("per_symbol.BTCUSDT.max_nav_pct", {"per_symbol": {"BTCUSDT": {"max_nav_pct": ...}}}, [*BAD_NUMBERS, 0]),
    ("per_symbol.BTCUSDT.max_open_qty", {"per_symbol": {"BTCUSDT": {"max_open_qty": ...}}}, [*BAD_NUMBERS, -1]),
    ("per_symbol.BTCUSDT.enabled", {"per_symbol": {"BTCUSDT": {"enabled": ...}}}, ["yes", 1]),
    ("tiers.CORE.per_symbol_nav_pct", {"tiers": {"CORE": {"per_symbol_nav_pct": ...}}}, [*BAD_NUMBERS, 0]),
]

BAD_UNIVERSE: list[tuple[str, dict[str, Any], list[object]]] = [
    ("symbols", {"symbols": ...}, ["BTCUSDT", {}, None]),
    ("symbols.0", {"symbols": [...]}, [1, None, {}]),
    ("overrides.A.min_notional", {"symbols": ["A"], "overrides": {"A": {"min_notional": ...}}}, [*BAD_NUMBERS, -1]),
    ("universe.0.symbol", {"universe": [{"symbol": ...}]}, ["", None, 1]),
    *(
        (f"universe.0.{key}", {"universe": [{"symbol": "A", key: ...}]}, [*BAD_NUMBERS, 0, -1])
        for key in ("target_leverage", "max_leverage", "max_order_notional", "max_nav_pct", "step_size", "tick_size")
    ),
    (
        "universe.0.caps.max_nav_pct",
        {"universe": [{"symbol": "A", "caps": {"max_nav_pct": ...}}]},
        [*BAD_NUMBERS, 0],
    ),
    ("universe.0.enabled", {"universe": [{"symbol": "A", "enabled": ...}]}, ["false", 0]),
    ("universe.0.status", {"universe": [{"symbol": "A", "status": ...}]}, [False, 1]),
]


def filled(shape: Any, value: object) -> Any:
    if shape is ...:
        return value
    if isinstance(shape, dict):
        return {key: filled(inner, value) for key, inner in shape.items()}
    return [filled(inner, value) for inner in shape] if isinstance(shape, list) else shape


@pytest.mark.parametrize(("key", "shape", "values"), BAD_RISK, ids=[case[0] for case in BAD_RISK])
def test_a_bad_limit_is_refused_and_named(tmp_path: Path, key: str, shape: dict[str, Any], values: list[Any]) -> None:
    for value in values:
        named = keys(refusal(tmp_path, filled(shape, value), WHOLE), tmp_path)
        assert {(file, found.removesuffix(".0")) for file, found in named} == {(RISK, key)}, value


@pytest.mark.parametrize(("key", "shape", "values"), BAD_UNIVERSE, ids=[case[0] for case in BAD_UNIVERSE])
def test_a_bad_universe_value_is_refused_and_named(
    tmp_path: Path, key: str, shape: dict[str, Any], values: list[Any]
) -> None:
    for value in values:
        assert keys(refusal(tmp_path, {}, filled(shape, value)), tmp_path) == [(UNIVERSE, key)], value


def test_a_number_that_overflows_is_not_finite_and_refused(tmp_path: Path) -> None:
    (problem,) = refusal(tmp_path, '{"max_leverage": 1e999}', WHOLE).problems
    assert (problem.key, problem.value, problem.allowed) == ("max_leverage", "inf", "must be a finite number")


def test_null_is_a_limit_that_is_not_configured(tmp_path: Path) -> None:
    path, _ = write(tmp_path, {"max_leverage": None, "whitelist": None, "tiers": None}, WHOLE)
    assert load_file(path, RiskLimitsFile) == load_file(write(tmp_path, {}, WHOLE)[0], RiskLimitsFile).model_copy()


def test_all_problems_of_both_files_stand_in_one_error(tmp_path: Path) -> None:
    risk = {
        "max_leverage": "3x",
        "global": {"max_trade_nav_pct": -1},
        "per_symbol": {"A": {"max_nav_pct": True, "block_sides": ["BUY", "up", "x"]}, "B": {"enabled": "no"}},
    }
    universe = {"universe": [{"symbol": "A"}, {"symbol": "B", "max_leverage": 0, "caps": {"max_nav_pct": "9 %"}}]}
    error = refusal(tmp_path, risk, universe)
    assert sorted(keys(error, tmp_path)) == [
        (UNIVERSE, "universe.1.caps.max_nav_pct"),
        (UNIVERSE, "universe.1.max_leverage"),
        (RISK, "global.max_trade_nav_pct"),
        (RISK, "max_leverage"),
        (RISK, "per_symbol.A.block_sides"),
        (RISK, "per_symbol.A.max_nav_pct"),
        (RISK, "per_symbol.B.enabled"),
    ]
    assert f"{tmp_path / RISK}: max_leverage = '3x': must be a valid number" in str(error)
    assert "may hold BUY, SELL, LONG and SHORT, not 'up', 'x'" in str(error)


def test_a_file_that_cannot_be_read_does_not_hide_the_problems_of_the_other(tmp_path: Path) -> None:
    error = refusal(tmp_path, "{", {"symbols": [1]})
    assert keys(error, tmp_path) == [(RISK, ""), (UNIVERSE, "symbols.0")]


@pytest.mark.parametrize("universe", [{}, {"symbols": []}, {"symbols": [], "universe": [], "overrides": {"A": {}}}])
def test_a_universe_that_lists_no_symbol_is_refused(tmp_path: Path, universe: object) -> None:
    assert "must list at least one symbol" in str(refusal(tmp_path, {}, universe))


def test_a_symbol_that_the_universe_lists_twice_is_refused(tmp_path: Path) -> None:
    universe = {"universe": [{"symbol": "A", "max_leverage": 1}, {"symbol": "B"}, {"symbol": "A", "max_leverage": 9}]}
    error = refusal(tmp_path, {}, universe)
    assert keys(error, tmp_path) == [(UNIVERSE, "universe")]
    assert "may list a symbol once, not 'A'" in str(error)


def test_a_long_value_is_shortened_in_the_error(tmp_path: Path) -> None:
    (problem,) = refusal(tmp_path, {"max_leverage": "x" * 1000}, WHOLE).problems
    assert problem.value.endswith("...")
    assert len(problem.value) < 80


def test_both_shapes_of_a_universe_are_read(tmp_path: Path) -> None:
    keys_of = {"tier": "CORE", "max_leverage": 3, "min_notional": 5, "step_size": 0.001, "tick_size": 0.1}
    older = load_file(write(tmp_path, {}, {"symbols": ["A"], "overrides": {"A": keys_of}})[1], PairsUniverseFile)
    newer = load_file(write(tmp_path, {}, {"universe": [{"symbol": "A"} | keys_of]})[1], PairsUniverseFile)
    assert older.overrides["A"].model_dump() | {"symbol": "A"} == newer.universe[0].model_dump()
