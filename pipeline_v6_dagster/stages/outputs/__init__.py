"""What people and monitoring read: status, report, metrics, alerts."""
