"""Keeping the history fast and small: joined files, and no files that nobody reads any more. No row is deleted."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.history_rows import HISTORY, history_table
from pipeline_v6_dagster.logs.replay_rows import REPLAYS, replay_table
from pipeline_v6_dagster.storage.delta_table import Maintenance, has_table, is_delta_installed, maintain_table


def maintain_history(settings: Settings) -> Maintenance | None:
    """Compact the tables of the history; None where there is none, or where `deltalake` is not installed.

    Raises:
        StorageError: a table cannot be read or written.
    """
    if not is_delta_installed():
        return None
    tables = ((history_table(settings), HISTORY), (replay_table(settings), REPLAYS))
    done = [maintain_table(location, shape) for location, shape in tables if has_table(location)]
    if not done:
        return None
    return Maintenance(
        files_compacted=sum(each.files_compacted for each in done),
        files_written=sum(each.files_written for each in done),
        files_deleted=sum(each.files_deleted for each in done),
    )
