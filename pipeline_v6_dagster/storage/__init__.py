"""The only package that writes: append-only JSONL logs, state files, locks. Also follows logs that others write."""
