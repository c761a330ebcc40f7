"""The faults that a simulated executor can be asked to have, and the record of each one that it had.

What the executor does wrong (`upsize`, `missed`, `rogue`, `late`) is done in `simulator.executor`, so that its account
knows; what its logs have wrong (the others) in `simulator.injector`. Faults that any logs can have, a real desk's
included, are in `simulator.fault_table`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong. The share is of what the comment names."""

    UPSIZE = "upsize"  # of opening orders: placed at twice the quantity asked for
    MISSED = "missed"  # of attempts that live lets pass: nothing follows, neither order nor veto nor error
    ROGUE = "rogue"  # orders without an attempt, as a share of attempts
    LATE = "late"  # of attempts that live lets pass: the order comes after the decision's deadline
    TORN = "torn"  # of lines: one stands there in part first, as a killed writer leaves it
    GARBAGE = "garbage"  # of lines: one that is no row stands before it
    DUPLICATE = "duplicate"  # of attempts and order rows with an intent: the row stands there twice
    CLOCK_SKEW = "clock-skew"  # of attempts: `local_ts` is minutes ahead of the log's own time
    ROTATION = "rotation"  # of lines: the log is rotated before it


Shares = Mapping[Fault, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """One fault that was put in. `form` tells variants apart: of garbage the kind under which it is counted."""

    fault: str
    ts: float
    log: str
    symbol: str | None = None
    intent_id: str | None = None
    form: str | None = None


def parse_fault(text: str, others: Collection[str] = ()) -> tuple[str, float]:
    """`upsize:0.02` as the name of a fault, or of one of `others`, and its share.

    Raises:
        ValueError: naming what is wrong and what would be right.
    """
    name, _, share_text = text.partition(":")
    names = [*(fault.value for fault in Fault), *others]
    if name not in names:
        nearest = get_close_matches(name, names, n=1)
        hint = f"; the nearest is {nearest[0]}" if nearest else ""
        raise ValueError(f"{name!r} is no fault{hint}; there are {', '.join(names)}")
    try:
        share = float(share_text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} needs a share from 0 to 1, as in {name}:0.02")
    return name, share


def count_by_fault(injected: Iterable[Injected]) -> dict[str, int]:
    """How many of each fault, those with none left out."""
    counts: dict[str, int] = {}
    for one in injected:
        counts[str(one.fault)] = counts.get(str(one.fault), 0) + 1
    return counts
