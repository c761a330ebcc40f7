"""What the alert log records of the evidence: identities, acknowledgements, lost input.

A rebuild has only the logs to go by. What they cannot tell (which settings judged which decisions, who answered for
an incident, what an input lost before it was read) is a chained line of the alert log, and is never rewritten.
"""

from collections.abc import Sequence

from pipeline_v6_dagster.alerts.message import is_silenced
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.alert_outbox import open_outbox
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement, EvidenceRecord, decode_record, encode_record
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.follow import Follower, LogOffset
from pipeline_v6_dagster.storage.lock import locked


def read_records(settings: Settings, after: LogOffset | None) -> tuple[list[EvidenceRecord], LogOffset | None]:
    """The records that stand in the alert log after an offset, oldest first, and the offset of the last of them.

    Messages after the last record are read again the next time: the offset depends on the records alone, so that a
    cursor that holds it is the same after a rebuild.

    Raises:
        StorageError: the alert log cannot be read.
    """
    records = []
    with Follower(settings.alert_outbox, after, with_archives=True) as follower:
        for line in follower.lines():
            record = decode_record(line.raw)
            if record is not None:
                records.append(record)
                after = line.offset()
    return records, after


def append_records(settings: Settings, records: Sequence[EvidenceRecord]) -> None:
    """Append records to the alert log, chained like its other lines.

    Raises:
        BusyError: another process holds the alert log for too long.
        DataError: the alert log ends in lines of another program.
        StorageError: it cannot be written.
    """
    if not records:
        return
    with locked(settings.alert_outbox):
        log = open_outbox(settings, key=read_chain_key(settings.chain_key_file))
        log.recover()
        log.append([encode_record(record) for record in records])


def standing_acknowledgements(records: Sequence[EvidenceRecord], now: float) -> dict[str, Acknowledgement]:
    """The newest acknowledgement of each criterion that has not run out at `now` (epoch s)."""
    newest = {record.criterion: record for record in records if isinstance(record, Acknowledgement)}
    return {name: each for name, each in newest.items() if is_silenced(each.ts, each.until, now)}
