"""The executor's logs and the configuration: written by others, so external assets, never materialized here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import OWNERS

_GROUP = "sources"

_DESCRIPTIONS = {
    "order_attempts": "What the strategy asked for, before any risk check: one line an order attempt.",
    "orders_executed": "Acks, fills, closes and errors of the live executor's orders.",
    "order_metrics": "Prices, timing, fees and slippage of each live attempt.",
    "risk_vetoes": "What the live executor refused, and why.",
    "position_state": "Position snapshots of the live executor.",
    "risk_limits": "Global and per-symbol limits. A bad value stops every run: `pipeline-v6 doctor` names it.",
    "pairs_universe": "Symbols, tiers, leverage and exchange filters. What is not listed here is denied.",
}


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The assets of this group."""
    return dg.Definitions(assets=list(_source_assets(settings)))


def _source_assets(settings: Settings) -> Iterator[dg.AssetSpec]:
    """One external asset per input."""
    for key, description in _DESCRIPTIONS.items():
        path: Path = getattr(settings, key)
        is_config = path.suffix == ".json"
        yield dg.AssetSpec(
            key,
            description=description,
            group_name=_GROUP,
            owners=OWNERS,
            kinds={"json" if is_config else "jsonl"},
            tags={"written_by": "ops" if is_config else "executor"},
            metadata={"path": dg.MetadataValue.path(path)},
        )
