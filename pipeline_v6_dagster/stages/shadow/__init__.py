"""The shadow stages: decide every new attempt, refresh the head, explain a decision."""
