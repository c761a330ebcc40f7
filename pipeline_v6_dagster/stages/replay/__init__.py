"""The replay stages: the history again under another configuration."""
