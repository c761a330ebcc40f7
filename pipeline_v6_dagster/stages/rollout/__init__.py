"""The rollout stage: from the evidence to what v6 may do, and back."""
