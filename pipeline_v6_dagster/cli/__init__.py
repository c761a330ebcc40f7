"""`pipeline-v6`: one file a command, calling the same stages that the Dagster assets call."""
