"""`rollout.json`: the stages from shadow to live, and how many people must approve each step up.

    {"approvals": 2, "stages": [{"name": "canary", "symbols": ["BTCUSDT"], "notional_share": 0.1, "min_hours": 24}]}

`symbols` are names, or `most_traded` (the one with most executed orders in the epoch), or `all` (those that have
passed when the stage is approved). `min_hours` must be served in a stage before the next one. `criteria` are those
that must hold while the stage lasts, besides the critical ones; without it, all. Without the file, `DEFAULT_PLAN`.
"""

import unicodedata
from codecs import BOM_UTF8
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline_v6_dagster.config.files import unreadable
from pipeline_v6_dagster.config.problems import list_problems
from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.domain.rollout import RolloutPlan, StagePlan, SymbolSelection

_MAX_WORDS = 100
_MAX_SYMBOLS = 1000


def _check_words(text: str) -> str:
    """What is shown in a line and kept in a line of the history."""
    is_plain = not any(unicodedata.category(char).startswith("C") for char in text)
    if not 0 < len(text) <= _MAX_WORDS or text != text.strip() or not is_plain:
        raise ValueError(f"must be 1 to {_MAX_WORDS} characters, without control characters or white space around them")
    return text


_Words = Annotated[str, AfterValidator(_check_words)]
_Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
_Hours = Annotated[float, Field(ge=0, le=87_600, allow_inf_nan=False)]

# A day on one symbol shows every session of the market; three days at a tenth and at half show days of different kinds.
DEFAULT_PLAN = RolloutPlan(
    stages=(
        StagePlan(name="one_symbol_10", symbols=SymbolSelection.MOST_TRADED, notional_share=0.1, min_hours=24.0),
        StagePlan(name="all_10", symbols=SymbolSelection.ALL, notional_share=0.1, min_hours=72.0),
        StagePlan(name="all_50", symbols=SymbolSelection.ALL, notional_share=0.5, min_hours=72.0),
        StagePlan(name="all_100", symbols=SymbolSelection.ALL, notional_share=1.0, min_hours=0.0),
    )
)


class _Stage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: _Words
    symbols: SymbolSelection | tuple[str, ...]
    notional_share: _Share
    min_hours: _Hours
    criteria: tuple[str, ...] | None = None

    @field_validator("symbols", mode="plain")
    @classmethod
    def _are_symbols(cls, found: object) -> SymbolSelection | tuple[str, ...]:
        # pydantic's own messages name both types of the union, each with what is wrong with it.
        if isinstance(found, str) and found in tuple(SymbolSelection):
            return SymbolSelection(found)
        if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
            raise ValueError(f"must be {' or '.join(map(repr, map(str, SymbolSelection)))} or a list of names")
        if len(found) > _MAX_SYMBOLS:
            raise ValueError(f"lists {len(found):,} symbols, {_MAX_SYMBOLS:,} at most")
        names = tuple(map(_check_words, found))
        if len(set(names)) < len(names):
            raise ValueError("a symbol is listed twice")
        return names

    @field_validator("criteria")
    @classmethod
    def _are_known(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        known: Collection[str] = (info.context or {}).get("criteria", ())
        unknown = [name for name in names or () if name not in known]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no criterion; there are {', '.join(known)}")
        return names


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    approvals: Annotated[int, Field(ge=1, le=20, strict=True)] = 1
    stages: tuple[_Stage, ...]

    @field_validator("stages")
    @classmethod
    def _are_there(cls, stages: tuple[_Stage, ...]) -> tuple[_Stage, ...]:
        # As a limit of the field it would also be broken by stages with another mistake, which do not count.
        if not stages:
            raise ValueError("lists no stage")
        return stages

    @model_validator(mode="after")
    def _lead_upward(self) -> Self:
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]!r} stands for several stages")
        for lower, higher in pairwise(self.stages):
            if higher.notional_share < lower.notional_share:
                raise ValueError(f"stage {higher.name!r} has a smaller notional_share than {lower.name!r} before it")
        return self


def load_rollout_plan(path: Path, known_criteria: Collection[str]) -> RolloutPlan:
    """The plan of the file; `DEFAULT_PLAN` where there is no file. A stage may name criteria of `known_criteria`.

    Raises:
        ConfigError: it is not understood, naming every bad value.
        StorageError: it is there and cannot be read.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return DEFAULT_PLAN
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        file = _File.model_validate_json(content.removeprefix(BOM_UTF8), context={"criteria": known_criteria})
    except ValidationError as error:
        raise ConfigError(list_problems(error, str(path))) from None
    stages = tuple(
        StagePlan(
            name=stage.name,
            symbols=stage.symbols,
            notional_share=stage.notional_share,
            min_hours=stage.min_hours,
            criteria=stage.criteria,
        )
        for stage in file.stages
    )
    return RolloutPlan(stages, file.approvals)
