"""The newest summary, and the diffs that it was made from: what checks and tables show of it."""

from typing import Any

from pipeline_v6_dagster.compare.summary import newest_states
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.stages.compare import open_compare_log
from pipeline_v6_dagster.stages.compare_log import newest_summary, read_diffs_backward


def read_summary(settings: Settings) -> dict[str, Any]:
    """The newest summary of the compare log.

    Raises:
        DataError: there is none yet, or it is not understood.
        StorageError: the compare log cannot be read.
    """
    summary = newest_summary(open_compare_log(settings))
    if summary is None:
        raise DataError(f"{settings.compare_diffs}: holds no summary yet; materialize compare_diffs")
    return summary


def read_window(settings: Settings) -> list[Diff]:
    """The diffs that the summary covers, newest first.

    Raises:
        DataError, StorageError: as `read_summary`.
    """
    return newest_states(read_diffs_backward(open_compare_log(settings)), settings.compare_limit)
