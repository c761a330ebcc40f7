"""What a fault of the table is: what it does, when, and which criterion of the verdict it must break. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline_v6_dagster.simulator.file_faults import FilesFault
from pipeline_v6_dagster.simulator.row_injector import RowFault


class FaultGroup(StrEnum):
    """Who does wrong: the executor, its logs, or whoever wants a PASS."""

    LIVE = "live misbehaviour"
    EVIDENCE = "bad evidence"
    GAMING = "gaming the verdict"


class Window(StrEnum):
    """Which part of a history a fault of rows is in."""

    ALL = "all that is settled"
    TO_THE_END = "all, to the newest row"
    OLDEST = "oldest tenth"
    NEWEST = "newest 250 attempts"
    ALL_BUT_3_DAYS = "all but the newest 3 days"


class Decided(StrEnum):
    """What v6 must have decided for an order to show the fault."""

    ANY = "any"
    ALLOWED = "allowed"
    DENIED = "denied"


class Moment(StrEnum):
    """When a fault happens."""

    BEFORE = "before anything is read"
    HALFWAY = "between two runs, the first of which has read half of the logs"
    AFTER_READING = "after a run has read all; another run follows"
    AFTER_COMPARE = "after the last run; only the verdict is read"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillFault:
    """One fault, and the criterion of the verdict that must not hold once it is in.

    Args:
        name: as `--fault` takes it.
        group: who does wrong.
        criterion: the name of the criterion.
        description: what happens, as a sentence.
        rows: what happens to rows; None where it is no fault of rows.
        is_single: whether one order is enough, in which case one is injected; else `share` of the orders.
        share: how many of the orders with which it can begin.
        window: where in the history.
        decided: which orders by v6's decision; a simulated feed knows none and takes all.
        files: what happens to files; None where none is touched.
        moment: when that is, and when `environ` and `clock_s` apply.
        environ: settings that someone changes: for the runs where `moment` is BEFORE, else for the reading.
        clock_s: how far this machine's clock is ahead, s.
        restarts: how often the history is begun again, each time after `files` has changed the configuration.
    """

    name: str
    group: FaultGroup
    criterion: str
    description: str
    rows: RowFault | None = None
    is_single: bool = False
    share: float = 1.0
    window: Window = Window.ALL
    decided: Decided = Decided.ANY
    files: FilesFault | None = None
    moment: Moment = Moment.BEFORE
    environ: Mapping[str, str] = field(default_factory=dict)
    clock_s: float = 0.0
    restarts: int = 0
