"""A mistake in rollout.json is named once, by the key that a person wrote."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.rollout_plan import load_rollout_plan
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.domain.rollout import SymbolSelection

WORDS = "must be 1 to 100 characters, without control characters or white space around them"
STAGE = {"name": "one", "symbols": "all", "notional_share": 0.1, "min_hours": 1}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"symbols": "some"}, "stages.0.symbols = 'some': must be 'most_traded' or 'all' or a list of names"),
        ({"symbols": []}, "stages.0.symbols = []: must be 'most_traded' or 'all' or a list of names"),
        ({"symbols": [1]}, "stages.0.symbols = [1]: must be 'most_traded' or 'all' or a list of names"),
        ({"symbols": ["A", "A"]}, "stages.0.symbols = ['A', 'A']: a symbol is listed twice"),
        ({"symbols": ["X"] * 1001}, "1,001 symbols, 1,000 at most"),
        ({"symbols": ["BTC\x1b"]}, WORDS),
        ({"name": " one"}, f"stages.0.name = ' one': {WORDS}"),
        ({"notional_share": 2}, "stages.0.notional_share = 2: must be less than or equal to 1"),
    ],
)
def test_a_mistake_in_a_stage_is_one_line(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    path = tmp_path / "rollout.json"
    path.write_text(json.dumps({"stages": [STAGE | change]}))
    with pytest.raises(ConfigError) as caught:
        load_rollout_plan(path, ())
    (found,) = map(str, caught.value.problems)
    assert found.endswith(problem)


def test_a_plan_without_stages_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rollout.json"
    path.write_text('{"stages": []}')
    with pytest.raises(ConfigError, match=r"stages = \[\]: lists no stage"):
        load_rollout_plan(path, ())


@pytest.mark.parametrize(
    ("symbols", "read"),
    [("all", SymbolSelection.ALL), ("most_traded", SymbolSelection.MOST_TRADED), (["BTC", "ETH"], ("BTC", "ETH"))],
)
def test_symbols_are_names_or_a_selection(tmp_path: Path, symbols: object, read: object) -> None:
    path = tmp_path / "rollout.json"
    path.write_text(json.dumps({"stages": [STAGE | {"symbols": symbols}]}))
    assert load_rollout_plan(path, ()).stages[0].symbols == read
