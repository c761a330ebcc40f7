"""Replays of a month under several configurations, appended to one table of results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.history_rows import name_executor
from pipeline_v6_dagster.logs.replay_rows import CHANGE_COLUMNS, FLIP_COLUMNS, REPLAYS, replay_table
from pipeline_v6_dagster.stages.replay.result import flips_by
from pipeline_v6_dagster.stages.replay.span import SpanReplay, replay_span
from pipeline_v6_dagster.storage.delta_table import StaleSnapshotError, open_table

_MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class Month:
    """A UTC month as 2026-01, and its first and last instant (epoch s)."""

    name: str
    from_ts: float
    to_ts: float


@dataclass(frozen=True, slots=True)
class MonthReplay:
    """What one configuration came to in a month."""

    configuration: str
    answer: SpanReplay


def configurations_folder(settings: Settings) -> Path:
    """The folder with a folder for each configuration that is replayed."""
    return settings.config_dir / "replay"


def list_configurations(settings: Settings) -> list[str]:
    """The names of the configurations: folders that hold a risk_limits.json.

    Raises:
        DataError: there is none.
    """
    folder = configurations_folder(settings)
    found = sorted(path.parent.name for path in folder.glob("*/risk_limits.json"))
    if not found:
        raise DataError(f"{folder}: holds no configuration; add a folder with risk_limits.json and pairs_universe.json")
    return found


def replay_month(
    settings: Settings, month: Month, configurations: Sequence[str], clock: Callable[[], float]
) -> list[MonthReplay]:
    """Replay a month under each configuration, and append the answers to the table.

    Raises:
        ConfigError: a configuration cannot be used.
        DataError: a log is not understood, or `deltalake` is not installed.
        StorageError: a log cannot be read or the table not be written.
    """
    open_table(replay_table(settings), REPLAYS)  # Fails before the work is done, not after it.
    folder = configurations_folder(settings)
    replays = []
    for name in configurations:
        answer = replay_span(settings, folder / name, month.from_ts, month.to_ts)
        _append(settings, month, name, answer, clock())
        replays.append(MonthReplay(name, answer))
    return replays


def _append(settings: Settings, month: Month, configuration: str, answer: SpanReplay, now: float) -> None:
    executor = name_executor(settings)
    transaction = f"{executor}/{month.name}/{configuration}"
    for _ in range(_MOST_TRIES):
        table = open_table(replay_table(settings), REPLAYS)
        run = (table.transaction_version(transaction) or 0) + 1
        key = {"executor": executor, "configuration": configuration, "month": month.name, "run": run}
        common = key | {"generated_ts": now, "config_hash": answer.config_hash}
        rows = [common | row for row in list_rows(answer)]
        try:
            table.append({name: [row.get(name) for row in rows] for name in REPLAYS.columns}, {transaction: run})
        except StaleSnapshotError:
            continue  # The same replay was made elsewhere at the same time; this one is the newer.
        return
    raise StaleSnapshotError(f"{replay_table(settings)}: others write to it all the time; try again later")


def list_rows(answer: SpanReplay) -> Iterator[dict[str, Any]]:
    """A row for all decisions, then one for each rule by which some come out otherwise. Null is not measured."""
    flips: list[dict[str, Any]] = msgspec.to_builtins(answer.flips)
    stopped = sum(flip["is_stopped"] for flip in flips)
    dollars = ("executed_gross_usd", "fees_usd", "slippage_usd", "profit_usd")
    known = {name: [flip[name] for flip in flips if flip[name] is not None] for name in dollars}
    counts = {"decisions": answer.decisions, "not_replayed": answer.not_replayed}
    changes = {f"{name}_change": value for name, value in answer.dollars.change.items()}
    yield {
        **counts,
        "stopped": stopped,
        "let_through": len(flips) - stopped,
        **{name: sum(values) if values else None for name, values in known.items()},
        **{name: changes[name] for name in CHANGE_COLUMNS},
    }
    for row in flips_by(flips, "rules"):
        yield {**counts, "rule": row["rules"], **{name: row[name] for name in FLIP_COLUMNS}}
