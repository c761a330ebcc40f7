"""What `pipeline-v6 demo` says, line by line: for people, or as one JSON object a line."""

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import clock, printable, utc
from pipeline_v6_dagster.cli.terminal import escape_controls


class Narrator:
    """Prints each line at once. As JSON a line has its time (epoch s) and its text."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: str) -> None:
        """Print what happened just now, with its time."""
        self._print(text, f"{utc(clock())}  {printable(text)}")

    def explain(self, text: str) -> None:
        """Print what has no time of its own."""
        self._print(text, text)

    def _print(self, text: str, line: str) -> None:
        if self._as_json:
            line = escape_controls(msgspec.json.encode({"ts": clock(), "text": text.strip()}).decode())
        click.echo(line)
