"""A home with a simulated executor: its configuration and its feed, written where a real one would write."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.simulator.configuration import pairs_universe, risk_limits
from pipeline_v6_dagster.simulator.injector import RawLine, Rotation, Write
from pipeline_v6_dagster.storage.feed import append_lines, rotate
from pipeline_v6_dagster.storage.files import replace_file

# Lines held before they are written: a long feed must not need memory for all of it.
_FLUSH_EVERY = 5000


def write_configuration(settings: Settings) -> None:
    """The limits and the universe that the simulated executor trades under."""
    for path, content in ((settings.risk_limits, risk_limits()), (settings.pairs_universe, pairs_universe())):
        replace_file(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def write_instance(dagster_home: Path) -> None:
    """A Dagster instance that keeps to itself: no telemetry, no invitation in the UI."""
    replace_file(dagster_home / "dagster.yaml", b"telemetry: {enabled: false}\nnux: {enabled: false}\n")


def write_feed(settings: Settings, writes: Iterable[Write]) -> int:
    """Put on disk what the simulated executor logged; returns the number of lines."""
    paths = {
        "orders_attempted": settings.order_attempts,
        "orders_executed": settings.orders_executed,
        "order_metrics": settings.order_metrics,
        "risk_vetoes": settings.risk_vetoes,
        "position_state": settings.position_state,
    }
    rows: dict[Path, list[bytes]] = {}
    count = 0
    for write in writes:
        path = paths[write.log]
        if isinstance(write, Rotation):
            append_lines({path: rows.pop(path, [])})
            rotate(path)
            continue
        rows.setdefault(path, []).append(write.raw if isinstance(write, RawLine) else msgspec.json.encode(write.row))
        count += 1
        if count % _FLUSH_EVERY == 0:
            append_lines(rows)
            rows.clear()
    append_lines(rows)
    return count
