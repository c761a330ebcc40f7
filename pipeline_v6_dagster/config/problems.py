"""From a pydantic validation error to problems that a user can fix."""

from pathlib import Path

from pydantic import ValidationError

from pipeline_v6_dagster.domain.errors import Problem

_LONGEST_VALUE = 60


def list_problems(error: ValidationError, where: str) -> list[Problem]:
    """One problem per bad value, in the order of the fields. `where` is the file or "environment"."""
    return [
        Problem(
            where=where,
            key=".".join(str(part) for part in detail["loc"]),
            value=shorten(detail["input"]),
            allowed=_allowed(detail["msg"]),
        )
        for detail in error.errors(include_url=False)
    ]


def shorten(value: object) -> str:
    """`value` as text that fits in a line."""
    text = repr(str(value) if isinstance(value, Path) else value).replace("\n", " ")
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _allowed(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be")
