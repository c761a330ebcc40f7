"""How many of a peer's lines say what ours say: a peer that computes something else is none."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_COLUMNS = (
    *("symbol", "side", "match_method", "live_outcome", "mismatch_kind", "veto_mismatch"),
    *("size_pct_diff", "sizing_diff_pct", "is_upsize", "slippage_diff_bps", "impact_usd"),
    *("root_cause", "route_mismatch", "mismatch_usd", "cause_detail", "upsize_cause"),
)
_ZERO = 1e-9
_PARTS = {
    "live": ("requested_qty", "executed_qty", "avg_price", "gross_usd", "fees_usd", "status", "arrival_price", "route"),
    "shortfall": ("delay_usd", "execution_usd", "fees_usd", "opportunity_usd", "total_usd", "total_bps"),
}


def agreement(ours: Iterable[Path], peer: Path) -> float:
    """The share of our decisions (0 to 1) whose newest line has the peer's values, to nine digits, in every column.

    `ours` are the files of our log, oldest first.
    """
    found = {row["decision_id"]: hash(_values(row)) for row in _rows([peer])}
    mine = {row["decision_id"]: hash(_values(row)) for row in _rows(ours) if row.get("decision_id") is not None}
    return sum(found.get(decision_id) == values for decision_id, values in mine.items()) / len(mine)


def _rows(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            yield from map(json.loads, lines)


def _values(row: dict[str, Any]) -> tuple[str, ...]:
    parts = ((row.get(part) or {}).get(name) for part, names in _PARTS.items() for name in names)
    return tuple(map(_as_text, (*(row.get(name) for name in _COLUMNS), *parts)))


def _as_text(value: object) -> str:
    """To nine digits; what two ways of rounding leave of a zero is one."""
    if not isinstance(value, float | int):
        return str(value)
    return "0" if abs(value) < _ZERO else f"{value:.9g}"
