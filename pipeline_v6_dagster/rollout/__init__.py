"""What v6 may do: the state machine of the rollout, and which moves the evidence allows or demands. Pure."""
