"""The summary file: the newest summary of the compare log, where dashboards look for it."""

from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.stages.compare_log import newest_summary
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog


def write_summary(settings: Settings, log: JsonlLog) -> dict[str, Any]:
    """Project the newest summary of the compare log into its file; the log is the authority.

    Raises:
        DataError: the compare log has no summary yet.
        StorageError: the log cannot be read or the file not be written.
    """
    summary = newest_summary(log)
    if summary is None:
        raise DataError(f"{log.path}: holds no summary yet; run pipeline-v6 compare")
    replace_file(settings.compare_summary, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    return summary
