"""The diffs and the summaries of a range: from the history if there is one, else from the compare log, the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from pipeline_v6_dagster.compare.summary import newest_states
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.logs.compare_log import BlockEnd, ends_backward, open_compare_log, read_diffs_backward
from pipeline_v6_dagster.logs.history_rows import history_table, name_executor, parse_summary
from pipeline_v6_dagster.stages.history.append import append_history
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster.stages.history.questions import bound
from pipeline_v6_dagster.storage.delta_table import has_table, is_delta_installed, quote

_diff_decoder = msgspec.json.Decoder(Diff)


@dataclass(frozen=True, slots=True)
class LogRange:
    """Newest states of the newest decisions, and the newest runs of a range, both newest first.

    `bounds` are (time of the run in epoch s, upper bound of the mismatch rate in percent), oldest first.
    """

    diffs: list[Diff]
    summaries: list[Summary]
    bounds: list[tuple[float, float]]


def read_range(
    settings: Settings,
    from_ts: float | None,
    to_ts: float | None,
    most_decisions: int,
    most_runs: int,
) -> tuple[str, LogRange]:
    """(where it was read, the newest `most_decisions` decisions and `most_runs` runs of a range).

    Times are epoch s and include both ends. What the history lacks is appended first.

    Raises:
        DataError: a line or the table is not understood.
        StorageError: the log or the table cannot be read, or the table not be written.
    """
    if not is_delta_installed() or not has_table(history_table(settings)):
        found = read_log_range(settings, from_ts, to_ts, most_decisions, most_runs)
        return str(settings.compare_diffs), found
    append_history(settings)
    found = read_history_range(settings, from_ts, to_ts, most_decisions, most_runs)
    return history_table(settings), found


def read_log_range(
    settings: Settings, from_ts: float | None, to_ts: float | None, most_decisions: int, most_runs: int
) -> LogRange:
    """The same from the compare log. All of the log is read if the range is not its newest part.

    Raises:
        DataError, StorageError: the log is not understood or cannot be read.
    """
    log = open_compare_log(settings)

    def is_within(ts: float) -> bool:
        return (from_ts is None or ts >= from_ts) and (to_ts is None or ts <= to_ts)

    diffs = newest_states((diff for diff in read_diffs_backward(log) if is_within(diff.ts)), most_decisions)
    within: Iterator[BlockEnd] = (end for end in ends_backward(log) if is_within(end.summary.generated_ts))
    ends = list(islice(within, most_runs))
    bounds = ((end.summary.generated_ts, end.mismatch_bound_pct) for end in ends)
    return LogRange(
        diffs=diffs,
        summaries=[end.summary for end in ends],
        bounds=sorted((ts, bound_pct) for ts, bound_pct in bounds if bound_pct is not None),
    )


def read_history_range(
    settings: Settings,
    from_ts: float | None,
    to_ts: float | None,
    most_decisions: int,
    most_runs: int,
) -> LogRange:
    """The same from the history as it is.

    Raises:
        DataError, StorageError: as `query_history`.
    """
    where = f"executor = {quote(name_executor(settings))}"
    within = where + bound(from_ts, to_ts)
    decisions = _read_diffs(settings, f"{within} AND decision_id IS NOT NULL", most_decisions)
    of_their_span = where + bound(decisions[-1].ts, to_ts) if len(decisions) == most_decisions else within
    unmatched = _read_diffs(settings, f"{of_their_span} AND decision_id IS NULL", None)
    runs = query_history(
        settings,
        f"SELECT ts, mismatch_bound_pct, json FROM summaries WHERE {within}"  # noqa: S608 -- of quoted texts
        f" ORDER BY position DESC LIMIT {most_runs}",
    ).rows
    return LogRange(
        # As `newest_states` orders them: decisions before orders of the same time.
        diffs=sorted([*decisions, *unmatched], key=lambda diff: diff.ts, reverse=True),
        summaries=[parse_summary(content) for _, _, content in runs],
        bounds=sorted((ts, bound_pct) for ts, bound_pct, _ in runs if bound_pct is not None),
    )


def _read_diffs(settings: Settings, where: str, most: int | None) -> list[Diff]:
    limit = "" if most is None else f" LIMIT {most}"
    rows = query_history(
        settings,
        f"SELECT json FROM diffs WHERE {where} ORDER BY ts DESC, position DESC{limit}",  # noqa: S608 -- of quoted texts
    ).rows
    return [_diff_decoder.decode(content) for (content,) in rows]
