"""The simulate stages: a simulated executor's home and logs."""
