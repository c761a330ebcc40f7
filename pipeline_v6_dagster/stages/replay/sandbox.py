"""The home in which a replay works: the live logs seen from a folder that is gone afterwards.

They are linked as they are, or copied up to some line. A copy keeps the beginning of each file byte for byte, so that
a line that is in both has the same place and digest. Nothing here outlives the replay, so nothing is made durable.
"""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.sources.decoding import epoch_s


class _Times(msgspec.Struct):
    ts: float | str | None = None
    local_ts: float | str | None = None


_times_decoder = msgspec.json.Decoder(_Times)


@contextmanager
def replay_home(settings: Settings, config_dir: Path, to_ts: float | None) -> Iterator[Settings]:
    """Settings whose inputs are the live logs up to `to_ts`, whose limits are in `config_dir`, whose outputs are gone.

    Raises:
        StorageError: a log cannot be linked or copied.
    """
    with TemporaryDirectory(prefix="pipeline-v6-replay-") as folder:
        logs = Path(folder) / "logs"
        if to_ts is None:
            _link_folder(settings.logs_dir / "execution", logs / "execution")
        else:
            _copy_folder(settings.logs_dir / "execution", logs / "execution", lambda line: _logged_ts(line) <= to_ts)
        _link_rollout(settings, logs)
        changes = {"logs_dir": logs, "config_dir": config_dir, "shadow_source": ShadowSource.INTERNAL}
        yield settings.model_copy(update=changes)


def _logged_ts(line: bytes) -> float:
    """When a line was logged; one that is no row counts as of always: it stays where it was."""
    try:
        times = _times_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0.0
    return epoch_s(times.local_ts) or epoch_s(times.ts) or 0.0


def _link_folder(source: Path, target: Path) -> None:
    """`target` shows what is in `source`; if there is none, an empty folder.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            target.symlink_to(source.resolve(), target_is_directory=True)
        else:
            target.mkdir()
    except OSError as error:
        raise StorageError(f"{target}: cannot be made: {error.strerror}") from error


def _link_rollout(settings: Settings, logs: Path) -> None:
    """The history of the rollout and its state file, which say what was let through when.

    Raises:
        StorageError: one of them cannot be linked.
    """
    try:
        for path in (*settings.logs_dir.glob(f"{settings.rollout_log.stem}*"), settings.rollout_state):
            target = logs / path.relative_to(settings.logs_dir)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path.resolve())
    except OSError as error:
        raise StorageError(f"{logs}: cannot be made: {error.strerror}") from error


def _copy_folder(source: Path, target: Path, is_kept: Callable[[bytes], bool]) -> None:
    """Copy the lines of every log in `source` that are kept.

    Raises:
        StorageError: a log cannot be read or copied.
    """
    try:
        target.mkdir(parents=True)
        for path in sorted(source.glob("*.jsonl*")) if source.is_dir() else ():
            opened = gzip.open if path.suffix == ".gz" else Path.open
            with opened(path, "rb") as lines, opened(target / path.name, "wb") as copy:
                copy.writelines(line for line in lines if is_kept(line))
    except (OSError, EOFError) as error:
        raise StorageError(f"{source}: cannot be copied: {error}") from error
