"""The evidence of the current epoch over a run: numbers decisions, follows epochs, counts what is settled."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from pipeline_v6_dagster.compare.processes import watch_processes
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, ShadowSide
from pipeline_v6_dagster.domain.ignoring import IgnoreRule
from pipeline_v6_dagster.domain.live import OrderEvent
from pipeline_v6_dagster.logs.compare_log import Cursor, InputCounts, read_diffs_backward
from pipeline_v6_dagster.logs.evidence_records import append_records, read_records
from pipeline_v6_dagster.logs.evidence_rows import (
    Acknowledgement,
    BoundaryRecord,
    EvidenceRecord,
    IdentityRecord,
    LossRecord,
)
from pipeline_v6_dagster.stages.compare.identity import describe_settings, settings_identity
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.verdict.epochs import Boundary, EpochTracker, begin_evidence, epoch_identity
from pipeline_v6_dagster.verdict.policy import VerdictPolicy
from pipeline_v6_dagster.verdict.reading_diffs import decision_number

# The name under which the cursor holds how far the alert log was read.
ALERT_LOG = "alerts"
# Diffs are written at most a few tolerances after their decision: so many older ones in a row, and none is to come.
_MAX_OLDER_DIFFS = 10_000


class EvidenceKeeper:
    """Keeps `cursor.epoch`, `cursor.evidence` and `cursor.processes`, which it changes in place.

    What the logs of the executor do not tell is read from the alert log, and recorded there where it is missing: from
    which decision on the verdict's settings hold, and where an acknowledgement begins an epoch. A rebuild reads the
    same records and comes to the same evidence.
    """

    def __init__(
        self, settings: Settings, rules: Sequence[IgnoreRule], policy: VerdictPolicy, cursor: Cursor, log: JsonlLog
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._cursor = cursor
        self._log = log
        self._described = describe_settings(settings, rules)
        self._identities: list[IdentityRecord] = []
        self._boundaries: list[Boundary] = []
        self._losses: list[LossRecord] = []
        self._tracker = EpochTracker(cursor.epoch, policy.min_days)

    def start(self, now: float, *, keeps_records: bool) -> None:
        """Read what is recorded, record what is missing, and begin the epoch that an acknowledgement asks for.

        Without `keeps_records` (a replay into a folder that is removed afterwards) nothing is read or written.
        """
        cursor = self._cursor
        if keeps_records:
            found, offset = read_records(self._settings, cursor.read.get(ALERT_LOG))
            if offset is not None:
                cursor.read[ALERT_LOG] = offset
            # What an earlier run appended was noted by that run.
            cursor.records += [record for record in found if record not in cursor.records]
        self._take(cursor.records)
        missing = [*self._missing_identity(now), *self._missing_boundaries(now)]
        if keeps_records:
            append_records(self._settings, missing)
        cursor.records += missing
        self._take(missing)
        self._tracker = EpochTracker(self._cursor.epoch, self._policy.min_days, self._boundaries)
        if self._tracker.finish():
            self._begin()
            self._count_again()

    def observe(self, decision: ShadowSide) -> None:
        """Number the next decision of the shadow log; an epoch may begin with it."""
        number = decision.number = self._cursor.epoch.next_number
        identity = epoch_identity(decision.config_hash, decision.engine_version, self._identity_at(number))
        if self._tracker.observe(number, decision.as_of, identity):
            self._begin()

    def watch(self, event: OrderEvent) -> None:
        """Add an event of the order log."""
        watch_processes(self._cursor.processes, event)

    def count(self, diff: Diff, before: Diff | None) -> None:
        """Count a diff that was settled, in place of the one that it revises."""
        cursor = self._cursor
        if before is None:
            cursor.totals.add(diff)
        else:
            cursor.totals.revise(before, diff)
        self._fold(diff, before)

    @property
    def changed_ts(self) -> float | None:
        """When the epoch began (epoch s), if another one came before it."""
        epoch = self._cursor.epoch
        return epoch.since_ts if epoch.first_number > 0 else None

    def record_losses(self, losses: Iterable[tuple[str, str, int]], now: float) -> None:
        """Record what inputs lost, as (input, digest of the last line that was read, bytes)."""
        missing = [
            LossRecord(ts=now, input=name, after=after, lost_bytes=lost_bytes)
            for name, after, lost_bytes in losses
            if not any((one.input, one.after) == (name, after) for one in self._losses)
        ]
        append_records(self._settings, missing)
        self._cursor.records += missing
        self._take(missing)

    def _take(self, records: Iterable[EvidenceRecord]) -> None:
        for record in records:
            if isinstance(record, IdentityRecord):
                self._identities.append(record)
            elif isinstance(record, BoundaryRecord):
                self._boundaries.append(Boundary(record.first_number, record.fixed_at))
            elif isinstance(record, LossRecord):
                self._take_loss(record)

    def _take_loss(self, record: LossRecord) -> None:
        """Count a loss once, however often a run that was killed recorded it."""
        if any((one.input, one.after) == (record.input, record.after) for one in self._losses):
            return
        self._losses.append(record)
        counts = self._cursor.counts.setdefault(record.input, InputCounts())
        counts.is_offset_lost = True
        counts.lost_bytes = sum(one.lost_bytes for one in self._losses if one.input == record.input)

    def _missing_identity(self, now: float) -> list[EvidenceRecord]:
        identity = settings_identity(self._described)
        if self._identities and self._identities[-1].identity == identity:
            return []
        number = self._cursor.epoch.next_number if self._identities else 0
        return [IdentityRecord(ts=now, identity=identity, first_number=number, settings=self._described)]

    def _missing_boundaries(self, now: float) -> list[EvidenceRecord]:
        records = self._cursor.records
        applied = {record.acknowledged_ts for record in records if isinstance(record, BoundaryRecord)}
        found: list[EvidenceRecord] = []
        for record in records:
            if not isinstance(record, Acknowledgement) or record.fixed_at is None or record.ts in applied:
                continue
            first_number = self._first_number_since(record.fixed_at)
            if self._tracker.can_begin_at(first_number):
                found.append(
                    BoundaryRecord(
                        ts=now, acknowledged_ts=record.ts, fixed_at=record.fixed_at, first_number=first_number
                    )
                )
        return found

    def _first_number_since(self, ts: float) -> int:
        """The smallest number of a decision made at or after `ts` (epoch s), whether settled or open."""
        epoch = self._cursor.epoch
        numbers = [epoch.next_number]
        numbers += [
            item.decision.number
            for item in self._cursor.open.decisions.values()
            if item.decision.number is not None and item.decision.as_of >= ts
        ]
        numbers += [
            number
            for diff in self._diffs_backward()
            if diff.decision_id is not None and diff.ts >= ts and (number := decision_number(diff)) is not None
        ]
        return min(numbers)

    def _diffs_backward(self) -> Iterable[Diff]:
        """The diffs of the epoch as it stands, newest first."""
        older = 0
        for diff in read_diffs_backward(self._log):
            number = decision_number(diff)
            is_older = number is not None and number < self._cursor.epoch.first_number
            older = older + 1 if is_older else 0
            if older > _MAX_OLDER_DIFFS:
                return
            yield diff

    def _begin(self) -> None:
        self._cursor.evidence = begin_evidence(self._cursor.epoch, self._policy.symbols)
        self._cursor.processes.start_epoch()

    def _count_again(self) -> None:
        """Fold the diffs of an epoch that began in the past, in the order in which they were written."""
        known: dict[str, Diff] = {}
        for diff in reversed(list(self._diffs_backward())):
            self._fold(diff, None if diff.revision_of is None else known.get(diff.revision_of))
            if diff.decision_id is not None:
                known[diff.decision_id] = diff

    def _fold(self, diff: Diff, before: Diff | None) -> None:
        if before is None:
            self._cursor.evidence.add(diff)
        else:
            self._cursor.evidence.revise(before, diff)

    def _identity_at(self, number: int) -> str:
        """The identity of the settings that hold for a decision."""
        place = bisect_right(self._identities, number, key=lambda record: record.first_number)
        return self._identities[max(0, place - 1)].identity if self._identities else ""
