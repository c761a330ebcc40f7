"""The table of replays: what another configuration would have changed, by executor, month, configuration and rule.

A row without a rule is about all decisions, one with a rule about those that this rule alone or with others decided
otherwise. `run` counts how often the same replay was made; the newest counts.
"""

from collections.abc import Mapping

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.storage.delta_table import ColumnType, TableShape

TEXT, NUMBER, COUNT = ColumnType.TEXT, ColumnType.NUMBER, ColumnType.COUNT

# What the orders behind the flips were, USD.
FLIP_COLUMNS: Mapping[str, ColumnType] = {
    "stopped": COUNT,
    "let_through": COUNT,
    "executed_gross_usd": NUMBER,
    "fees_usd": NUMBER,
    "slippage_usd": NUMBER,
    "profit_usd": NUMBER,
}
# Under the other configuration minus under that of then.
CHANGE_COLUMNS: Mapping[str, ColumnType] = {
    "orders_change": NUMBER,
    "placed_usd_change": NUMBER,
    "gross_usd_change": NUMBER,
    "fees_usd_change": NUMBER,
    "slippage_usd_change": NUMBER,
    "profit_usd_change": NUMBER,
}
REPLAYS = TableShape(
    {
        "executor": TEXT,
        "configuration": TEXT,
        "month": TEXT,
        "run": COUNT,
        "generated_ts": NUMBER,
        "config_hash": TEXT,
        "rule": TEXT,
        "decisions": COUNT,
        "not_replayed": COUNT,
        **FLIP_COLUMNS,
        **CHANGE_COLUMNS,
    },
    partition_by=("executor",),
    indexed=("month", "configuration", "run"),
)

REPLAY_VIEW = (
    "SELECT * FROM (SELECT *, max(run) OVER (PARTITION BY executor, configuration, month) AS newest_run"
    " FROM replay_results) WHERE run = newest_run"
)


def replay_table(settings: Settings) -> str:
    """The folder or the URL of the table."""
    return f"{settings.history_location.rstrip('/')}/replays"
