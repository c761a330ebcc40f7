"""The entry point: finds a command, turns errors into one line and an exit code."""

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

import click

from pipeline_v6_dagster import __version__
from pipeline_v6_dagster.cli.exit_codes import EXIT_FAULT, EXIT_INTERRUPTED, describe_error
from pipeline_v6_dagster.cli.terminal import escape_controls
from pipeline_v6_dagster.domain.errors import PipelineError

_STDERR = 2

_COMMANDS = {
    "shadow": "Decide every new attempt, append to the shadow log.",
    "heartbeat": "Refresh the head of the shadow log.",
    "compare": "Settle, pair, append diffs, refresh the summary.",
    "status": "The verdict for a launch gate, as text and as an exit code.",
    "doctor": "What is configured, found and understood; what is wrong and how to fix it.",
    "replay": "The history again under another configuration: what would change, in decisions and dollars.",
    "history": "Questions about months of diffs and verdicts, with --sql any SELECT.",
    "report": "Write the parity report: one HTML page with the verdict, plots and the worst cases.",
    "metrics": "The summary in the Prometheus text format, for a textfile collector.",
    "simulate": "A live executor's logs, made up but faithful, at a given rate, seed and fault mix.",
    "drill": "Whether the verdict sees known faults in a copy of this desk's own logs.",
    "explain": "What v6 decided about one attempt and why, what live did, and how the two differ.",
    "acknowledge": "Record that a person has taken care of an incident; with --fixed-at a new epoch begins.",
    "rollout": "What v6 may do: its stage, the steps up that people approve, and the steps down.",
    "alerts": "Which alerts stand, what was sent where, what waits; --test sends one to every channel.",
    "verify": "Whether a line of our own logs was changed, removed, inserted or moved.",
    "fleet": "All executors of the fleet in one table, with the worst exit code.",
    "demo": "All of it in a sandbox: simulated executor, stages, Dagster UI.",
}


class _LazyGroup(click.Group):
    """Imports a command when it is called: `status` need not wait for what `demo` imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"pipeline_v6_dagster.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 -- narrows what a module attribute may be
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--executor", metavar="NAME", help="The executor of PIPELINE_V6_FLEET that the command is about.")
@click.version_option(__version__, prog_name="pipeline-v6")
def cli(executor: str | None) -> None:
    """Shadow parity for a live crypto-futures executor.

    Reads the executor's logs below PIPELINE_V6_HOME (default: the current folder) and says whether v6 may go
    live. With PIPELINE_V6_FLEET there are several executors, and a command names one of them. Exit codes: 64 bad
    usage, 65 bad data or configuration, 70 a fault of this program, 74 I/O, 75 the log is busy.
    """


def main() -> None:
    """Run `pipeline-v6`. The one place where errors become messages for the user."""
    _open_standard_streams()
    sys.exit(run(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Give a process that was started without them (`>&-`) streams that lead nowhere.

    Else the next file that is opened, a log of ours, would take the number of the missing stream.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(opened)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code."""
    try:
        outcome = cli.main(arguments, prog_name="pipeline-v6", standalone_mode=False)
    except (click.ClickException, PipelineError, OSError) as error:
        message, exit_code = describe_error(error)
        click.echo(f"pipeline-v6: {escape_controls(' '.join(message.split()))}", err=True)
        return exit_code
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001 -- the boundary: a fault of ours must not exit with 1, which means red
        click.echo(escape_controls(traceback.format_exc()), err=True, nl=False)
        return EXIT_FAULT
    return outcome if isinstance(outcome, int) else 0


if __name__ == "__main__":
    main()
