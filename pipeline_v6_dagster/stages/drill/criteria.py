"""The criteria of a home's verdict as a person reads them: from the newest summary, as of some time."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.stages.outputs.status import read_status


@dataclass(frozen=True, slots=True)
class CriterionReading:
    """How a criterion stands, and whether that decides anything under these settings."""

    state: CriterionState
    counts_against: bool = True


def read_criteria(settings: Settings, now: float) -> Mapping[str, CriterionReading]:
    """The criteria of the newest summary by name, as `status` reads them at `now` (epoch s). None before the first.

    Raises:
        DataError: they are not understood.
        StorageError: a file of ours cannot be read.
    """
    summary = read_status(settings, now).summary or {}
    readings: dict[str, CriterionReading] = {}
    for row in summary.get("criteria") or ():
        try:
            state = CriterionState(row["state"])
            readings[str(row["name"])] = CriterionReading(state, bool(row.get("counts_against", True)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{settings.compare_summary}: a criterion is not understood ({error!r})") from None
    return readings
