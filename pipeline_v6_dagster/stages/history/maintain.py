"""Keeping the history fast and small: joined files, and no files that nobody reads any more. No row is deleted."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.history_rows import HISTORY, history_table
from pipeline_v6_dagster.storage.delta_table import Maintenance, has_table, is_delta_installed, maintain_table


def maintain_history(settings: Settings) -> Maintenance | None:
    """Compact the history; None where there is none, or where `deltalake` is not installed.

    Raises:
        StorageError: the table cannot be read or written.
    """
    if not is_delta_installed() or not has_table(history_table(settings)):
        return None
    return maintain_table(history_table(settings), HISTORY)
