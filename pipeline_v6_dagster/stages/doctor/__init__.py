"""What is configured, found and wrong, and whether our own logs are whole."""
