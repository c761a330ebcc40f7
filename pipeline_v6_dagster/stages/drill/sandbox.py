"""A home in which a drill works: inputs, configuration and our outputs, in a folder that is gone afterwards.

Nothing here outlives the drill, so nothing is made durable. Inputs that a fault does not touch are links.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.logs.shadow_log import open_shadow_log
from pipeline_v6_dagster.logs.shadow_rows import parse_shadow_row
from pipeline_v6_dagster.simulator.drill_fault import Decided
from pipeline_v6_dagster.simulator.file_faults import Changes
from pipeline_v6_dagster.simulator.log_rows import ATTEMPTS
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.drill.history import input_paths
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow


class Sandbox:
    """One home. `settings` are the desk's but for where things are."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.folder = folder
        changes = {
            "home": folder,
            "logs_dir": folder / "logs",
            "config_dir": folder / "config",
            "shadow_source": ShadowSource.INTERNAL,
        }
        self.settings = settings.model_copy(update=changes)

    def copy_configuration(self, settings: Settings) -> None:
        """The configuration of another home, and what its rollout let through when.

        Raises:
            StorageError: it cannot be copied.
        """
        for source in (settings.risk_limits, settings.pairs_universe, settings.exchange_info, settings.ignore_rules):
            if source.exists():
                self._copy(source, self.settings.config_dir / source.name)
        for source in (*settings.logs_dir.glob(f"{settings.rollout_log.stem}*"), settings.rollout_state):
            if source.is_file():
                self._copy(source, self.settings.logs_dir / source.relative_to(settings.logs_dir))

    def append(self, lines: Iterable[LogLine]) -> None:
        """Log these rows, in their order."""
        contents: dict[str, list[bytes]] = {}
        for line in lines:
            raw = msgspec.json.encode(line.row) if line.raw is None else line.raw
            contents.setdefault(line.log, []).append(raw + b"\n")
        for log, path in input_paths(self.settings).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.writelines(contents.get(log, ()))

    def link(self, other: "Sandbox", *, with_outputs: bool) -> None:
        """Everything of another sandbox but, where not wanted, what the stages wrote."""
        inputs = {*input_paths(other.settings).values()}
        for source in sorted(other.folder.rglob("*")):
            target = self.folder / source.relative_to(other.folder)
            if source.is_file() and (source in inputs or source.parent == other.settings.config_dir):
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, target)
            elif source.is_file() and with_outputs:
                self._copy(source, target)

    def copy_decisions(self, other: "Sandbox") -> None:
        """The decisions of another sandbox with the same attempts."""
        log = other.settings.shadow_log
        for source in (*log.parent.glob(f"{log.stem}*"), other.settings.shadow_head):  # With its rotations.
            self._copy(source, self.folder / source.relative_to(other.folder))

    def has_same_attempts(self, other: "Sandbox") -> bool:
        """Whether both have the same attempt log, byte for byte."""
        path = input_paths(self.settings)[ATTEMPTS]
        return path.read_bytes() == input_paths(other.settings)[ATTEMPTS].read_bytes()

    def decided_keys(self) -> dict[Decided, frozenset[str]]:
        """The intents that v6 allowed and those that it denied, by the key of their rows.

        Raises:
            StorageError: the shadow log cannot be read.
        """
        keys: dict[Decided, set[str]] = {Decided.ALLOWED: set(), Decided.DENIED: set()}
        for line in open_shadow_log(self.settings).backward():
            row = parse_shadow_row(line, fallback_id="")
            if isinstance(row, Unusable):
                continue
            name = row.decision.intent_id or row.decision.attempt_id
            if name is not None:
                keys[Decided.ALLOWED if row.decision.is_allowed else Decided.DENIED].add(name)
        return {decided: frozenset(names) for decided, names in keys.items()}

    def change(self, changes: Changes) -> None:
        """Put contents in the place of files; None removes one."""
        for name, content in changes.items():
            path = self.folder / name
            path.unlink(missing_ok=True)  # It may be a link to another sandbox's.
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    @property
    def files(self) -> Mapping[str, bytes]:
        """The contents of all files, read as they are asked for."""
        return _Files(self.folder)

    def run(self, clock: Callable[[], float], settings: Settings | None = None, *, decides: bool = True) -> None:
        """Decide, refresh the head, compare; with `settings` in the place of the sandbox's own.

        Raises:
            PipelineError: a stage refuses.
        """
        used = settings or self.settings
        limits = load_configuration(used.risk_limits, used.pairs_universe).limits
        if decides:
            run_shadow(used, limits, clock)
            refresh_head(used, clock())
        run_compare(used, limits, clock)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise StorageError(f"{source}: cannot be copied to {target}: {error.strerror}") from error


class _Files(Mapping[str, bytes]):
    """The files of a folder by their path in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)
