"""A question over a million diffs: the history against DuckDB on the same rows as JSON lines, in one run.

Whole processes, in turn; the median of the ratios counts. DuckDB is told which fields to read and leaves out revisions;
both must give the same answer. `make bench`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.logs.compare_log import encode_diff, open_compare_log, read_diffs_backward
from pipeline_v6_dagster.logs.history_rows import HISTORY, HistoryRows, history_table
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.history.maintain import maintain_history
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster.storage.delta_table import count_days, format_month, open_table

START_TS = 1_780_000_000.0
MONTHS = 12
EXECUTORS = 10
DIFFERENT_DIFFS = 5000
BATCH_ROWS = 100_000
MONTH_S = 30 * 86_400.0
PATTERN_ID = "@decision@"
PATTERN_TS = f'"ts":{START_TS!r}'

DUCKDB = """
import duckdb, json, sys
found = duckdb.sql(f'''
    SELECT symbol, strftime(to_timestamp(ts) AT TIME ZONE 'UTC', '%Y-%m') AS month,
        count(veto_mismatch) AS known_outcomes, count(*) FILTER (WHERE veto_mismatch) AS mismatches
    FROM read_json('{sys.argv[1]}', format='newline_delimited', columns={{symbol: 'VARCHAR', ts: 'DOUBLE',
        veto_mismatch: 'BOOLEAN', mismatch_kind: 'VARCHAR', ignored_by: 'VARCHAR', mismatch_usd: 'DOUBLE'}})
    WHERE mismatch_kind <> 'live_only' AND ignored_by IS NULL
    GROUP BY ALL ORDER BY ALL''').fetchall()
print(json.dumps(found))
"""


@dataclass
class Cost:
    """What one process took, and what it printed."""

    wall_s: float
    cpu_s: float
    output: str


def main() -> None:
    """Print the ratios as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diffs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
        settings = load_settings({"PIPELINE_V6_HOME": folder}, Path(folder))
        lines = Path(folder) / "diffs.jsonl"
        count = _write(settings, lines, options.diffs)
        maintain_history(settings)
        commands = {
            "ours": [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "history", "mismatches", "--json"],
            "duckdb": [sys.executable, "-c", DUCKDB, str(lines)],
        }
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(options.rounds):
            for name, command in commands.items():
                costs[name].append(_cost(command, {"PIPELINE_V6_HOME": folder}))
                last = costs[name][-1]
                print(f"round {number + 1}: {name} {last.wall_s:.2f} s wall, {last.cpu_s:.2f} s CPU")
        if not _agree(costs["ours"][0], costs["duckdb"][0]):
            raise SystemExit("the two answers differ")
        pairs = list(zip(costs["ours"], costs["duckdb"], strict=True))
        result = {
            "benchmark": "a question over the history in Delta, over DuckDB on JSON lines",
            "diffs": count,
            "wall_ratio": _median(ours.wall_s / theirs.wall_s for ours, theirs in pairs),
            "cpu_ratio": _median(ours.cpu_s / theirs.cpu_s for ours, theirs in pairs),
            "table_mb": round(_size_mb(Path(history_table(settings)))),
            "json_mb": round(lines.stat().st_size / 1e6),
        }
        print(json.dumps(result))


def _write(settings: Settings, lines: Path, count: int) -> int:
    """The same diffs as JSON lines and as rows of the history, over a year and ten executors; returns how many."""
    patterns = _real_diffs(settings)
    of_patterns = HistoryRows("pattern")
    for diff in patterns:
        of_patterns.add_diff(diff, encode_diff(diff), 1)
    per_executor = count // EXECUTORS
    table = history_table(settings)
    with lines.open("wb") as file:
        for executor in range(EXECUTORS):
            for first in range(0, per_executor, BATCH_ROWS):
                numbers = range(first, min(first + BATCH_ROWS, per_executor))
                columns = _repeat(of_patterns.columns, executor, numbers, per_executor)
                file.writelines(line.encode() + b"\n" for line in columns["json"])
                open_table(table, HISTORY).append(columns, {columns["executor"][0]: numbers[-1]})
    return per_executor * EXECUTORS


def _repeat(
    patterns: Mapping[str, Sequence[Any]], executor: int, numbers: Sequence[int], per_executor: int
) -> dict[str, list[Any]]:
    """Rows as those of the patterns, each with a time and ids of its own."""
    of = [number % len(patterns["json"]) for number in numbers]
    columns = {name: [values[index] for index in of] for name, values in patterns.items()}
    times = [START_TS + number * MONTHS * MONTH_S / per_executor for number in numbers]
    ids = [f"{executor}-{number}" for number in numbers]
    columns |= {
        "executor": [f"executor-{executor}"] * len(of),
        "ts": times,
        "month": [format_month(ts) for ts in times],
        "day": [count_days(ts) for ts in times],
        "position": [number + 1 for number in numbers],
        "decision_id": ids,
        "intent_id": [f"ord_{name}" for name in ids],
        "json": [
            text.replace(PATTERN_TS, f'"ts":{ts!r}', 1).replace(PATTERN_ID, name)
            for text, ts, name in zip(columns["json"], times, ids, strict=True)
        ],
    }
    return columns


def _real_diffs(settings: Settings) -> Sequence[Diff]:
    write_configuration(settings)
    executor = SimulatedExecutor(1, START_TS, 1.0, 0.02)
    write_feed(settings, executor.run(START_TS + DIFFERENT_DIFFS))
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_shadow(settings, limits, lambda: START_TS + DIFFERENT_DIFFS)
    run_compare(settings, limits, lambda: START_TS + DIFFERENT_DIFFS)
    diffs = [diff for diff in read_diffs_backward(open_compare_log(settings)) if diff.revision_of is None]
    return [replace(diff, ts=START_TS, decision_id=PATTERN_ID, intent_id=f"ord_{PATTERN_ID}") for diff in diffs]


def _cost(command: Sequence[str], environ: dict[str, str]) -> Cost:
    started = time.perf_counter()
    with subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, output)


def _agree(ours: Cost, theirs: Cost) -> bool:
    names = ("symbol", "month", "known_outcomes", "mismatches")
    return [[row[name] for name in names] for row in json.loads(ours.output)["rows"]] == json.loads(
        theirs.output.splitlines()[-1]
    )


def _size_mb(folder: Path) -> float:
    files: Iterator[Path] = folder.rglob("*.parquet")
    return sum(path.stat().st_size for path in files) / 1e6


def _median(ratios: Iterable[float]) -> float:
    return round(statistics.median(ratios), 3)


if __name__ == "__main__":
    main()
