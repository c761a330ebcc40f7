"""From rows of the logs to domain records. What is malformed becomes a counted rejection, never an error."""
