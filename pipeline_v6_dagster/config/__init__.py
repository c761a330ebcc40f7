"""Validated settings and limits. Units are resolved here and nowhere else."""
