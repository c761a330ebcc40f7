"""Whether one executor wrote the order log: which processes acknowledged orders, and how often they took turns.

Two executors on one log show in two ways. The same order is acknowledged by both, or the log goes back and forth
between them. A restart does neither: the process before it does not return.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.live import ACK, OrderEvent

WINDOW_S = 3600.0
# What is remembered is carried in every block of the compare log.
_MAX_ACKS = 200
_MAX_PROCESSES = 50
_MAX_CONFLICTS = 20


@dataclass(slots=True, kw_only=True)
class ProcessState:
    """What was seen of the processes that write the order log.

    `acked_by` names the process of the newest acknowledgements by intent and order id, oldest first; `processes` are
    those seen, oldest first; `return_ts` are the log times (epoch s) of the returns within the newest hour.
    `most_returns` is the largest number of them within an hour, `conflicts` the orders that two processes
    acknowledged, both since the epoch began.
    """

    acked_by: dict[str, str] = field(default_factory=dict)
    processes: dict[str, None] = field(default_factory=dict)
    current: str | None = None
    return_ts: list[float] = field(default_factory=list)
    most_returns: int = 0
    conflicts: list[str] = field(default_factory=list)
    conflict_count: int = 0

    def start_epoch(self) -> None:
        """Forget what an earlier epoch found; what it saw is remembered."""
        self.most_returns, self.conflict_count = 0, 0
        self.conflicts.clear()
        self.return_ts.clear()


def watch_processes(state: ProcessState, event: OrderEvent) -> None:
    """Add an event of the order log, in the order of the log."""
    process = event.process
    if process is None:
        return
    if event.kind is ACK:
        _note_ack(state, f"{event.intent_id or event.symbol}/{event.order_id}", process)
    if process == state.current:
        return
    if process in state.processes:
        state.return_ts = [*_within(state.return_ts, event.ts), event.ts]
        state.most_returns = max(state.most_returns, len(state.return_ts))
    state.processes[process] = None
    if len(state.processes) > _MAX_PROCESSES:
        del state.processes[next(iter(state.processes))]
    state.current = process


def _note_ack(state: ProcessState, key: str, process: str) -> None:
    before = state.acked_by.get(key)
    if before is not None and before != process:
        state.conflict_count += 1
        state.conflicts = [*state.conflicts[1 - _MAX_CONFLICTS :], key]
    state.acked_by[key] = process
    if len(state.acked_by) > _MAX_ACKS:
        del state.acked_by[next(iter(state.acked_by))]


def _within(times: Iterable[float], ts: float) -> list[float]:
    """The times less than an hour from `ts`, whichever way a clock stepped."""
    return [each for each in times if abs(ts - each) <= WINDOW_S]
