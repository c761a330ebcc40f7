"""The questions that the history answers without SQL of one's own: what is measured, and by what it is grouped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.storage.delta_table import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: the rows that it is about, what is measured of each group, and how they are grouped if not said.

    `measures` are SQL by the name of their column. An aggregate of nothing is null: not measured.
    """

    help: str
    source: str
    where: str
    measures: Mapping[str, str]
    by: tuple[str, ...]


# By what rows can be grouped, as SQL over a view.
GROUPS: Mapping[str, str] = {
    "day": "day",
    "month": "month",
    "symbol": "symbol",
    "executor": "executor",
    "side": "side",
    "tier": "tier",
    "route": "live_route",
    "cause": "root_cause",
    "configuration": "configuration",
    "rule": "rule",
}
# What not all views can be grouped by.
VIEW_GROUPS: Mapping[str, tuple[str, ...]] = {
    "diffs": ("day", "month", "symbol", "executor", "side", "tier", "route", "cause"),
    "summaries": ("day", "month", "executor"),
    "replays": ("configuration", "month", "executor", "rule"),
}
_SAMPLES = "mismatch_kind <> 'live_only' AND ignored_by IS NULL"
_MISMATCH_PCT = (
    "100.0 * count(*) FILTER (WHERE veto_mismatch) / nullif(count(*) FILTER (WHERE veto_mismatch IS NOT NULL), 0)"
)
_UPSIZES = "count(*) FILTER (WHERE is_upsize)"

QUESTIONS: Mapping[str, Question] = {
    "overview": Question(
        help="Decisions, mismatches, upsizes and slippage.",
        source="diffs",
        where=_SAMPLES,
        measures={
            "decisions": "count(*)",
            "mismatch_pct": _MISMATCH_PCT,
            "mismatch_usd": "sum(mismatch_usd)",
            "upsizes": _UPSIZES,
            "unresolved": "count(*) FILTER (WHERE live_outcome = 'unresolved')",
            "slippage_p50_bps": "percentile_cont(slippage_diff_bps, 0.5)",
            "executed_gross_usd": "sum(executed_gross_usd)",
        },
        by=("month", "executor"),
    ),
    "upsizes": Question(
        help="Orders placed larger than v6's size, and by how much in USD.",
        source="diffs",
        where=_SAMPLES,
        measures={
            "sized_orders": "count(is_upsize)",
            "upsizes": _UPSIZES,
            "upsize_pct": f"100.0 * {_UPSIZES} / nullif(count(is_upsize), 0)",
            "excess_usd": "sum(excess_usd) FILTER (WHERE is_upsize)",
            "largest_ratio": "1 + max(sizing_diff_pct) FILTER (WHERE is_upsize)",
        },
        by=("month", "executor"),
    ),
    "mismatches": Question(
        help="How often v6 and live disagree about placing an order.",
        source="diffs",
        where=_SAMPLES,
        measures={
            "known_outcomes": "count(veto_mismatch)",
            "mismatches": "count(*) FILTER (WHERE veto_mismatch)",
            "mismatch_pct": _MISMATCH_PCT,
            "mismatch_usd": "sum(mismatch_usd)",
        },
        by=("symbol", "month"),
    ),
    "slippage": Question(
        help="Slippage against what v6 expected, in basis points, and fees.",
        source="diffs",
        where=f"{_SAMPLES} AND live_outcome = 'executed'",
        measures={
            "orders": "count(*)",
            "measured": "count(slippage_diff_bps)",
            "slippage_diff_p50_bps": "percentile_cont(slippage_diff_bps, 0.5)",
            "slippage_diff_p95_bps": "percentile_cont(slippage_diff_bps, 0.95)",
            "expected_mean_bps": "avg(expected_slippage_bps)",
            "shortfall_mean_bps": "avg(shortfall_bps)",
            "fees_usd": "sum(fees_usd)",
        },
        by=("route",),
    ),
    "verdicts": Question(
        help="What the runs of compare said, and the last verdict of each group.",
        source="summaries",
        where="true",
        measures={
            "runs": "count(*)",
            "red_runs": "count(*) FILTER (WHERE status = 'red')",
            "pass_runs": "count(*) FILTER (WHERE verdict = 'PASS')",
            "last_status": "last_value(status ORDER BY position)",
            "last_verdict": "last_value(verdict ORDER BY position)",
            "last_mismatch_bound_pct": "last_value(mismatch_bound_pct ORDER BY position)",
        },
        by=("month", "executor"),
    ),
    "replays": Question(
        help="What each configuration that was replayed would have changed, in decisions and dollars.",
        source="replays",
        where="rule IS NULL",
        measures={
            "decisions": "sum(decisions)",
            "stopped": "sum(stopped)",
            "let_through": "sum(let_through)",
            "placed_usd_change": "sum(placed_usd_change)",
            "gross_usd_change": "sum(gross_usd_change)",
            "fees_usd_change": "sum(fees_usd_change)",
            "profit_usd_change": "sum(profit_usd_change)",
        },
        by=("configuration", "executor"),
    ),
    "limits": Question(
        help="Which rules would have stopped or let through what, by configuration that was replayed.",
        source="replays",
        where="rule IS NOT NULL",
        measures={
            "stopped": "sum(stopped)",
            "let_through": "sum(let_through)",
            "executed_gross_usd": "sum(executed_gross_usd)",
            "fees_usd": "sum(fees_usd)",
            "profit_usd": "sum(profit_usd)",
        },
        by=("configuration", "rule"),
    ),
}


def build_query(
    name: str,
    by: Sequence[str] = (),
    from_ts: float | None = None,
    to_ts: float | None = None,
    executor: str | None = None,
) -> str:
    """The SQL of a question. Times are epoch s and include both ends; without an executor it is about all of them.

    Raises:
        DataError: the question cannot be grouped so.
    """
    question = QUESTIONS[name]
    groups = tuple(dict.fromkeys(by)) or question.by
    if question.source == "replays" and (from_ts, to_ts) != (None, None):
        raise DataError(f"{name} is about whole months; group by month, or use --sql")
    possible = VIEW_GROUPS[question.source]
    refused = [group for group in groups if group not in possible]
    if refused:
        raise DataError(f"{name} cannot be grouped by {', '.join(refused)}; use {', '.join(possible)}")
    columns = [*(f"{GROUPS[group]} AS {group}" for group in groups)]
    columns += [f"{measure} AS {column}" for column, measure in question.measures.items()]
    numbers = ", ".join(str(number + 1) for number in range(len(groups)))
    return (
        f"SELECT {', '.join(columns)} FROM {question.source}"  # noqa: S608 -- of texts of our own, and quoted ones
        f" WHERE {question.where}{bound(from_ts, to_ts, executor)} GROUP BY {numbers} ORDER BY {numbers}"
    )


def bound(from_ts: float | None, to_ts: float | None, executor: str | None = None) -> str:
    """The conditions that keep rows of a time (epoch s) and of an executor, each beginning with AND."""
    conditions = []
    if from_ts is not None:
        conditions.append(f" AND ts >= {from_ts!r}")
    if to_ts is not None:
        conditions.append(f" AND ts <= {to_ts!r}")
    if executor is not None:
        conditions.append(f" AND executor = {quote(executor)}")
    return "".join(conditions)
