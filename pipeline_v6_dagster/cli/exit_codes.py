"""Exit codes that are no verdict, and the line that an error becomes."""

import click

from pipeline_v6_dagster.domain.errors import PipelineError

EXIT_USAGE = 64
EXIT_FAULT = 70
EXIT_IO = 74
EXIT_INTERRUPTED = 130

# What is reported in one line; anything else is a fault of this program.
Reported = click.ClickException | PipelineError | OSError


def describe_error(error: Reported) -> tuple[str, int]:
    """What to tell the user, and the exit code."""
    if isinstance(error, click.UsageError):
        return f"{error.format_message()} (see pipeline-v6 --help)", EXIT_USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), EXIT_IO
    if isinstance(error, PipelineError):
        return str(error), error.exit_code
    return f"{error.filename or 'I/O'}: {error.strerror or error}", EXIT_IO
