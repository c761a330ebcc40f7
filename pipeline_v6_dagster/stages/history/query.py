"""Queries over the views of the history."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.history_rows import HISTORY, VIEWS, history_table
from pipeline_v6_dagster.storage.delta_table import QueryResult, has_table, open_table, query_tables


def query_history(settings: Settings, sql: str) -> QueryResult:
    """The answer to a SELECT over the views `diffs`, `all_diffs` and `summaries`. Writes nothing.

    Raises:
        DataError: there is no history yet, the query cannot be answered, or `deltalake` is not installed.
        StorageError: the table cannot be read.
    """
    if not has_table(history_table(settings)):
        raise DataError(f"{history_table(settings)}: there is no history yet; run pipeline-v6 history --append")
    return query_tables({"history": open_table(history_table(settings), HISTORY)}, VIEWS, sql)
