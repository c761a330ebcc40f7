"""The heartbeat stage: refresh the head of the shadow log, also while the executor is silent."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.summary import Head
from pipeline_v6_dagster.logs.shadow_head import encode_head, make_head
from pipeline_v6_dagster.logs.shadow_log import open_shadow_log
from pipeline_v6_dagster.storage.files import replace_file


def refresh_head(settings: Settings, now: float) -> Head:
    """Write the head over the newest decisions and return it.

    Raises:
        StorageError: the shadow log cannot be read or the head not be written.
    """
    head = make_head(open_shadow_log(settings).backward(), settings.head_limit, now)
    replace_file(settings.shadow_head, encode_head(head))
    return head
