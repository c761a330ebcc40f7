"""Acknowledging: a person answers for an incident, which silences its repeats and may begin a new epoch."""

from collections.abc import Sequence

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ArgumentError
from pipeline_v6_dagster.logs.compare_log import Cursor
from pipeline_v6_dagster.logs.evidence_records import append_records, read_records, standing_acknowledgements
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.compare.evidence import ALERT_LOG
from pipeline_v6_dagster.verdict.criteria import CRITERIA

NAMES = tuple(criterion.name for criterion in CRITERIA)


def acknowledge(settings: Settings, record: Acknowledgement) -> None:
    """Record that `record.by` has taken care of an incident. It never turns a verdict into PASS by itself.

    Raises:
        ArgumentError: what is to be recorded makes no sense.
        BusyError, StorageError: the alert log cannot be written.
    """
    if record.criterion not in NAMES:
        raise ArgumentError(f"{record.criterion!r} is no criterion; there are {', '.join(NAMES)}")
    if not record.by.strip() or not record.why.strip():
        raise ArgumentError("an acknowledgement needs a name (--by) and a reason (--why)")
    if record.fixed_at is not None and record.fixed_at > record.ts:
        raise ArgumentError("--fixed-at is in the future; name the time at which the cause was gone")
    if record.until is not None and record.until <= record.ts:
        raise ArgumentError("--until is in the past; name the time until which repeats are silent")
    append_records(settings, [record])


def list_acknowledgements(settings: Settings, now: float, cursor: Cursor | None = None) -> Sequence[Acknowledgement]:
    """The newest acknowledgement of each criterion that still stands at `now` (epoch s), newest first.

    With the `cursor` of the newest comparison only the rest of the alert log is read.

    Raises:
        StorageError: the alert log cannot be read.
    """
    known = [] if cursor is None else cursor.records
    records, _ = read_records(settings, None if cursor is None else cursor.read.get(ALERT_LOG))
    standing = standing_acknowledgements([*known, *records], now)
    return sorted(standing.values(), key=lambda record: -record.ts)
