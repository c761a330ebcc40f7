"""Queries over the views of the history."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.history_rows import BASE_VIEWS, HISTORY, REVISED_MONTHS, history_table, view_newest
from pipeline_v6_dagster.logs.replay_rows import REPLAY_VIEW, REPLAYS, replay_table
from pipeline_v6_dagster.storage.delta_table import QueryResult, has_table, open_table, query_tables

# How the engine names a view that is not there.
_NO_REPLAYS = ".replays' not found"


def query_history(settings: Settings, sql: str) -> QueryResult:
    """The answer to a SELECT over the views `diffs`, `all_diffs`, `summaries` and `replays`. Writes nothing.

    Raises:
        DataError: there is no history or no replay yet, the query cannot be answered, or `deltalake` is not installed.
        StorageError: the table cannot be read.
    """
    location = history_table(settings)
    if not has_table(location):
        raise DataError(f"{location}: there is no history yet; run pipeline-v6 history --append")
    tables, views = {"history": open_table(location, HISTORY)}, dict(BASE_VIEWS)
    # Of the same snapshot as the answer.
    months = [row[0] for row in query_tables(tables, views, REVISED_MONTHS).rows]
    views["diffs"] = view_newest(months)
    has_replays = has_table(replay_table(settings))
    if has_replays:
        tables["replay_results"] = open_table(replay_table(settings), REPLAYS)
        views["replays"] = REPLAY_VIEW
    try:
        return query_tables(tables, views, sql)
    except DataError as error:
        if not has_replays and _NO_REPLAYS in str(error):
            raise DataError(
                f"{replay_table(settings)}: there is no replay yet; launch a backfill of replay_results_job in the UI"
            ) from None
        raise
