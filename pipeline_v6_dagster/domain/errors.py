"""Every error that this project raises on purpose, and the exit code of the command line for each.

PipelineError                 what a user can fix; its text is one line: what, where, how to fix it
├── ArgumentError      64     what was asked for makes no sense, whatever the logs and the configuration hold
├── ConfigError        65     a setting or configuration file cannot be used; names every bad value
├── DataError          65     a log or state file of ours cannot be used as it is
│   └── RefusedError  65     a step that the evidence or the state does not allow; says what is needed
├── StorageError       74     a path cannot be read or written
└── BusyError          75     another process holds the log

What is wrong with a single row of the executor's logs is not an error but a counted rejection
(`domain.quality`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


class PipelineError(Exception):
    """What a user can fix. `str()` is one line."""

    exit_code = 70


@dataclass(frozen=True, slots=True)
class Problem:
    """One bad value: where it stands, what it is, and what would be allowed."""

    where: str
    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        key = f": {self.key}{shown}" if self.key else ""
        return f"{self.where}{key}: {self.allowed}"


class ArgumentError(PipelineError):
    """What was asked for makes no sense, whatever the logs and the configuration hold."""

    exit_code = 64


class ConfigError(PipelineError):
    """A setting or configuration file that cannot be used. Carries every problem, not only the first."""

    exit_code = 65

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DataError(PipelineError):
    """A log or state file of ours that cannot be used as it is."""

    exit_code = 65


class RefusedError(DataError):
    """A step that is not allowed as things stand. `needed` says, each in a sentence, what it would take."""

    def __init__(self, step: str, needed: Sequence[str]) -> None:
        super().__init__(f"{step} is refused: {'; '.join(needed)}")
        self.needed = tuple(needed)


class StorageError(PipelineError):
    """A path that cannot be read or written."""

    exit_code = 74


class BusyError(PipelineError):
    """Another process holds the log and did not let go in time."""

    exit_code = 75
