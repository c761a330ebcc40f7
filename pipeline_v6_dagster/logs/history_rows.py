"""The history table: a row for each diff and for each summary of the compare log, in columns that can be asked about.

`position` orders the rows of an executor: how often its compare log was replaced, then the number of the line in the
chain of that log. A row holds its line as well, so that nothing is lost that has no column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.storage.chain import unchained
from pipeline_v6_dagster.storage.delta_table import ColumnType, TableShape, count_days, format_month, quote

# A question needs none of them, and to import them takes as long as to answer it.
if TYPE_CHECKING:
    from pipeline_v6_dagster.domain.comparison import Diff
    from pipeline_v6_dagster.domain.summary import Summary
    from pipeline_v6_dagster.logs.compare_log import BlockEnd

# What an executor is called that is the only one.
ONLY_EXECUTOR = "default"
# More lines than any log will have, and 2^23 replacements: together they fit the 64 bits of a transaction version.
_LINE_BITS = 40
# What a column of counts can hold; another producer may number its decisions beyond it.
_MOST_COUNT = 2**63 - 1

TEXT, NUMBER, COUNT, FLAG, DAY = ColumnType


@dataclass(frozen=True, slots=True)
class Column:
    """The type of a column and its value in a row; None is not measured."""

    type: ColumnType
    read: Callable[[Any], Any]


# Of a row of either kind, made where it is added.
_COMMON: Mapping[str, ColumnType] = {
    "kind": TEXT,
    "executor": TEXT,
    "month": TEXT,
    "day": DAY,
    "ts": NUMBER,
    "position": COUNT,
}


def _read_shadow(name: str) -> "Callable[[Diff], Any]":
    return lambda diff: None if diff.shadow is None else getattr(diff.shadow, name)


def _read_live(name: str) -> "Callable[[Diff], Any]":
    return lambda diff: None if diff.live is None else getattr(diff.live, name)


def _read_shortfall(name: str) -> "Callable[[Diff], Any]":
    return lambda diff: None if diff.shortfall is None else getattr(diff.shortfall, name)


def _compute_excess_usd(diff: "Diff") -> float | None:
    """Live beyond v6's size, USD."""
    live_usd = None if diff.live is None else diff.live.gross_usd
    shadow_usd = None if diff.shadow is None else diff.shadow.gross_usd
    return None if live_usd is None or shadow_usd is None else live_usd - shadow_usd


def _join_reasons(diff: "Diff") -> str | None:
    return None if diff.shadow is None else "+".join(diff.shadow.reasons)


