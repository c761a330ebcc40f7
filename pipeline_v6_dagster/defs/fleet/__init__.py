"""What Dagster does where there are several executors. Without a fleet file nothing here defines anything."""
