"""Names that several Dagster objects share."""

OWNERS = ["team:trading-ops"]

SHADOW_JOB = "shadow_job"
COMPARE_JOB = "compare_job"

SHADOW_SCHEDULE = "shadow_heartbeat_schedule"
COMPARE_SCHEDULE = "compare_schedule"

# Which interval a run stands for: its number, counted from the epoch.
SLOT_TAG = "pipeline_v6/slot"
