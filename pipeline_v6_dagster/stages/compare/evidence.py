"""The evidence of the current epoch over a run: numbers decisions, follows epochs, counts what is settled."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from pipeline_v6_dagster.compare.processes import watch_processes
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff, ShadowSide
from pipeline_v6_dagster.domain.ignoring import IgnoreRule
from pipeline_v6_dagster.domain.live import ACK, OrderEvent
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
from pipeline_v6_dagster.verdict.epochs import MAX_AHEAD_S, Boundary, EpochTracker, begin_evidence, epoch_identity
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
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
        self._tracker = EpochTracker(cursor.epoch, policy.min_days, self._boundaries)
        # The evidence since each acknowledgement that has not taken effect, by its place among them.
        self._pending: dict[int, EpochEvidence] = {}
        self.is_behind_records = False

    def start(self, now: float, *, keeps_records: bool) -> None:
        """Read what is recorded, record what is missing, and begin the epoch that an acknowledgement asks for.

        A run from nothing (a rebuild) has yet to reach the decisions that existing records name. What they lack is
        left to the run after it, as `is_behind_records` then says. Without `keeps_records` (a replay into a folder
        that is removed afterwards) nothing is read or written.
        """
        cursor = self._cursor
        if keeps_records:
            self._read_records()
        self._take(cursor.records)
        missing = [*self._missing_identity(now), *self._missing_boundaries(now)]
        if self._identities and cursor.epoch.next_number == 0:
            self.is_behind_records = bool(missing or self._open_acknowledgements())
        elif missing:
            if keeps_records:
                append_records(self._settings, missing)
                missing = self._read_records()
            else:
                cursor.records += missing
            self._take(missing)
        self._gather_pending()
        self.finish()

    def finish(self) -> None:
        """Begin the epoch of an acknowledgement that took effect after the newest decision."""
        if self._tracker.finish():
            self._begin()

    def observe(self, decision: ShadowSide) -> None:
        """Number the next decision of the shadow log; an epoch may begin with it."""
        number = decision.number = self._cursor.epoch.next_number
        identity = epoch_identity(decision.config_hash, decision.engine_version, self._identity_at(number))
        if self._tracker.observe(number, decision.as_of, identity):
            self._begin()
        # An epoch's first decisions may correct its beginning.
        self._cursor.evidence.since_ts = self._cursor.epoch.since_ts

    def watch(self, event: OrderEvent) -> None:
        """Add an event of the order log."""
        state = self._cursor.processes
        # Other rows of the same process tell nothing.
        if event.kind is ACK or event.process != state.current:
            watch_processes(state, event)

    def count(self, diff: Diff, before: Diff | None) -> None:
        """Count a diff that was settled, in place of the one that it revises."""
        cursor = self._cursor
        if before is None:
            cursor.totals.add(diff)
        else:
            cursor.totals.revise(before, diff)
        _fold(cursor.evidence, diff, before)
        for evidence in self._pending.values():
            _fold(evidence, diff, before)

    @property
    def changed_ts(self) -> float | None:
        """Since when (epoch s) decisions are made under this identity, if there was another one before."""
        return self._cursor.epoch.changed_ts

    def record_losses(self, losses: Iterable[tuple[str, str, int]], now: float) -> None:
        """Record what inputs lost, as (input, digest of the last line that was read, bytes)."""
        missing = [
            LossRecord(ts=now, input=name, after=after, lost_bytes=lost_bytes)
            for name, after, lost_bytes in losses
            if not any((one.input, one.after) == (name, after) for one in self._losses)
        ]
        if missing:
            append_records(self._settings, missing)
            self._take(self._read_records())

    def _read_records(self) -> list[EvidenceRecord]:
        """Read the alert log on. Returns what was not known."""
        cursor = self._cursor
        found, offset = read_records(self._settings, cursor.read.get(ALERT_LOG))
        if offset is not None:
            cursor.read[ALERT_LOG] = offset
        unknown = [record for record in found if record not in cursor.records]
        cursor.records += unknown
        return unknown

    def _take(self, records: Iterable[EvidenceRecord]) -> None:
        for record in records:
            if isinstance(record, IdentityRecord):
                self._identities.append(record)
            elif isinstance(record, BoundaryRecord):
                self._boundaries.append(Boundary(record.first_number, record.fixed_at, record.next_number))
            elif isinstance(record, LossRecord):
                self._take_loss(record)

    def _take_loss(self, record: LossRecord) -> None:
        """Count a loss once, however often a run that was killed recorded it."""
        if any((one.input, one.after) == (record.input, record.after) for one in self._losses):
            return
        self._losses.append(record)
        counts = self._cursor.counts.setdefault(record.input, InputCounts())
        counts.is_offset_lost = True
        if record.lost_bytes:  # Of the attempts log, decisions say it.
            counts.lost_bytes = sum(one.lost_bytes for one in self._losses if one.input == record.input)

    def _missing_identity(self, now: float) -> list[EvidenceRecord]:
        identity = settings_identity(self._described)
        if self._identities and self._identities[-1].identity == identity:
            return []
        number = self._cursor.epoch.next_number if self._identities else 0
        return [IdentityRecord(ts=now, identity=identity, first_number=number, settings=self._described)]

    def _missing_boundaries(self, now: float) -> list[EvidenceRecord]:
        epoch = self._cursor.epoch
        found: list[EvidenceRecord] = []
        for record, fixed_at in self._open_acknowledgements():
            if epoch.first_number > 0 and epoch.since_ts is not None and fixed_at < epoch.since_ts:
                continue  # The current epoch began later anyway.
            first_number = self._first_number_since(fixed_at)
            if self._tracker.can_begin_at(first_number):
                found.append(
                    BoundaryRecord(
                        ts=now,
                        acknowledged_ts=record.ts,
                        # An epoch does not begin before the one that it ends.
                        fixed_at=max(fixed_at, epoch.since_ts or fixed_at),
                        first_number=first_number,
                        next_number=epoch.next_number,
                    )
                )
        return found

    def _open_acknowledgements(self) -> list[tuple[Acknowledgement, float]]:
        """The acknowledgements that ask for an epoch and have begun none yet, each with its `fixed_at`."""
        records = self._cursor.records
        applied = {record.acknowledged_ts for record in records if isinstance(record, BoundaryRecord)}
        return [
            (record, record.fixed_at)
            for record in records
            if isinstance(record, Acknowledgement) and record.fixed_at is not None and record.ts not in applied
        ]

    def _first_number_since(self, ts: float) -> int:
        """The smallest number of a decision made at or after `ts` (epoch s), whether settled or open.

        Decisions from the far future do not count: they were made at an unknown time.
        """
        epoch = self._cursor.epoch
        latest_ts = ts if epoch.newest_ts is None else epoch.newest_ts + MAX_AHEAD_S
        numbers = [epoch.next_number]
        numbers += [
            item.decision.number
            for item in self._cursor.open.decisions.values()
            if item.decision.number is not None and ts <= item.decision.as_of <= latest_ts
        ]
        numbers += [
            number
            for diff in self._diffs_backward()
            if diff.decision_id is not None
            and ts <= diff.ts <= latest_ts
            and (number := decision_number(diff)) is not None
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
        epoch = self._cursor.epoch
        # An acknowledgement that this decision's identity ended at once leaves nothing that counts.
        found = self._pending.get(epoch.boundaries - 1)
        is_acknowledged = found is not None and epoch.is_since_exact and found.first_number == epoch.first_number
        evidence = found if is_acknowledged else None
        self._cursor.evidence = begin_evidence(epoch, self._policy.symbols) if evidence is None else evidence
        for place in [place for place in self._pending if place < epoch.boundaries]:
            del self._pending[place]
        self._cursor.processes.start_epoch()

    def _gather_pending(self) -> None:
        """Fold what the log holds of the epochs that began in the past, in the order in which it was written."""
        epoch, scope = self._cursor.epoch, self._policy.symbols
        for place in range(epoch.boundaries, len(self._boundaries)):
            boundary = self._boundaries[place]
            self._pending[place] = EpochEvidence(
                first_number=boundary.first_number, since_ts=boundary.fixed_at, scope=scope
            )
        if not self._pending:
            return
        known: dict[str, Diff] = {}
        for diff in reversed(list(self._diffs_backward())):
            before = None if diff.revision_of is None else known.get(diff.revision_of)
            for evidence in self._pending.values():
                _fold(evidence, diff, before)
            if diff.decision_id is not None:
                known[diff.decision_id] = diff

    def _identity_at(self, number: int) -> str:
        """The identity of the settings that hold for a decision."""
        identities = self._identities
        if not identities:
            return ""
        if number >= identities[-1].first_number:
            return identities[-1].identity
        place = bisect_right(identities, number, key=lambda record: record.first_number)
        return identities[max(0, place - 1)].identity


def _fold(evidence: EpochEvidence, diff: Diff, before: Diff | None) -> None:
    if before is None:
        evidence.add(diff)
    else:
        evidence.revise(before, diff)
