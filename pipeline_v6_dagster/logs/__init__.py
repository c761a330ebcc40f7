"""The rows, cursors and openers of our own logs: the shadow log, the compare log, the alert outbox."""
