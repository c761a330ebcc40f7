"""Rows as the UI shows them: tables with named columns, times that people read."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from pipeline_v6_dagster.domain.comparison import Diff

# The newest rows that a table shows; the logs hold all.
MAX_ROWS = 20

UPSIZE_COLUMNS = {
    "intent_id": "string",
    "symbol": "string",
    "side": "string",
    "as_of": "string",
    "ratio": "float",
    "excess_usd": "float",
}

DIFF_COLUMNS = {
    "decision_id": "string",
    "intent_id": "string",
    "symbol": "string",
    "side": "string",
    "as_of": "string",
    "mismatch_kind": "string",
    "live_outcome": "string",
    "sizing_diff_pct": "float",
    "root_cause": "string",
    "shadow_reasons": "string",
}

SLICE_COLUMNS = {
    "symbol": "string",
    "sample_size": "int",
    "veto_mismatch_pct": "float",
    "upsize_count": "int",
    "impact_usd": "float",
}


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """The named columns of each row; what a row does not have is null."""
    return dg.MetadataValue.table(
        [dg.TableRecord({name: row.get(name) for name in columns}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )


def upsize_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The newest orders that were placed larger than asked for."""
    return [{**upsize, "as_of": moment(upsize["ts"])} for upsize in summary["upsizes"]]


def diff_row(diff: Diff) -> dict[str, Any]:
    """One diff in a line."""
    return {
        "decision_id": diff.decision_id,
        "intent_id": diff.intent_id,
        "symbol": diff.symbol,
        "side": diff.side.value if diff.side is not None else None,
        "as_of": moment(diff.ts),
        "mismatch_kind": diff.mismatch_kind.value,
        "live_outcome": diff.live_outcome.value,
        "sizing_diff_pct": diff.sizing_diff_pct,
        "root_cause": diff.root_cause.value if diff.root_cause is not None else None,
        "shadow_reasons": ", ".join(map(str, diff.shadow.reasons)) if diff.shadow is not None else None,
    }


def slice_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The symbols of the window, those with the most upsizes and mismatches first."""
    rows = [{"symbol": symbol, **figures} for symbol, figures in summary["by_symbol"].items()]
    return sorted(rows, key=lambda row: (-row["upsize_count"], -(row["veto_mismatch_pct"] or 0.0), row["symbol"]))


def moment(ts: float) -> str:
    """A time (epoch s) as people read it, in UTC."""
    return datetime.fromtimestamp(ts, UTC).isoformat(sep=" ", timespec="seconds")
