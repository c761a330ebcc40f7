"""`compare_ignore.json`: which differences are ignored, who answers for that, why, and until when.

    {"rules": [{"name": "...", "owner": "...", "reason": "...", "expires": "2026-12-31", "symbol": "BTCUSDT"}]}

A rule holds for decisions made before `expires` (the start of that day, UTC) that have all of the fields it names:
`symbol`, `side`, `intent_id`, `mismatch_kind`, `root_cause`. What it ignores is counted by its name, never silent.
"""

from codecs import BOM_UTF8
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline_v6_dagster.config.files import unreadable
from pipeline_v6_dagster.config.problems import list_problems
from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import MismatchKind, RootCause
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster.domain.ignoring import IgnoreRule

_Words = Annotated[str, Field(min_length=1, pattern=r"\S")]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: _Words
    owner: _Words
    reason: _Words
    expires: date
    symbol: str | None = None
    side: Side | None = None
    intent_id: str | None = None
    mismatch_kind: MismatchKind | None = None
    root_cause: RootCause | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not any((self.symbol, self.side, self.intent_id, self.mismatch_kind, self.root_cause)):
            raise ValueError("must name a symbol, side, intent_id, mismatch_kind or root_cause, not ignore everything")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: tuple[_Rule, ...] = ()

    @model_validator(mode="after")
    def _are_told_apart(self) -> Self:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]!r} stands for several rules")
        return self


def load_ignore_rules(path: Path) -> tuple[IgnoreRule, ...]:
    """The rules of the file, in its order; none if there is no file.

    Raises:
        ConfigError: it is not understood, naming every bad value. Nothing is ignored by half a file.
        StorageError: it is there and cannot be read.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        file = _File.model_validate_json(content.removeprefix(BOM_UTF8))
    except ValidationError as error:
        raise ConfigError(list_problems(error, str(path))) from None
    return tuple(
        IgnoreRule(
            name=rule.name,
            owner=rule.owner,
            reason=rule.reason,
            expires_ts=datetime(rule.expires.year, rule.expires.month, rule.expires.day, tzinfo=UTC).timestamp(),
            symbol=rule.symbol,
            side=rule.side,
            intent_id=rule.intent_id,
            mismatch_kind=rule.mismatch_kind,
            root_cause=rule.root_cause,
        )
        for rule in file.rules
    )


def expired_rules(path: Path, now: float) -> tuple[str, ...]:
    """What to say of each rule that no longer holds for what is decided at `now` (epoch s); for `doctor`.

    Raises:
        ConfigError: as `load_ignore_rules`.
    """
    return tuple(
        f"{path}: rule {rule.name!r} of {rule.owner} has expired and ignores nothing any more: {rule.reason};"
        " remove it, or look into the difference and set a new date"
        for rule in load_ignore_rules(path)
        if rule.expires_ts <= now
    )
