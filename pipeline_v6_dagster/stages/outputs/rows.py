"""Rows as people read them in tables: what an operator looks for first, times in UTC with their date."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline_v6_dagster.alerts.message import AlertOrder
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.formatting import format_number, format_percent, format_usd
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState

UPSIZE_COLUMNS = {
    "time": "string",
    "symbol": "string",
    "side": "string",
    "ratio": "float",
    "excess_usd": "float",
    "decision_id": "string",
    "intent_id": "string",
}

FAILING_ORDER_COLUMNS = UPSIZE_COLUMNS | {"criterion": "string"}

DIFF_COLUMNS = {
    "time": "string",
    "symbol": "string",
    "side": "string",
    "ratio": "float",
    "mismatch_usd": "float",
    "decision_id": "string",
    "mismatch_kind": "string",
    "live_outcome": "string",
    "root_cause": "string",
    "shadow_reasons": "string",
    "intent_id": "string",
}

SLICE_COLUMNS = {
    "symbol": "string",
    "sample_size": "int",
    "veto_mismatch_pct": "float",
    "upsize_count": "int",
    "impact_usd": "float",
}

CRITERIA_COLUMNS = {
    "criterion": "string",
    "group": "string",
    "state": "string",
    "measured": "string",
    "limit": "string",
    "to_do": "string",
}

_UPSIZES = "no_upsizes"
# Names in logs are written by others: none of their characters may be markdown.
_MARKDOWN = re.compile(r"[^A-Za-z0-9 ]")
_ESCAPED = r"\\\g<0>"
_RATIO_DIGITS = 4
_USD_DIGITS = 2


def make_alert_order(diff: Diff) -> AlertOrder:
    """A diff as an order that a message names. `ratio` is live over v6, `excess_usd` their difference in USD."""
    live_usd = diff.live.gross_usd if diff.live is not None else None
    shadow_usd = diff.shadow.gross_usd if diff.shadow is not None else None
    return AlertOrder(
        ts=diff.ts,
        symbol=diff.symbol,
        side=diff.side.value if diff.side is not None else None,
        decision_id=diff.decision_id,
        intent_id=diff.intent_id,
        ratio=_ratio(diff),
        excess_usd=None if live_usd is None or shadow_usd is None else round(live_usd - shadow_usd, _USD_DIGITS),
    )


def total_excess_usd(orders: Iterable[AlertOrder]) -> float | None:
    """What the orders add up to beyond v6's, USD; None where none has a figure."""
    known = [order.excess_usd for order in orders if order.excess_usd is not None]
    return round(sum(known), _USD_DIGITS) if known else None


def upsize_rows(orders: Iterable[AlertOrder]) -> list[dict[str, Any]]:
    """Orders that were placed larger than asked for, a row each."""
    return [
        {
            "time": utc_text(order.ts),
            "symbol": order.symbol,
            "side": order.side,
            "ratio": order.ratio,
            "excess_usd": order.excess_usd,
            "decision_id": order.decision_id,
            "intent_id": order.intent_id,
        }
        for order in orders
    ]


def failing_order_rows(
    criteria: Iterable[Criterion], window: Iterable[Diff], shown: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The orders that break a critical criterion, a row each with the criterion, without those that `shown` holds.

    Of an order that is older than the `window` only the id is known.
    """
    orders = {diff_id: diff for diff in window for diff_id in (diff.decision_id, diff.intent_id) if diff_id}
    upsized = {row["decision_id"] or row["intent_id"] for row in shown}
    broken = (
        each for each in criteria if each.group is CriterionGroup.CRITICAL and each.state is CriterionState.BROKEN
    )
    return [
        _failing_order_row(failing_id, orders.get(failing_id)) | {"criterion": each.name}
        for each in broken
        for failing_id in each.failing_ids
        if each.name != _UPSIZES or failing_id not in upsized
    ]


def _failing_order_row(failing_id: str, diff: Diff | None) -> dict[str, Any]:
    if diff is None:
        return {"decision_id": failing_id}
    (row,) = upsize_rows([make_alert_order(diff)])
    return row


def diff_row(diff: Diff) -> dict[str, Any]:
    """One diff in a row."""
    return {
        "time": utc_text(diff.ts),
        "symbol": diff.symbol,
        "side": diff.side.value if diff.side is not None else None,
        "ratio": _ratio(diff),
        "mismatch_usd": None if diff.mismatch_usd is None else round(diff.mismatch_usd, _USD_DIGITS),
        "decision_id": diff.decision_id,
        "mismatch_kind": diff.mismatch_kind.value,
        "live_outcome": diff.live_outcome.value,
        "root_cause": diff.root_cause.value if diff.root_cause is not None else None,
        "shadow_reasons": ", ".join(map(str, diff.shadow.reasons)) if diff.shadow is not None else None,
        "intent_id": diff.intent_id,
    }


def slice_rows(summary: Summary) -> list[dict[str, Any]]:
    """The symbols of the window, those with the most upsizes and mismatches first."""
    parts = sorted(
        summary.by_symbol.items(),
        key=lambda item: (-item[1].upsize_count, -(item[1].veto_mismatch_pct or 0.0), item[0]),
    )
    return [
        {
            "symbol": symbol,
            "sample_size": part.sample_size,
            "veto_mismatch_pct": part.veto_mismatch_pct,
            "upsize_count": part.upsize_count,
            "impact_usd": part.impact_usd,
        }
        for symbol, part in parts
    ]


def slices_as_markdown(rows: Iterable[Mapping[str, Any]], link: Callable[[str], str]) -> str:
    """The rows of `slice_rows` as a markdown table whose symbols link to what `link` gives for them."""
    lines = ["| symbol | decisions | veto mismatch | upsizes | impact |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        mismatch_pct = row["veto_mismatch_pct"]
        cells = (
            f"[{_MARKDOWN.sub(_ESCAPED, row['symbol'] or '-')}]({link(row['symbol'])})",
            format_number(row["sample_size"]),
            format_percent(None if mismatch_pct is None else mismatch_pct / 100),
            format_number(row["upsize_count"]),
            format_usd(row["impact_usd"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def criteria_rows(criteria: Iterable[Criterion]) -> list[dict[str, Any]]:
    """Each criterion of the verdict in a row."""
    return [
        {
            "criterion": each.name,
            "group": each.group.value,
            "state": each.state.value,
            "measured": each.measured,
            "limit": each.limit,
            "to_do": None if each.state is CriterionState.HOLDS else each.to_do,
        }
        for each in criteria
    ]


def utc_text(ts: float) -> str:
    """A time (epoch s) as people read it, in UTC."""
    return datetime.fromtimestamp(ts, UTC).isoformat(sep=" ", timespec="seconds")


def _ratio(diff: Diff) -> float | None:
    return None if diff.sizing_diff_pct is None else round(1 + diff.sizing_diff_pct, _RATIO_DIGITS)