DIFF_COLUMNS: Mapping[str, Column] = {
    "symbol": Column(TEXT, lambda diff: diff.symbol),
    "side": Column(TEXT, lambda diff: diff.side),
    "decision_id": Column(TEXT, lambda diff: diff.decision_id),
    "intent_id": Column(TEXT, lambda diff: diff.intent_id),
    "attempt_id": Column(TEXT, _read_shadow("attempt_id")),
    "number": Column(COUNT, lambda diff: diff.number),
    "revision_of": Column(TEXT, lambda diff: diff.revision_of),
    "ignored_by": Column(TEXT, lambda diff: diff.ignored_by),
    "retries": Column(TEXT, lambda diff: diff.retries),
    "live_outcome": Column(TEXT, lambda diff: diff.live_outcome),
    "mismatch_kind": Column(TEXT, lambda diff: diff.mismatch_kind),
    "match_method": Column(TEXT, lambda diff: diff.match_method),
    "match_dt_s": Column(NUMBER, lambda diff: diff.match_dt_s),
    "veto_mismatch": Column(FLAG, lambda diff: diff.veto_mismatch),
    "is_upsize": Column(FLAG, lambda diff: diff.is_upsize),
    "is_downsize": Column(FLAG, lambda diff: diff.is_downsize),
    "is_overfill": Column(FLAG, lambda diff: diff.is_overfill),
    "is_position_side_wrong": Column(FLAG, lambda diff: diff.is_position_side_wrong),
    "is_reducing": Column(FLAG, lambda diff: diff.is_reducing),
    "reduce_label": Column(TEXT, lambda diff: diff.reduce_label),
    "route_mismatch": Column(FLAG, lambda diff: diff.route_mismatch),
    "root_cause": Column(TEXT, lambda diff: diff.root_cause),
    "cause_detail": Column(TEXT, lambda diff: diff.cause_detail),
    "upsize_cause": Column(TEXT, lambda diff: diff.upsize_cause),
    "size_pct_diff": Column(NUMBER, lambda diff: diff.size_pct_diff),
    "sizing_diff_pct": Column(NUMBER, lambda diff: diff.sizing_diff_pct),
    "slippage_diff_bps": Column(NUMBER, lambda diff: diff.slippage_diff_bps),
    "impact_usd": Column(NUMBER, lambda diff: diff.impact_usd),
    "mismatch_usd": Column(NUMBER, lambda diff: diff.mismatch_usd),
    "excess_usd": Column(NUMBER, _compute_excess_usd),
    "shadow_allowed": Column(FLAG, _read_shadow("is_allowed")),
    "shadow_reasons": Column(TEXT, _join_reasons),
    "shadow_gross_usd": Column(NUMBER, _read_shadow("gross_usd")),
    "shadow_route": Column(TEXT, _read_shadow("route")),
    "expected_slippage_bps": Column(NUMBER, _read_shadow("expected_slippage_bps")),
    "is_reduce_only": Column(FLAG, _read_shadow("is_reduce_only")),
    "tier": Column(TEXT, _read_shadow("tier")),
    "decision_config_hash": Column(TEXT, _read_shadow("config_hash")),
    "engine_version": Column(TEXT, _read_shadow("engine_version")),
    "live_route": Column(TEXT, _read_live("route")),
    "live_status": Column(TEXT, _read_live("status")),
    "live_gross_usd": Column(NUMBER, _read_live("gross_usd")),
    "executed_gross_usd": Column(NUMBER, _read_live("executed_gross_usd")),
    "avg_price": Column(NUMBER, _read_live("avg_price")),
    "fees_usd": Column(NUMBER, _read_live("fees_usd")),
    "shortfall_usd": Column(NUMBER, _read_shortfall("total_usd")),
    "shortfall_bps": Column(NUMBER, _read_shortfall("total_bps")),
}

SUMMARY_COLUMNS: Mapping[str, Column] = {
    "status": Column(TEXT, lambda end: end.summary.status),
    "verdict": Column(TEXT, lambda end: end.summary.verdict),
    "failed_criteria": Column(TEXT, lambda end: "+".join(end.summary.failed_criteria)),
    "diff_count": Column(COUNT, lambda end: end.diff_count),
    "sample_size": Column(COUNT, lambda end: end.summary.sample_size),
    "veto_mismatch_pct": Column(NUMBER, lambda end: end.summary.veto_mismatch_pct),
    "upsize_count": Column(COUNT, lambda end: end.summary.sizing_diff_stats.upsize_count),
    "sizing_p95": Column(NUMBER, lambda end: end.summary.sizing_diff_stats.p95),
    "slippage_p50_bps": Column(NUMBER, lambda end: end.summary.slippage_diff_bps.p50),
    "slippage_p95_bps": Column(NUMBER, lambda end: end.summary.slippage_diff_bps.p95),
    "live_only": Column(COUNT, lambda end: end.summary.coverage.live_only),
    "unresolved": Column(COUNT, lambda end: end.summary.coverage.unresolved),
    "open_decisions": Column(COUNT, lambda end: end.summary.open_decisions),
    "config_hash": Column(TEXT, lambda end: end.summary.config_hash),
    "epoch_identity": Column(TEXT, lambda end: end.summary.epoch.identity),
    "epoch_number": Column(COUNT, lambda end: end.summary.epoch.number),
    "epoch_since_ts": Column(NUMBER, lambda end: end.summary.epoch.since_ts),
    "mismatch_bound_pct": Column(NUMBER, lambda end: end.mismatch_bound_pct),
}

HISTORY = TableShape(
    {
        **_COMMON,
        **{name: column.type for name, column in {**DIFF_COLUMNS, **SUMMARY_COLUMNS}.items()},
        "json": TEXT,
    },
    partition_by=("kind", "executor", "month"),
    indexed=("ts", "day", "position", "symbol"),
)

_COLUMNS = {**DIFF_COLUMNS, **SUMMARY_COLUMNS}
_summary_encoder = msgspec.json.Encoder()


