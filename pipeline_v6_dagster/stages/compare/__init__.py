"""The compare stages: settle what is new, append its diffs, refresh the summary."""
