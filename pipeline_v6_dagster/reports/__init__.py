"""Diffs and summaries to pages that people read: what is shown, drawn, written. Reads and writes no file of a home."""
