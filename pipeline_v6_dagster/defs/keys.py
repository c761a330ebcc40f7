"""Names that several Dagster objects share."""

from collections.abc import Mapping

OWNERS = ["team:trading-ops"]

SHADOW_JOB = "shadow_job"
COMPARE_JOB = "compare_job"
MAINTENANCE_JOB = "maintenance_job"
REPORT_JOB = "parity_report_job"
REPLAY_JOB = "replay_report_job"
REPLAY_RESULTS_JOB = "replay_results_job"
DRILL_JOB = "drill_job"
HISTORY_JOB = "parity_history_job"

SHADOW_SCHEDULE = "shadow_heartbeat_schedule"
COMPARE_SCHEDULE = "compare_schedule"
MAINTENANCE_SCHEDULE = "maintenance_schedule"
REPORT_SCHEDULE = "parity_report_schedule"
DRILL_SCHEDULE = "drill_schedule"
HISTORY_SCHEDULE = "parity_history_schedule"

# Which interval a run stands for: its number, counted from the epoch.
SLOT_TAG = "pipeline_v6/slot"
# Started before its interval ended, because new rows were there.
EARLY_TAG = "pipeline_v6/early"
# When a run in flight was found to be too old, or to have begun in the future (epoch s).
OVERDUE_TAG = "pipeline_v6/overdue"

# Of every job. By default Dagster tries the steps again that had not succeeded, and refuses to where all had: a process
# that is killed between the end of its step and that of its run would leave a failed run behind.
TRIED_AGAIN_WHOLE = {"dagster/retry_strategy": "ALL_STEPS"}

# What a check's metadata holds besides its figures.
COUNT = "count"
FAILING_IDS = "failing_ids"
IS_MEASURED = "is_measured"
REMEMBERED = "remembered"

# What the runs list shows of what a run found.
STATUS_TAG = "pipeline_v6/status"
VERDICT_TAG = "pipeline_v6/verdict"

# Of a fleet. The keys of dynamic partitions are global to the Dagster instance, so their name says whose they are.
EXECUTOR_PARTITIONS = "pipeline_v6_executor"
# The partition of a run, which Dagster tags it with, and the queue that the Celery launcher sends it to.
MAX_RUNTIME_TAG = "dagster/max_runtime"
PARTITION_TAG = "dagster/partition"
# The dimension of partitions that are about an executor and something else, and its tag.
EXECUTOR_DIMENSION = "executor"
EXECUTOR_TAG = f"{PARTITION_TAG}/{EXECUTOR_DIMENSION}"
QUEUE_TAG = "dagster-celery/queue"
LABEL_TAG_PREFIX = "pipeline_v6_label/"
FLEET_JOB = "fleet_summary_job"
FLEET_SCHEDULE = "fleet_summary_schedule"
EXECUTOR_STATUS = "executor_status"
EXECUTOR_ALERTS = "executor_alerts"
FLEET_SUMMARY = "fleet_summary"
# The tag of assets that are about the whole fleet and so are not partitioned.
FLEET_SCOPE = {"scope": "fleet"}
# Their runs are about no executor.
JOBS_OF_THE_FLEET = frozenset({MAINTENANCE_JOB, FLEET_JOB})


def executor_of_run(tags: Mapping[str, str]) -> str | None:
    """The executor that the partition of a run names, also where the partition is about a month as well."""
    return tags.get(EXECUTOR_TAG, tags.get(PARTITION_TAG))
