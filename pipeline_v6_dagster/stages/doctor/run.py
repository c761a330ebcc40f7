"""What is configured, found and understood; what is wrong and how to fix it. Changes nothing."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.config.ambiguity import ambiguous_ratios
from pipeline_v6_dagster.config.ignore_rules import expired_rules
from pipeline_v6_dagster.config.keys import UnknownKey
from pipeline_v6_dagster.config.limits import Configuration, load_configuration
from pipeline_v6_dagster.config.rollout_plan import load_rollout_plan
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.errors import ConfigError, StorageError
from pipeline_v6_dagster.shadow.rules import RULES
from pipeline_v6_dagster.stages.doctor.clocks import clock_warnings
from pipeline_v6_dagster.stages.doctor.exchange import exchange_notes, exchange_warnings
from pipeline_v6_dagster.stages.doctor.rows import RowShare, row_shares
from pipeline_v6_dagster.stages.doctor.settings import (
    alert_url_problems,
    interval_misfits,
    unlisted_scope,
    unlisted_symbols,
    unread_variables,
)
from pipeline_v6_dagster.stages.doctor.versions import version_problems, versions
from pipeline_v6_dagster.stages.live_limits import find_live_limits
from pipeline_v6_dagster.storage.log_names import all_rotations, unreadable_rotations
from pipeline_v6_dagster.verdict.criteria import CRITERIA


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file that the project reads or writes."""

    role: str
    path: Path
    size_bytes: int | None
    problem: str | None
    rotations: int = 0


class Action(StrEnum):
    """What an operator does about a warning."""

    ENVIRONMENT = "Change the environment"
    LIMITS = "Change the limits or the universe"
    KEYS = "Correct the keys that no rule reads, or list them under unread_keys_ok"
    LIVE_LIMITS = "Give live and v6 the same limits"
    EXECUTOR = "Have the executor log what is missing"
    ROTATIONS = "Unpack the rotations that cannot be read, or move them away"
    CLOCKS = "Set the clocks"
    IGNORE_RULES = "Renew or remove ignore rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that `doctor` found.

    `problems` stop a run or have every order denied; `warnings` cost evidence or will be a problem some day;
    `assumptions` are what a rule works on because no log says it; `notes` are to be known. `rows` is what the newest
    rows carry. `settings` and `configuration` are None where they cannot be used.
    """

    settings: Settings | None
    files: tuple[FoundFile, ...]
    configuration: Configuration | None
    rows: tuple[RowShare, ...]
    problems: tuple[str, ...]
    warning_groups: Mapping[Action, tuple[str, ...]]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning, in the order of the groups."""
        return tuple(warning for group in self.warning_groups.values() for warning in group)


def examine(
    environ: Mapping[str, str],
    cwd: Path,
    now: float,
    load: Callable[[Mapping[str, str], Path], Settings] = load_settings,
) -> Findings:
    """Check everything, also past the first problem. `now` (epoch s) is what this machine's clock says.

    `load` gives the settings of the executor.
    """
    try:
        settings = load(environ, cwd)
    except ConfigError as error:
        return Findings(
            settings=None,
            files=(),
            configuration=None,
            rows=(),
            problems=tuple(map(str, error.problems)),
            warning_groups=_grouped({Action.ENVIRONMENT: list(unread_variables(environ))}),
            assumptions=(),
            notes=(),
            versions=versions(),
        )
    look = _Examination(settings)
    look.problems += [*alert_url_problems(settings), *version_problems()]
    look.warnings[Action.ENVIRONMENT] += [*unread_variables(environ), *interval_misfits(settings, environ)]
    files = (*_inputs(settings), *_outputs(settings))
    look.at_files(files)
    look.at_logs(now)
    configuration = look.at_configuration(now)
    return Findings(
        settings=settings,
        files=files,
        configuration=configuration,
        rows=look.rows,
        problems=tuple(look.problems),
        warning_groups=_grouped(look.warnings),
        assumptions=tuple(look.assumptions),
        notes=tuple(look.notes),
        versions=versions(),
    )