def _select(kind: str, columns: Mapping[str, Column]) -> str:
    names = [name for name in (*_COMMON, *columns, "json") if name != "kind"]
    return f"SELECT {', '.join(names)} FROM history WHERE kind = '{kind}'"  # noqa: S608 -- names of our own


_REVISED = (
    "SELECT 1 FROM all_diffs AS later WHERE later.revision_of IS NOT NULL AND later.executor = one.executor"
    " AND later.decision_id = one.decision_id AND later.position > one.position"
)
# The months that hold revisions. A revision has the time of the decision that it revises, so its month as well.
REVISED_MONTHS = "SELECT DISTINCT month FROM all_diffs WHERE revision_of IS NOT NULL ORDER BY month"
BASE_VIEWS: Mapping[str, str] = {
    "all_diffs": _select("diff", DIFF_COLUMNS),
    "summaries": _select("summary", SUMMARY_COLUMNS),
}


def view_newest(revised_months: Sequence[str]) -> str:
    """The view `diffs`: the newest state of each decision, as `compare.summary.newest_states` has it.

    Only the rows of months that hold revisions are looked up among them: that costs more than most questions do.
    """
    if not revised_months:
        return "SELECT * FROM all_diffs"
    months = ", ".join(map(quote, revised_months))
    # S608: the texts are our own, or quoted.
    return (
        f"SELECT * FROM all_diffs WHERE month NOT IN ({months}) UNION ALL"  # noqa: S608
        f" SELECT * FROM all_diffs AS one WHERE month IN ({months}) AND NOT EXISTS ({_REVISED})"
    )


def history_table(settings: Settings) -> str:
    """The folder or the URL of the table."""
    return f"{settings.history_location.rstrip('/')}/parity"


def name_executor(settings: Settings) -> str:
    """What rows of the history call the executor of these settings."""
    return settings.executor or ONLY_EXECUTOR


def join_position(generation: int, line_number: int) -> int:
    """The position of a line: `generation` counts how often the log was replaced before it."""
    return (generation << _LINE_BITS) + line_number


def split_position(position: int) -> tuple[int, int]:
    """(generation, number of the line) of a position."""
    return position >> _LINE_BITS, position & ((1 << _LINE_BITS) - 1)


class HistoryRows:
    """Rows to be appended, column by column."""

    def __init__(self, executor: str) -> None:
        self.executor = executor
        self.columns: dict[str, list[Any]] = {name: [] for name in HISTORY.columns}
        self.diffs = 0
        self.summaries = 0

    def __len__(self) -> int:
        return self.diffs + self.summaries

    def add_diff(self, diff: "Diff", line: bytes, position: int) -> None:
        """A diff and its line."""
        self._add("diff", diff.ts, position, diff, DIFF_COLUMNS, unchained(line))
        self.diffs += 1

    def add_summary(self, end: "BlockEnd", position: int) -> None:
        """The summary of a block. Its cursor is of use for the log alone."""
        content = _summary_encoder.encode(end.summary)
        self._add("summary", end.summary.generated_ts, position, end, SUMMARY_COLUMNS, content)
        self.summaries += 1

    def _add(
        self, kind: str, ts: float, position: int, row: object, columns: Mapping[str, Column], content: bytes
    ) -> None:
        values = self.columns
        values["kind"].append(kind)
        values["executor"].append(self.executor)
        values["month"].append(format_month(ts))
        values["day"].append(count_days(ts))
        values["ts"].append(ts)
        values["position"].append(position)
        for name, column in _COLUMNS.items():
            values[name].append(_storable(column.read(row)) if name in columns else None)
        values["json"].append(content.decode(errors="replace"))


def parse_summary(content: str) -> "Summary":
    """The summary of a row."""
    return _summary_decoder().decode(content)


@cache
def _summary_decoder() -> "msgspec.json.Decoder[Summary]":
    from pipeline_v6_dagster.domain.summary import Summary

    return msgspec.json.Decoder(Summary)


def _storable(value: Any) -> Any:
    """A value as a table can hold it: a name in a log may hold half a surrogate pair, which no encoding can write."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, float):
        return finite(value)
    return None if isinstance(value, int) and abs(value) > _MOST_COUNT else value
