"""The attempts to get a PASS that is not earned. The implementations are `file_faults`."""

from collections.abc import Mapping

from pipeline_v6_dagster.simulator import file_faults as files
from pipeline_v6_dagster.simulator.drill_fault import DrillFault, FaultGroup, Moment
from pipeline_v6_dagster.simulator.file_faults import FilesFault

_NOTHING: Mapping[str, str] = {}


def _gaming(
    name: str,
    criterion: str,
    description: str,
    files: FilesFault | None,
    moment: Moment,
    environ: Mapping[str, str] = _NOTHING,
    restarts: int = 0,
) -> DrillFault:
    return DrillFault(
        name=name,
        group=FaultGroup.GAMING,
        criterion=criterion,
        description=description,
        files=files,
        moment=moment,
        environ=environ,
        restarts=restarts,
    )


GAMING = (
    _gaming(
        "ignore-much", "little_ignored", "An ignore rule hides half of all orders.", files.ignore_buying, Moment.BEFORE
    ),
    _gaming(
        "ignore-for-ever",
        "little_ignored",
        "An ignore rule holds for years.",
        files.ignore_for_ever,
        Moment.BEFORE,
    ),
    _gaming(
        "edited-summary", "logs_intact", "The summary was edited to PASS.", files.edit_summary, Moment.AFTER_COMPARE
    ),
    _gaming(
        "edited-diff",
        "logs_intact",
        "A line of the compare log was changed.",
        files.edit_log(files.COMPARE_LOG),
        Moment.AFTER_COMPARE,
    ),
    _gaming(
        "edited-decision",
        "logs_intact",
        "A line of the shadow log was changed.",
        files.edit_log(files.SHADOW_LOG),
        Moment.AFTER_COMPARE,
    ),
    _gaming(
        "removed-records",
        "logs_intact",
        "The alert log, which records where epochs began, was removed.",
        files.remove_records,
        Moment.AFTER_COMPARE,
    ),
    _gaming(
        "edited-limits",
        "epoch_is_current",
        "The limits were edited after the last decision.",
        files.edit_limits,
        Moment.AFTER_COMPARE,
    ),
    _gaming(
        "other-engine",
        "epoch_is_current",
        "Another risk engine was configured after the last decision.",
        None,
        Moment.AFTER_COMPARE,
        {"PIPELINE_V6_RISK_ENGINE": "pipeline_v6_dagster.shadow.risk:RiskEngineV6"},
    ),
    _gaming(
        "lenient-once",
        "epoch_is_current",
        "The runs used a lenient error rate, the reading does not.",
        None,
        Moment.BEFORE,
        {"PIPELINE_VERDICT_ERROR_RATE": "0.4"},
    ),
    _gaming(
        "until-lucky",
        "long_enough",
        "The evidence was begun again seven times by an edit of the limits.",
        files.edit_limits,
        Moment.BEFORE,
        restarts=7,
    ),
)
