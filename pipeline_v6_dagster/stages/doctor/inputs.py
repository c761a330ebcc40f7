"""The inputs as they are now: how large, how new, how old. For observations, and for whether the executor is alive."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.sources.newest import newest_ts
from pipeline_v6_dagster.storage.file_info import last_lines, stat_file

# Newest rows are the last ones, but a few may be out of order; a row is about a kilobyte.
_TAIL_BYTES = 1 << 16

LOGS = ("order_attempts", "orders_executed", "order_metrics", "risk_vetoes", "position_state")
CONFIGURATION = ("risk_limits", "pairs_universe")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputState:
    """One input. None where it is not there, or if no time can be read.

    `newest_ts` (epoch s) is of the newest row; of a configuration file, when it was written. `age_s` may be below 0
    where the executor's clock is ahead of ours. `version` changes with the content.
    """

    name: str
    path: Path
    size_bytes: int | None
    newest_ts: float | None
    age_s: float | None
    version: str | None


def observed_names(settings: Settings) -> tuple[str, ...]:
    """The files that others write: their asset keys."""
    is_external = settings.shadow_source is ShadowSource.EXTERNAL
    return (*LOGS, *CONFIGURATION, *(("shadow_log",) if is_external else ()))


def observe_inputs(settings: Settings, now: float) -> Iterator[InputState]:
    """The state of each input.

    Raises:
        StorageError: one is there and cannot be read.
    """
    for name in observed_names(settings):
        yield observe_input(settings, name, now)


def observe_input(settings: Settings, name: str, now: float) -> InputState:
    """The state of one input, by its asset key.

    Raises:
        StorageError: it is there and cannot be read.
    """
    path: Path = getattr(settings, name)
    look = stat_file(path)
    newest = (
        (look.modified_ts if look is not None else None)
        if name in CONFIGURATION
        else newest_ts(last_lines(path, _TAIL_BYTES))
    )
    return InputState(
        name=name,
        path=path,
        size_bytes=look.size_bytes if look is not None else None,
        newest_ts=newest,
        age_s=None if newest is None else now - newest,
        version=look.version if look is not None else None,
    )


def combine_versions(paths: tuple[Path, ...]) -> str:
    """Changes whenever one of the files was written to, replaced or rotated. Reads none of them.

    Raises:
        StorageError: one cannot be looked at.
    """
    return " ".join(look.version if (look := stat_file(path)) is not None else "-" for path in paths)
