"""The answer of a replay as a file, beside the parity report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.sources.decoding import epoch_s
from pipeline_v6_dagster.stages.replay.result import as_data
from pipeline_v6_dagster.stages.replay.run import replay
from pipeline_v6_dagster.storage.files import replace_file


@dataclass(frozen=True, slots=True)
class WrittenReplay:
    """Where it stands, and what it says."""

    path: Path
    data: dict[str, Any]


def replay_path(settings: Settings) -> Path:
    """Where the answer stands."""
    return settings.logs_dir / "reports" / "pipeline_v6_replay.json"


def write_replay(
    settings: Settings, config_dir: Path, clock: Callable[[], float], from_time: str, to_time: str
) -> WrittenReplay:
    """Replay and write. A relative `config_dir` is one in the home; an empty time is no bound.

    Raises:
        ConfigError: the configuration or a time cannot be used.
        DataError, StorageError: as `replay`.
    """
    bounds = {"from_time": from_time, "to_time": to_time}
    times = {name: epoch_s(text) if text else None for name, text in bounds.items()}
    problems = [
        Problem("run configuration", name, repr(text), "must be ISO-8601 with a zone, as 2026-01-31T12:00:00Z")
        for name, text in bounds.items()
        if text and times[name] is None
    ]
    if problems:
        raise ConfigError(problems)
    answer = replay(settings, settings.home / config_dir, clock, from_ts=times["from_time"], to_ts=times["to_time"])
    data = as_data(answer)
    path = replay_path(settings)
    replace_file(path, msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
    return WrittenReplay(path, data)
