"""The rows behind the first divergence of each symbol, as they stand in the logs: attempt, decision, live events."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.storage.follow import Follower

# An order has an ack, a fill or two and a line of metrics; one that is polled for long repeats its fill.
MOST_ROWS_PER_LOG = 6
MOST_ROW_CHARS = 4000


class LoggedRow(NamedTuple):
    """One line of a log that speaks of a decision; a long one is cut off."""

    symbol: str | None
    decision_id: str
    log: str
    text: str


def read_divergence_rows(settings: Settings, diffs: Sequence[Diff]) -> list[LoggedRow]:
    """The rows of these decisions, in the order of the decisions, oldest first of each log. Reads whole logs, once.

    Raises:
        StorageError: a log cannot be read.
    """
    wanted = {mark: number for number, diff in enumerate(diffs) for mark in _marks(diff)}
    found: dict[tuple[int, int], list[LoggedRow]] = {}
    logs = (
        settings.order_attempts,
        settings.shadow_log,
        settings.orders_executed,
        settings.risk_vetoes,
        settings.order_metrics,
    )
    for place, path in enumerate(logs if wanted else ()):
        with Follower(path, None, with_archives=path == settings.shadow_log) as follower:
            for line in follower.lines():
                number = next((wanted[mark] for mark in wanted if mark in line.raw), None)
                if number is None:
                    continue
                rows = found.setdefault((number, place), [])
                if len(rows) < MOST_ROWS_PER_LOG:
                    rows.append(_describe(diffs[number], path.name, line.raw))
    return [row for key in sorted(found) for row in found[key]]


def _marks(diff: Diff) -> list[bytes]:
    """What a row of the decision holds: one of its ids as a JSON string."""
    shadow = diff.shadow
    ids = [diff.decision_id, diff.intent_id, None if shadow is None else shadow.attempt_id]
    return [msgspec.json.encode(one.encode("utf-8", "replace").decode()) for one in ids if one]


def _describe(diff: Diff, log: str, raw: bytes) -> LoggedRow:
    text = raw.decode("utf-8", "replace")
    cut = text if len(text) <= MOST_ROW_CHARS else f"{text[:MOST_ROW_CHARS]} ..."
    return LoggedRow(diff.symbol, diff.decision_id or "-", log, cut)
