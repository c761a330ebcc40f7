"""Gather, decide, apply: each stage reads what is new, calls the pure core, writes the result."""
