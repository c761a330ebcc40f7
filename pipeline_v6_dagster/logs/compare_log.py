"""The compare log: its lines, its cursor, and what can be asked of it.

A run appends a block: its diffs, then one line with the summary and the cursor. A run with very many diffs appends
several, each as whole as the last. The cursor holds all that the next run needs: how far each input was read, and by
value what is not settled yet.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from pipeline_v6_dagster.compare.open_state import OpenState
from pipeline_v6_dagster.compare.processes import ProcessState
from pipeline_v6_dagster.compare.summary import newest_states
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.domain.summary import Summary, Totals
from pipeline_v6_dagster.logs.evidence_rows import EvidenceRecord
from pipeline_v6_dagster.storage.follow import LogOffset
from pipeline_v6_dagster.storage.jsonl_log import MAX_BYTES, JsonlLog, LineKind
from pipeline_v6_dagster.verdict.epochs import EpochState
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence

RECENT_LINES = 5000
# Counted beside the kind of an unused row that carries an executed or a placed quantity.
DROPPED_ORDER_ROW = "dropped_order_row"
_REJECTIONS = frozenset(Rejection)


@dataclass(slots=True)
class Mark:
    """How many lines there were at some point, and how many of them malformed."""

    lines: int = 0
    malformed: int = 0


@dataclass(slots=True, kw_only=True)
class InputCounts:
    """Lines of one input read so far, those of them that were not used, by kind, and what of it is gone.

    `lost_bytes` had been there and were in none of its files any more when reading went on. `marks`: how it stood
    before. `dropped_order_rows` are unused rows that carry an executed or a placed quantity. `newest_ts` (epoch s) is
    the own time of the newest usable row, in the order of the log.
    """

    lines: int = 0
    unusable: dict[str, int] = field(default_factory=dict)
    is_offset_lost: bool = False
    lost_bytes: int = 0
    marks: tuple[Mark, Mark] = (Mark(), Mark())
    dropped_order_rows: int = 0
    newest_ts: float | None = None

    def add(self, lines: int, unusable: Mapping[str, int] | None) -> None:
        """Count lines, and those of them that were not used."""
        self.lines += lines
        if unusable:
            for kind, count in unusable.items():
                if kind == DROPPED_ORDER_ROW:
                    self.dropped_order_rows += count
                    continue
                self.unusable[kind] = self.unusable.get(kind, 0) + count
        if self.lines - self.marks[1].lines >= RECENT_LINES:
            self.marks = (self.marks[1], Mark(self.lines, self._malformed()))

    def add_usable(self, lines: int) -> None:
        """Count lines that were all used, as if one by one."""
        self.lines += lines
        while self.lines - self.marks[1].lines >= RECENT_LINES:
            self.marks = (self.marks[1], Mark(self.marks[1].lines + RECENT_LINES, self._malformed()))

    @property
    def malformed_ratio(self) -> float | None:
        """Share of malformed lines among all; None if there is no line."""
        return self._malformed() / self.lines if self.lines else None

    @property
    def recent_malformed_ratio(self) -> float | None:
        """The same of the newest lines, of which there are `RECENT_LINES` to twice as many."""
        lines = self.lines - self.marks[0].lines
        return (self._malformed() - self.marks[0].malformed) / lines if lines else None

    def _malformed(self) -> int:
        return sum(count for kind, count in self.unusable.items() if kind in _REJECTIONS)


@dataclass(slots=True, kw_only=True)
class Cursor:
    """Where a run left off. The `newest` times are those of the newest rows, in the order in which they were logged.

    `tails` are digests of the newest bytes of each input up to where it was read: an edit of them shows.
    `epoch` and `evidence` are what the verdict is made from; `records` are those of the alert log that it depends on.
    `max_decision_ts` is the largest as-of time of all decisions; None where only other versions wrote the cursor.
    """

    read: dict[str, LogOffset] = field(default_factory=dict)
    tails: dict[str, str] = field(default_factory=dict)
    open: OpenState = field(default_factory=OpenState)
    counts: dict[str, InputCounts] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    epoch: EpochState = field(default_factory=EpochState)
    evidence: EpochEvidence = field(default_factory=EpochEvidence)
    processes: ProcessState = field(default_factory=ProcessState)
    records: list[EvidenceRecord] = field(default_factory=list)
    newest_decision_ts: float | None = None
    newest_live_ts: float | None = None
    max_decision_ts: float | None = None


@dataclass(slots=True, kw_only=True)
class BlockEnd:
    """The last line of a block."""

    ts: float
    diff_count: int
    heartbeat: bool
    summary: Summary
    cursor: Cursor

    @property
    def mismatch_bound_pct(self) -> float | None:
        """The upper bound of the mismatch rate by which the block was judged, percent; None without a sample."""
        return self.cursor.evidence.mismatch_bound_pct(self.summary.epoch.error_rate)


class _Shape(msgspec.Struct):
    cursor: msgspec.Raw = msgspec.Raw()
    mismatch_kind: str | None = None


class _Time(msgspec.Struct):
    ts: float


_shape_decoder = msgspec.json.Decoder(_Shape)
_time_decoder = msgspec.json.Decoder(_Time)
_diff_decoder = msgspec.json.Decoder(Diff)
_end_decoder = msgspec.json.Decoder(BlockEnd)
_encoder = msgspec.json.Encoder()


def classify_line(line: bytes) -> LineKind:
    """What a line of the compare log is to its block."""
    try:
        shape = _shape_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return LineKind.FOREIGN
    if bytes(shape.cursor):
        return LineKind.BLOCK_END
    return LineKind.FOREIGN if shape.mismatch_kind is None else LineKind.INNER


def open_compare_log(settings: Settings, max_bytes: int = MAX_BYTES, *, key: bytes | None = None) -> JsonlLog:
    """The compare log, rotated at so many bytes. Whoever appends gives the key of the chain."""
    return JsonlLog(settings.compare_diffs, classify_line, max_bytes, key=key)


def read_cursor(log: JsonlLog) -> Cursor | None:
    """The newest cursor; None where the log has none yet.

    Raises:
        DataError: the newest cursor is not one that this version understands.
    """
    end = next(ends_backward(log), None)
    return end.cursor if end is not None else None


def read_offsets_backward(log: JsonlLog, name: str) -> Iterator[LogOffset]:
    """How far an input was read, block by block, newest first."""
    for end in ends_backward(log):
        if name in end.cursor.read:
            yield end.cursor.read[name]


def newest_summary(log: JsonlLog) -> Summary | None:
    """The summary of the newest block; None where the log has none yet.

    Raises:
        DataError: the newest block is not one that this version understands.
    """
    end = next(ends_backward(log), None)
    return end.summary if end is not None else None


def ends_backward(log: JsonlLog) -> Iterator[BlockEnd]:
    """The last line of every block, newest first.

    Raises:
        DataError: one is not one that this version understands.
    """
    for line in log.backward():
        if classify_line(line) is LineKind.BLOCK_END:
            yield read_end(log, line)


def compare_times_backward(log: JsonlLog) -> Iterator[float]:
    """When (epoch s) each block was written, newest first. Lines that are not understood are passed over."""
    for line in log.backward():
        if classify_line(line) is LineKind.BLOCK_END:
            with suppress(msgspec.DecodeError):
                yield _time_decoder.decode(line).ts


def read_end(log: JsonlLog, line: bytes) -> BlockEnd:
    """The end of a block that a line holds.

    Raises:
        DataError: it is not one that this version understands.
    """
    try:
        return _end_decoder.decode(line)
    except msgspec.DecodeError as error:
        raise _not_understood(log, error) from None


def _not_understood(log: JsonlLog, error: msgspec.DecodeError) -> DataError:
    return DataError(f"{log.path}: a line is not understood ({error}); run pipeline-v6 compare --rebuild")


def read_diff(log: JsonlLog, line: bytes) -> Diff:
    """The diff that a line holds.

    Raises:
        DataError: it is not one that this version understands.
    """
    try:
        return _diff_decoder.decode(line)
    except msgspec.DecodeError as error:
        raise _not_understood(log, error) from None


def read_diffs_backward(log: JsonlLog) -> Iterator[Diff]:
    """Every diff, newest first.

    Raises:
        DataError: a line is not one that this version understands.
    """
    for line in log.backward():
        if classify_line(line) is not LineKind.BLOCK_END:
            yield read_diff(log, line)


def encode_diff(diff: Diff) -> bytes:
    """The line of one diff."""
    return _encoder.encode(diff)


def encode_summary_file(summary: Summary) -> bytes:
    """The bytes of the summary file."""
    return msgspec.json.format(_encoder.encode(summary), indent=2) + b"\n"


def encode_end(end: BlockEnd) -> bytes:
    """The line that ends a block."""
    return _encoder.encode(end)


def read_summary(settings: Settings) -> Summary:
    """The newest summary of the compare log.

    Raises:
        DataError: there is none yet, or it is not understood.
        StorageError: the compare log cannot be read.
    """
    summary = newest_summary(open_compare_log(settings))
    if summary is None:
        raise DataError(f"{settings.compare_diffs}: holds no summary yet; materialize compare_diffs")
    return summary


def read_window(settings: Settings) -> list[Diff]:
    """The diffs that the summary covers, newest first.

    Raises:
        DataError, StorageError: as `read_summary`.
    """
    return newest_states(read_diffs_backward(open_compare_log(settings)), settings.compare_limit)


class _End(msgspec.Struct):
    summary: Summary


_decoder = msgspec.json.Decoder(_End)


def read_summaries_backward(log: JsonlLog, most_lines: int | None = None) -> Iterator[Summary]:
    """The summary of every block, newest first, looking at no more than `most_lines` lines.

    Raises:
        DataError: a block is not one that this version understands.
        StorageError: the log cannot be read.
    """
    for line in islice(log.backward(), most_lines):
        if classify_line(line) is LineKind.BLOCK_END:
            try:
                yield _decoder.decode(line).summary
            except msgspec.DecodeError as error:
                raise DataError(
                    f"{log.path}: a line is not understood ({error}); run pipeline-v6 compare --rebuild"
                ) from None
