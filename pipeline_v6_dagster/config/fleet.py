"""The fleet file: the executors that one installation looks after, each with its home, host, labels and settings.

```toml
[executors.alpha]
home = "/srv/alpha"
host = "trade-1"
labels = { venue = "binance" }
compare_interval_s = 300
```

A setting is written by its name or by its environment variable. What a table does not set comes from the environment.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from pipeline_v6_dagster.config.problems import list_problems, shorten
from pipeline_v6_dagster.config.regular_file import open_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ConfigError, Problem, StorageError

# A name is a partition key, a part of an address in the UI, and text in messages.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_LABEL = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Labels of every metric, which a label of an executor must not replace.
_TAKEN_LABELS = frozenset({"executor", "host"})
_TABLE = "executors"
_NOT_SETTINGS = frozenset({"host", "labels"})
# One Dagster storage, one set of channels and one history serve the whole fleet.
_OF_THE_FLEET = frozenset({"fleet_file", "alert_urls", "retention_days", "ui_url", "history_url"})
_FOLDERS = frozenset({"home", "logs_dir", "config_dir"})
# The queue of executors that may run anywhere. Hosts have one of their own each.
DEFAULT_QUEUE = "pipeline_v6"
_NO_LABELS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """One executor. Its runs go to the workers on `host`, where its logs are; None: to any worker."""

    name: str
    settings: Settings
    host: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)

    @property
    def queue(self) -> str:
        """The queue that its runs are sent to."""
        return DEFAULT_QUEUE if self.host is None else f"{DEFAULT_QUEUE}.{self.host}"

    def is_on(self, hostname: str) -> bool:
        """Whether the machine of that name sees its logs. A short name stands for the full one."""
        return self.host is None or hostname == self.host or hostname.partition(".")[0] == self.host


@dataclass(frozen=True, slots=True)
class Fleet:
    """The executors by name, in the order of the file."""

    path: Path
    executors: Mapping[str, Executor]

    def executor(self, name: str) -> Executor:
        """The executor of that name.

        Raises:
            ConfigError: the file lists none.
        """
        found = self.executors.get(name)
        if found is None:
            nearest = get_close_matches(name, self.executors, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"it lists {', '.join(self.executors)}"
            raise ConfigError([Problem(str(self.path), f"{_TABLE}.{name}", "", f"lists no such executor; {hint}")])
        return found


def load_fleet(base: Settings) -> Fleet:
    """The fleet that `base`, the settings of the environment, names. A relative home is below the folder of the file.

    Raises:
        ConfigError: naming every value that cannot be used.
        StorageError: the file cannot be read.
    """
    path = base.fleet_file
    if path is None:
        raise ConfigError([Problem("environment", "PIPELINE_V6_FLEET", "", "is not set; name the fleet file")])
    tables, problems = _read_tables(path)
    # The alerts of an executor are handed to the fleet, which has the channels.
    inherited = base.model_dump(by_alias=True, include=base.model_fields_set - _FOLDERS - {"fleet_file", "alert_urls"})
    inherited[_ALIASES["history_url"]] = base.history_location
    executors = {}
    for name, table in tables.items():
        executor, found = _read_executor(path, name, table, inherited)
        problems += found
        if executor is not None:
            executors[name] = executor
    problems += [*_like_names(path, tables), *_shared_logs(path, executors.values())]
    if problems:
        raise ConfigError(problems)
    return Fleet(path, MappingProxyType(executors))


_ALIASES = {name: each.alias or name for name, each in Settings.model_fields.items()}
_FIELDS = {alias: name for name, alias in _ALIASES.items()}


def _read_tables(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    try:
        with open(path, "rb", opener=open_regular) as file:
            content = tomllib.load(file)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror} (PIPELINE_V6_FLEET)") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "", "", f"is no valid TOML: {error}")]) from None
    tables = content.pop(_TABLE, None)
    problems = [Problem(str(path), key, "", f"is not known; the file holds [{_TABLE}.NAME] tables") for key in content]
    if not isinstance(tables, dict) or not tables:
        return {}, [*problems, Problem(str(path), _TABLE, "", f"lists no executor; add a table [{_TABLE}.NAME]")]
    return tables, problems


def _read_executor(
    path: Path, name: str, table: object, inherited: Mapping[str, Any]
) -> tuple[Executor | None, list[Problem]]:
    """The executor; None with the reasons where it cannot be used."""
    key = f"{_TABLE}.{name}"
    if not isinstance(table, dict):
        return None, [Problem(str(path), key, shorten(table), f"must be a table [{_TABLE}.NAME]")]
    problems = [*_name_problems(path, name), *_own_problems(path, key, table), *_folder_problems(path, key, table)]
    own = {_ALIASES.get(each, each): value for each, value in table.items() if _is_setting(each)}
    home = own.get(_ALIASES["home"])
    if home is None:
        problems.append(
            Problem(str(path), f"{key}.home", "", "is missing; name the folder that holds logs/ and config/")
        )
    elif isinstance(home, str) and not home.startswith("~"):
        own[_ALIASES["home"]] = path.parent / home
    try:
        settings = Settings.model_validate({_ALIASES["home"]: path.parent, **inherited, **own})
    except ValidationError as error:
        written = {_ALIASES.get(each, each): each for each in table}
        for found in list_problems(error, str(path)):
            head, dot, rest = found.key.partition(".")
            problems.append(
                Problem(found.where, f"{key}.{written.get(head, head)}{dot}{rest}", found.value, found.allowed)
            )
        return None, problems
    if problems:
        return None, problems
    labels = MappingProxyType(dict(table.get("labels", {})))
    return Executor(name=name, settings=settings.for_executor(name), host=table.get("host"), labels=labels), []


def _is_setting(key: str) -> bool:
    return _FIELDS.get(key, key) in _ALIASES and _FIELDS.get(key, key) not in _OF_THE_FLEET


def _name_problems(path: Path, name: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        allowed = "a name has 1 to 63 letters, digits, - and _, and begins with a letter or a digit"
        yield Problem(str(path), f"{_TABLE}.{shorten(name)}", "", allowed)


def _own_problems(path: Path, key: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a table besides the values of its settings."""
    for each in table:
        name = _FIELDS.get(each, each)
        if name in _OF_THE_FLEET:
            # The value may be an address with a password.
            yield Problem(str(path), f"{key}.{each}", "", f"belongs to the whole fleet; set {_ALIASES[name]} instead")
        elif name not in _ALIASES and each not in _NOT_SETTINGS:
            nearest = get_close_matches(each, [*_ALIASES, *_FIELDS, *_NOT_SETTINGS], n=1)
            hint = f"; the nearest known one is {nearest[0]}" if nearest else ""
            yield Problem(str(path), f"{key}.{each}", "", f"no setting has this name{hint}")
        elif each in _FIELDS and name in table:
            yield Problem(str(path), f"{key}.{each}", "", f"is set twice, as {name} as well; keep one of them")
    host = table.get("host")
    if host is not None and not (isinstance(host, str) and _HOST.fullmatch(host)):
        yield Problem(str(path), f"{key}.host", shorten(host), "must be the name of a host: letters, digits, - and .")
    labels = table.get("labels", {})
    if not isinstance(labels, dict):
        yield Problem(str(path), f"{key}.labels", shorten(labels), "must be a table of texts")
        return
    for label, value in labels.items():
        if not _LABEL.fullmatch(label) or label in _TAKEN_LABELS:
            allowed = "a label has lower-case letters, digits and _, begins with no digit, and is not executor or host"
            yield Problem(str(path), f"{key}.labels.{shorten(label)}", "", allowed)
        if not isinstance(value, str) or not value.isprintable():
            yield Problem(str(path), f"{key}.labels.{label}", shorten(value), "must be a text of one line")


def _folder_problems(path: Path, key: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Folders without a name, which would be taken for the folder of the file."""
    for each, value in table.items():
        if _FIELDS.get(each, each) in _FOLDERS and isinstance(value, str) and not value.strip():
            yield Problem(str(path), f"{key}.{each}", shorten(value), "must name a folder")


def _like_names(path: Path, names: Mapping[str, object]) -> Iterator[Problem]:
    """Names that differ in case alone, which some file systems and all people take for one."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            yield Problem(str(path), f"{_TABLE}.{name}", "", f"differs from {other} in case alone; rename one of them")


def _shared_logs(path: Path, executors: Iterable[Executor]) -> Iterator[Problem]:
    """Executors whose logs are in one folder: each log has one owner."""
    first: dict[tuple[str | None, str], str] = {}
    for executor in executors:
        folder = executor.settings.logs_dir
        # What a link leads to on another host is not known here.
        real = os.path.realpath(folder) if executor.host is None else os.path.normpath(folder)
        other = first.setdefault((executor.host, real), executor.name)
        if other != executor.name:
            allowed = f"is the folder of {other} as well; each executor needs its own"
            yield Problem(str(path), f"{_TABLE}.{executor.name}.logs_dir", shorten(folder), allowed)
