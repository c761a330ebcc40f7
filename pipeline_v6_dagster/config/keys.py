"""Keys of the configuration files that nothing reads: each is a limit that somebody wrote and nobody applies."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel

from pipeline_v6_dagster.config.files import PairsUniverseFile, RiskLimitsFile
from pipeline_v6_dagster.config.problems import shorten
from pipeline_v6_dagster.domain.errors import Problem

# Known to limit nothing: the version of a file, a label of a symbol, how the executor starts outside production.
NO_LIMITS = frozenset({"version", "bucket", "non_prod"})
# Symbols share their quote currency, so that only close ones are worth a hint.
_SYMBOL_CUTOFF = 0.8


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that nothing reads; `nearest` is the known one that it resembles most, if any."""

    file: str
    key: str
    nearest: str | None

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


def unknown_keys(model: BaseModel, file: str, prefix: str = "") -> Iterator[UnknownKey]:
    """Every key of `model` and of what it holds that no field reads and that is not known to be no limit."""
    known = [field.alias or name for name, field in type(model).model_fields.items()]
    for key in model.model_extra or {}:
        if key not in NO_LIMITS:
            nearest = get_close_matches(key, known, n=1)
            yield UnknownKey(file, f"{prefix}{key}", nearest[0] if nearest else None)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        path = f"{prefix}{field.alias or name}"
        if isinstance(value, BaseModel):
            yield from unknown_keys(value, file, f"{path}.")
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from unknown_keys(item, file, f"{path}.{key}.")
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, BaseModel):
                    yield from unknown_keys(item, file, f"{path}.{getattr(item, 'symbol', '?')}.")


def without_exempt(found: Iterable[UnknownKey], exempt: Container[str]) -> Iterator[UnknownKey]:
    """The keys that `exempt` names neither in full (`global.max_x`) nor by their last part (`max_x`)."""
    return (each for each in found if each.key not in exempt and each.key.rpartition(".")[2] not in exempt)


def unlisted_symbols(key: str, symbols: Iterable[str], listed: Iterable[str], file: str) -> Iterator[UnknownKey]:
    """Limits for symbols that the universe does not list; `nearest` is a listed one that was probably meant."""
    listed = list(listed)
    for symbol in symbols:
        if symbol not in listed:
            nearest = get_close_matches(symbol, listed, n=1, cutoff=_SYMBOL_CUTOFF)
            yield UnknownKey(file, f"{key}.{symbol}", nearest[0] if nearest else None)


def symbols_in(file: RiskLimitsFile | PairsUniverseFile) -> Iterator[tuple[str, str]]:
    """(key, symbol) wherever a file names a symbol for which it has a rule."""
    if isinstance(file, PairsUniverseFile):
        yield from ((f"overrides.{symbol}", symbol) for symbol in file.overrides)
        return
    yield from ((f"per_symbol.{symbol}", symbol) for symbol in file.per_symbol)
    for prefix, level in (("global.", file.global_), ("", file)):
        yield from ((f"{prefix}restricted_symbols", symbol) for symbol in level.restricted_symbols or ())
        yield from ((f"{prefix}whitelist", symbol) for symbol in level.whitelist or ())


def other_spellings(named: Iterable[tuple[str, str]], listed: Iterable[str], path: Path) -> Iterator[Problem]:
    """A rule for `btcusdt` would silently not hold for BTCUSDT: it is refused."""
    listed = set(listed)
    spellings = {symbol.casefold(): symbol for symbol in sorted(listed)}
    for key, symbol in named:
        meant = spellings.get(symbol.strip().casefold(), symbol)
        if symbol not in listed and symbol != meant:
            yield Problem(str(path), key, shorten(symbol), f"must be written {meant!r}, as the universe does")
