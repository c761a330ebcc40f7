"""The history stage: append to the table what the compare log holds beyond it, each block exactly once.

The compare log is the authority. The table says in the same commit as the rows how far it has followed: the position of
the last block, and the digest of the line that ends it, by which a log that was rebuilt is recognised.
"""

from dataclasses import dataclass

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.compare_log import classify_line, open_compare_log, read_diff, read_end
from pipeline_v6_dagster.logs.history_rows import (
    HISTORY,
    HistoryRows,
    history_table,
    join_position,
    name_executor,
    split_position,
)
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc
from pipeline_v6_dagster.stages.history.tail import LogTail, Place, Span, shorten_hash
from pipeline_v6_dagster.storage.delta_table import Snapshot, StaleSnapshotError, open_table, quote
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

# Rows per commit: at some 3 KB each, little to hold; and few enough files for years of catching up.
BATCH_ROWS = 10_000
# Of one executor there is seldom more than one writer; each time that one is overtaken, the other has done its work.
_MOST_TRIES = 10


@dataclass(slots=True, kw_only=True)
class HistoryRun:
    """What one run appended. `missing_lines` of the compare log were in none of its files any more.

    `is_replaced` tells that the compare log was rebuilt: what the history had of its span was appended again.
    """

    location: str
    diffs: int = 0
    summaries: int = 0
    commits: int = 0
    missing_lines: int = 0
    is_replaced: bool = False
    position: int | None = None


@relaxed_gc()
def append_history(settings: Settings, *, batch_rows: int = BATCH_ROWS) -> HistoryRun:
    """Append the blocks that the table does not hold. Run again at once it does nothing.

    Raises:
        DataError: the compare log is not understood, the table has other columns, or `deltalake` is not installed.
        StorageError: the log cannot be read or the table not be written.
    """
    run = HistoryRun(location=history_table(settings))
    for _ in range(_MOST_TRIES):
        try:
            _follow(settings, run, batch_rows)
        except StaleSnapshotError:
            continue  # Another process appended the same blocks; go on after them.
        return run
    raise StaleSnapshotError(f"{run.location}: others write to it all the time; try again later")


def _follow(settings: Settings, run: HistoryRun, batch_rows: int) -> None:
    executor = name_executor(settings)
    table = open_table(run.location, HISTORY)
    after = _read_place(table, executor)
    log = open_compare_log(settings)
    with LogTail(log, after) as tail:
        if tail.is_replaced:
            after = Place(after.generation + 1)
            span = tail.span()
            if span is not None:
                table.delete(_superseded(executor, span), _transactions(executor, after))
            run.is_replaced = True
            table = open_table(run.location, HISTORY)
        run.missing_lines = max(run.missing_lines, tail.missing_lines)
        _append(executor, tail, log, after.generation, table, run, batch_rows)


def _append(
    executor: str, tail: LogTail, log: JsonlLog, generation: int, table: Snapshot, run: HistoryRun, batch_rows: int
) -> None:
    rows = HistoryRows(executor)
    last = None
    for line, link in tail:
        position = join_position(generation, link.number)
        if classify_line(line) is not LineKind.BLOCK_END:
            rows.add_diff(read_diff(log, line), line, position)
            continue
        rows.add_summary(read_end(log, line), position)
        last = Place(generation, link.number, shorten_hash(link))
        if len(rows) >= batch_rows:
            table = _commit(executor, rows, last, table, run)
            rows = HistoryRows(executor)
    if len(rows) and last is not None:
        _commit(executor, rows, last, table, run)


def _commit(executor: str, rows: HistoryRows, last: Place, table: Snapshot, run: HistoryRun) -> Snapshot:
    table.append(rows.columns, _transactions(executor, last))
    run.diffs += rows.diffs
    run.summaries += rows.summaries
    run.commits += 1
    run.position = join_position(last.generation, last.number)
    return open_table(run.location, HISTORY)


def _read_place(table: Snapshot, executor: str) -> Place:
    position, digest = table.transaction_version(executor), table.transaction_version(_name_digest(executor))
    if position is None or digest is None:
        return Place()
    return Place(*split_position(position), digest)


def _transactions(executor: str, place: Place) -> dict[str, int]:
    return {executor: join_position(place.generation, place.number), _name_digest(executor): place.digest}


def _name_digest(executor: str) -> str:
    return f"{executor}/digest"


def _superseded(executor: str, span: Span) -> str:
    """The diffs that the rebuilt log holds again. Summaries stay: they are what was said at their time."""
    ids = "".join(f" OR decision_id = {quote(each)}" for each in span.older_ids)
    return f"kind = 'diff' AND executor = {quote(executor)} AND (ts >= {span.since_ts!r}{ids})"
