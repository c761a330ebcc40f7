"""The criteria of a home's verdict as a person reads them: from the newest summary, as of some time."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.stages.outputs.status import read_status


@dataclass(frozen=True, slots=True)
class CriterionReading:
    """How a criterion stands, and whether that decides anything under these settings."""

    state: CriterionState
    counts_against: bool = True


def read_criteria(settings: Settings, now: float) -> Mapping[str, CriterionReading]:
    """The criteria by name, as `status` reads them at `now` (epoch s). None before the first summary.

    Raises:
        DataError: the head is not understood.
        StorageError: a file of ours cannot be read.
    """
    criteria = read_status(settings, now).criteria
    return {each.name: CriterionReading(each.state, each.counts_against) for each in criteria}
