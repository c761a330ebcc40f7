"""What is configured, found and understood; what is wrong and how to mend it. Changes nothing."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.config.ambiguity import ambiguous_ratios
from pipeline_v6_dagster.config.ignore_rules import expired_rules
from pipeline_v6_dagster.config.keys import UnknownKey
from pipeline_v6_dagster.config.limits import Configuration, load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.errors import ConfigError, StorageError
from pipeline_v6_dagster.shadow.rules import RULES
from pipeline_v6_dagster.stages.doctor.clocks import clock_warnings
from pipeline_v6_dagster.stages.doctor.settings import (
    alert_url_problems,
    interval_misfits,
    unlisted_symbols,
    unread_variables,
)
from pipeline_v6_dagster.stages.doctor.versions import version_problems, versions
from pipeline_v6_dagster.storage.log_names import all_rotations


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file that the project reads or writes."""

    role: str
    path: Path
    size_bytes: int | None
    problem: str | None
    rotations: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """All that `doctor` found. `problems` stop a run; `warnings` will bite some day; `notes` are to be known."""

    settings: Settings | None
    files: tuple[FoundFile, ...]
    configuration: Configuration | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]


def examine(environ: Mapping[str, str], cwd: Path, now: float) -> Findings:
    """Look at everything, also past the first problem. `now` (epoch s) is what this machine's clock says."""
    try:
        settings = load_settings(environ, cwd)
    except ConfigError as error:
        unread = tuple(unread_variables(environ))
        return Findings(None, (), None, tuple(map(str, error.problems)), unread, (), versions())
    problems: list[str] = [*alert_url_problems(settings), *version_problems()]
    warnings: list[str] = [*unread_variables(environ), *interval_misfits(settings, environ)]
    notes: list[str] = []
    files = (*_inputs(settings), *_outputs(settings))
    for file in files:
        if file.problem is not None:
            problems.append(f"{file.path}: {file.problem}")
        elif file.size_bytes is None:
            notes.append(f"{file.path}: not there yet")
    with _noting(problems):
        warnings += clock_warnings(settings, now)
    for path in (settings.risk_limits, settings.pairs_universe):
        warnings += ambiguous_ratios(path)
    with _noting(problems):
        warnings += expired_rules(settings.ignore_rules, now)
    configuration = None
    with _noting(problems):
        configuration = load_configuration(settings.risk_limits, settings.pairs_universe)
        warnings += map(_unknown, configuration.unknown_keys)
        warnings += unlisted_symbols(settings, configuration.limits)
    return Findings(settings, files, configuration, tuple(problems), tuple(warnings), tuple(notes), versions())


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    """What stops a run is a finding here, and the look goes on."""
    try:
        yield
    except ConfigError as error:
        problems += map(str, error.problems)
    except StorageError as error:
        problems.append(str(error))


def shown_settings(settings: Settings) -> dict[str, Any]:
    """The settings by their variables. Of an alert URL only the scheme: the rest may hold a token."""
    shown = settings.model_dump(mode="json", by_alias=True)
    shown["PIPELINE_V6_ALERT_URLS"] = [f"{url.partition(':')[0]}://..." for url in settings.alert_urls]
    return shown


def understood_limits(configuration: Configuration) -> dict[str, Any]:
    """The limits as they are held inside: ratios of NAV, USD, seconds."""
    limits = asdict(configuration.limits)
    del limits["fallback"]
    return limits


def unknown_defaults(configuration: Configuration) -> dict[str, str]:
    """What holds, per rule that is configured for any symbol, where no log tells what the rule needs."""
    limits = configuration.limits
    symbols = (*limits.symbols.values(), limits.fallback)
    return {
        f"{rule.reason} ({', '.join(rule.limit_keys)})" if rule.limit_keys else str(rule.reason): rule.when_unknown
        for rule in RULES
        if rule.when_unknown != "-" and any(rule.is_set(limits, symbol) for symbol in symbols)
    }


def _unknown(key: UnknownKey) -> str:
    hint = f"; the nearest known key is {key.nearest}" if key.nearest else ""
    return f"{key.file}: {key.key}: no rule reads this key{hint}"


def _inputs(settings: Settings) -> list[FoundFile]:
    paths = {
        "order_attempts": settings.order_attempts,
        "orders_executed": settings.orders_executed,
        "order_metrics": settings.order_metrics,
        "risk_vetoes": settings.risk_vetoes,
        "position_state": settings.position_state,
    }
    return [_found(role, path, os.R_OK) for role, path in paths.items()]


def _outputs(settings: Settings) -> list[FoundFile]:
    paths = {
        "shadow_log": settings.shadow_log,
        "shadow_head": settings.shadow_head,
        "compare_diffs": settings.compare_diffs,
        "compare_summary": settings.compare_summary,
    }
    return [_found(role, path, os.R_OK | os.W_OK) for role, path in paths.items()]


def _found(role: str, path: Path, access: int) -> FoundFile:
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError:
        return FoundFile(role, path, None, _folder_problem(path) if access & os.W_OK else None)
    except OSError as error:
        return FoundFile(role, path, None, f"cannot be looked at: {error.strerror}")
    if not path.is_file():
        return FoundFile(role, path, size_bytes, "is not a regular file; move it away")
    if not os.access(path, access):
        needed = "read and written" if access & os.W_OK else "read"
        return FoundFile(role, path, size_bytes, f"cannot be {needed} by this user; check its owner and mode")
    return FoundFile(role, path, size_bytes, None, len(all_rotations(path)))


def _folder_problem(path: Path) -> str | None:
    """Why a file that is not there could not be made."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return f"cannot be made: {folder} is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be made: {folder} is not writable by this user; check its owner and mode"
    return None
