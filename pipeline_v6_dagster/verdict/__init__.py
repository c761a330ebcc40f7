"""What the evidence allows to say: status, verdict, root causes. Pure."""
