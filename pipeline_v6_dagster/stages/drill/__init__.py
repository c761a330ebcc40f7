"""The drill stage: known faults in a copy of a desk's own logs, and whether the verdict sees each of them."""
