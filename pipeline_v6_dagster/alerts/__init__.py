"""From a check that fails to a message that arrives: what it says, when it is due, how it is sent."""