class _Examination:
    """Gathers findings; what stops one look is a problem, and the next look goes on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rows: tuple[RowShare, ...] = ()
        self.problems: list[str] = []
        self.warnings: dict[Action, list[str]] = defaultdict(list)
        self.assumptions: list[str] = []
        self.notes: list[str] = []

    def at_files(self, files: tuple[FoundFile, ...]) -> None:
        """Whether each file can be read or made."""
        for file in files:
            if file.problem is not None:
                self.problems.append(f"{file.path}: {file.problem}")
            elif file.size_bytes is None:
                self.notes.append(f"{file.path}: not there yet")

    def at_logs(self, now: float) -> None:
        """What the newest rows carry, and whether their times fit ours."""
        with _noting(self.problems):
            self.warnings[Action.CLOCKS] += clock_warnings(self.settings, now)
        with _noting(self.problems):
            self.warnings[Action.ROTATIONS] += map(_unreadable, _unreadable_rotations(self.settings))
        with _noting(self.problems):
            self.rows = row_shares(self.settings)
        for share in self.rows:
            if share.count == share.total:
                continue
            if share.is_assumption:
                self.assumptions.append(str(share))
            elif share.is_blocking and share.count == 0:
                self.problems.append(str(share))
            else:
                self.warnings[Action.EXECUTOR].append(str(share))

    def at_configuration(self, now: float) -> Configuration | None:
        """What the limits and the universe say; None where they cannot be used. Checks the other files as well."""
        settings = self.settings
        for path in (settings.risk_limits, settings.pairs_universe):
            self.warnings[Action.LIMITS] += ambiguous_ratios(path)
        with _noting(self.problems):
            self.warnings[Action.IGNORE_RULES] += expired_rules(settings.ignore_rules, now)
        with _noting(self.problems):
            load_rollout_plan(settings.rollout_plan, [criterion.name for criterion in CRITERIA])
        configuration = None
        with _noting(self.problems):
            configuration = load_configuration(settings.risk_limits, settings.pairs_universe)
            limits = configuration.limits
            self.warnings[Action.KEYS] += map(_unknown, configuration.unknown_keys)
            self.notes += map(_unlisted, configuration.unlisted)
            self.warnings[Action.LIMITS] += exchange_warnings(configuration)
            self.notes += exchange_notes(configuration)
            self.warnings[Action.ENVIRONMENT] += unlisted_scope(settings, limits)
            self.warnings[Action.LIMITS] += unlisted_symbols(settings, limits)
            self.warnings[Action.LIVE_LIMITS] += (found.detail for found in find_live_limits(settings, limits))
        return configuration


def _grouped(warnings: Mapping[Action, list[str]]) -> dict[Action, tuple[str, ...]]:
    return {action: tuple(warnings[action]) for action in Action if warnings.get(action)}


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


def _unlisted(key: UnknownKey) -> str:
    return f"{key}: the universe does not list this symbol, so v6 denies it as unknown_symbol and reads no limit of it"


def _unreadable(path: Path) -> str:
    return f"{path}: looks like a rotation and cannot be read, so inputs_whole is broken"


def _unreadable_rotations(settings: Settings) -> Iterator[Path]:
    for path in _input_paths(settings).values():
        yield from unreadable_rotations(path, is_thorough=True)


def _input_paths(settings: Settings) -> dict[str, Path]:
    return {
        "order_attempts": settings.order_attempts,
        "orders_executed": settings.orders_executed,
        "order_metrics": settings.order_metrics,
        "risk_vetoes": settings.risk_vetoes,
        "position_state": settings.position_state,
    }


def _inputs(settings: Settings) -> list[FoundFile]:
    return [_found(role, path, os.R_OK) for role, path in _input_paths(settings).items()]


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
        return FoundFile(
            role=role, path=path, size_bytes=None, problem=_folder_problem(path) if access & os.W_OK else None
        )
    except OSError as error:
        return FoundFile(role=role, path=path, size_bytes=None, problem=f"cannot be looked at: {error.strerror}")
    if not path.is_file():
        return FoundFile(role=role, path=path, size_bytes=size_bytes, problem="is not a regular file; move it away")
    if not os.access(path, access):
        needed = "read and written" if access & os.W_OK else "read"
        return FoundFile(
            role=role,
            path=path,
            size_bytes=size_bytes,
            problem=f"cannot be {needed} by this user; check its owner and mode",
        )
    return FoundFile(role=role, path=path, size_bytes=size_bytes, problem=None, rotations=len(all_rotations(path)))


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
