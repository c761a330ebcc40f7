"""`pipeline-v6 history`."""

from collections.abc import Iterator
from typing import Any

import click

from pipeline_v6_dagster.cli.progress import working
from pipeline_v6_dagster.cli.surroundings import (
    answer,
    executor_option,
    json_option,
    read_environment,
    settings_of_fleet,
)
from pipeline_v6_dagster.cli.times import TimeOption
from pipeline_v6_dagster.domain.formatting import NOT_MEASURED
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster.stages.history.questions import GROUPS, QUESTIONS, build_query
from pipeline_v6_dagster.storage.delta_table import QueryResult

_DECIMALS = 4
_QUESTION_HELP = "\n\n".join(f"  {name}: {question.help}" for name, question in QUESTIONS.items())


@click.command(
    "history",
    help=(
        "Answer a question about months of diffs and verdicts, from the history table.\n\n"
        f"QUESTION is one of:\n\n{_QUESTION_HELP}\n\n"
        "With --sql any SELECT over the views diffs (the newest state of each decision), all_diffs and summaries."
    ),
)
@click.argument("question", type=click.Choice(list(QUESTIONS)), required=False)
@click.option("--by", multiple=True, type=click.Choice(list(GROUPS)), help="Group by this; may be given repeatedly.")
@click.option("--from", "from_ts", type=TimeOption(), help="From this time on: ISO-8601 with a zone, or epoch s.")
@click.option("--to", "to_ts", type=TimeOption(), help="Up to this time.")
@click.option("--sql", help="A query of your own in place of a question; it only reads.")
@click.option("--append", "is_append", is_flag=True, help="First append what the compare log holds beyond the table.")
@json_option
def command(
    as_json: bool,
    question: str | None,
    by: tuple[str, ...],
    from_ts: float | None,
    to_ts: float | None,
    sql: str | None,
    is_append: bool,
) -> None:
    """Answer a question: about the executor that is named, else about all of them."""
    if sql is not None and (question or by or (from_ts, to_ts) != (None, None)):
        raise click.UsageError("--sql stands alone: put the conditions into the query")
    if from_ts is not None and to_ts is not None and from_ts > to_ts:
        raise click.UsageError("--from is after --to")
    settings = read_environment() if is_append or executor_option() else settings_of_fleet()
    content: dict[str, Any] = {}
    lines: list[str] = []
    if is_append:
        # A question does without it, and it takes as long to import as a question to answer.
        from pipeline_v6_dagster.stages.history.append import append_history

        with working("appending"):
            run = append_history(settings)
        content["appended"] = run
        lines.append(f"{run.location}: {run.diffs} diffs and {run.summaries} summaries appended")
        if run.missing_lines:
            lines.append(f"{run.missing_lines} lines are in no file of the compare log any more")
    if sql is not None or question is not None or not is_append:
        if sql is None:
            sql = build_query(question or "overview", by, from_ts, to_ts, settings.executor)
            question = question or "overview"
        with working("reading"):
            result = query_history(settings, sql)
        content |= {"question": question, "columns": result.columns}
        content["rows"] = result.as_dicts()
        lines += _table(result)
    answer(as_json, content, lines)


def _table(result: QueryResult) -> Iterator[str]:
    rows = [[_cell(value) for value in row] for row in result.rows]
    widths = [max(map(len, column)) for column in zip(result.columns, *rows, strict=True)]
    numeric = [
        all(isinstance(row[index], int | float | None) and not isinstance(row[index], bool) for row in result.rows)
        for index in range(len(widths))
    ]
    for row in (list(result.columns), *rows):
        cells = (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, numeric, strict=True)
        )
        yield "  ".join(cells).rstrip()
    if not rows:
        yield "no rows"


def _cell(value: Any) -> str:
    if value is None:
        return NOT_MEASURED
    if isinstance(value, float):
        return f"{round(value, _DECIMALS) + 0.0:,.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
