"""Shadow parity for a live crypto-futures executor: what v6 would have done, against what live did."""

__version__ = "0.1.0"
