"""What a drill found: of each fault, whether the verdict saw it."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline_v6_dagster.simulator.drill_fault import FaultGroup


class Outcome(StrEnum):
    """What became of a fault. Only MISSED counts against the verdict."""

    CAUGHT = "caught"
    MISSED = "missed"
    NOT_TESTED = "not_tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultResult:
    """One fault. `before` and `after` are the states of its criterion, None where it was not read.

    `injected` counts the orders that were spoilt (0 for faults of files). `also` are the other criteria that held
    before and did not after. `detail` says why a fault was missed or not tested.
    """

    name: str
    group: FaultGroup
    criterion: str
    outcome: Outcome
    injected: int = 0
    before: str | None = None
    after: str | None = None
    also: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """All faults. `first_ts` and `last_ts` (epoch s) bound the `attempts` of the history; None if there are none.

    `baseline` are the states of all criteria without a fault.
    """

    now: float
    first_ts: float | None
    last_ts: float | None
    attempts: int
    baseline: dict[str, str]
    results: tuple[FaultResult, ...]

    def named(self, outcome: Outcome) -> tuple[FaultResult, ...]:
        """The faults with that outcome."""
        return tuple(result for result in self.results if result.outcome is outcome)

    @property
    def has_missed(self) -> bool:
        """Whether a fault went by unseen."""
        return bool(self.named(Outcome.MISSED))
