"""`pipeline-v6 compare --rebuild` against DuckDB and polars on the same logs, and what a tick costs after much history.

Wall time and peak memory of whole processes, run in turn. Ratios, not times: all of them on the same machine in one
run, and the median is what counts. The peers join by intent; DuckDB computes the same columns, as `agreement` shows,
polars the contract's without causes and shortfall. They settle nothing, pair nothing without ids and can not go on
where they stopped. `make bench`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agreement import agreement

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.orders import LogLine
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed

START_TS = 1_790_000_000.0
ATTEMPTS_PER_S = 5.0
ROWS_PER_ATTEMPT = 8.6
TICK_ATTEMPTS = 100
TICKS = 7
HERE = Path(__file__).parent
CLI = [sys.executable, "-m", "pipeline_v6_dagster.cli.main"]


@dataclass
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    memory_mb: float


def main() -> None:
    """Print each figure of both benchmarks as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=200_000, help="of the rebuild")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--history-rows", type=int, nargs=2, default=[10_000, 1_000_000], help="before the tick")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
        _rebuild(Path(folder) / "rebuild", options.decisions, options.rounds)
        _ticks(Path(folder), options.history_rows)


def _rebuild(home: Path, decisions: int, rounds: int) -> None:
    settings, _ = _history(home, decisions)
    environ = {"PIPELINE_V6_HOME": str(home)}
    _cost([*CLI, "shadow"], environ)
    commands = {
        "ours": [*CLI, "compare", "--rebuild"],
        "duckdb": [sys.executable, str(HERE / "peer_duckdb.py"), str(settings.logs_dir), str(home / "duckdb.jsonl")],
        "polars": [sys.executable, str(HERE / "peer_polars.py"), str(settings.logs_dir), str(home / "polars.jsonl")],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            costs[name].append(_cost(command, environ))
            print(f"round {number + 1}: {name} {costs[name][-1]}")
    ours = costs.pop("ours")
    for peer, theirs in costs.items():
        result = {
            "benchmark": f"compare --rebuild over a {peer} script",
            "decisions": sum(1 for _ in (home / f"{peer}.jsonl").open("rb")),
            "wall_ratio": _median(a.wall_s / b.wall_s for a, b in zip(ours, theirs, strict=True)),
            "cpu_ratio": _median(a.cpu_s / b.cpu_s for a, b in zip(ours, theirs, strict=True)),
            "memory_ratio": _median(a.memory_mb / b.memory_mb for a, b in zip(ours, theirs, strict=True)),
            "ours_us_per_decision": round(statistics.median(cost.cpu_s for cost in ours) / decisions * 1e6, 1),
            "ours_memory_mb": round(max(cost.memory_mb for cost in ours)),
        }
        if peer == "duckdb":
            diffs = sorted(settings.logs_dir.glob("pipeline_v6_compare*.jsonl*"), key=lambda path: path.stat().st_mtime)
            result["agreement"] = round(agreement(diffs, home / f"{peer}.jsonl"), 4)
        print(json.dumps(result))
    shutil.rmtree(home)


def _ticks(folder: Path, history_rows: Sequence[int]) -> None:
    """A tick of new attempts after little and after much history, in turn."""
    homes = []
    for rows in history_rows:
        home = folder / f"tick-{rows}"
        attempts = int(rows / ROWS_PER_ATTEMPT)
        # The history ends just now: what is under way at the end of a tick is open, as it is beside a live executor.
        lasts_s = (attempts + (TICKS + 1) * TICK_ATTEMPTS) / ATTEMPTS_PER_S
        settings, executor = _history(home, attempts, time.time() - lasts_s)
        environ = {"PIPELINE_V6_HOME": str(home)}
        for command in ("shadow", "compare"):
            _cost([*CLI, command], environ)
        homes.append((settings, executor, environ))
    costs: list[list[float]] = [[], []]
    for tick in range(1, TICKS + 1):
        for (settings, executor, environ), spent in zip(homes, costs, strict=True):
            write_feed(settings, executor.run(executor.now + TICK_ATTEMPTS / ATTEMPTS_PER_S))
            _cost([*CLI, "shadow"], environ)
            spent.append(_cost([*CLI, "compare"], environ).cpu_s)
        print(f"tick {tick}: {costs[0][-1]:.3f} s CPU after little history, {costs[1][-1]:.3f} s after much")
    result = {
        "benchmark": f"compare tick of {TICK_ATTEMPTS} attempts, CPU after much history over after little",
        "history_rows": list(history_rows),
        "cpu_ratio": round(statistics.median(costs[1]) / statistics.median(costs[0]), 3),
    }
    print(json.dumps(result))


def _history(home: Path, attempts: int, start_ts: float = START_TS) -> tuple[Settings, "_Clocked"]:
    home.mkdir()
    settings = load_settings({"PIPELINE_V6_HOME": str(home)}, home)
    write_configuration(settings)
    executor = _Clocked(SimulatedExecutor(1, start_ts, ATTEMPTS_PER_S, idless_share=0.0))
    write_feed(settings, executor.run(start_ts + attempts / ATTEMPTS_PER_S))
    return settings, executor


class _Clocked:
    """A simulated executor that remembers how far it was run."""

    def __init__(self, executor: SimulatedExecutor) -> None:
        self._executor = executor
        self.now = START_TS

    def run(self, until: float) -> Iterator[LogLine]:
        """The rows up to then."""
        self.now = until
        return self._executor.run(until)


def _cost(command: Sequence[str], environ: dict[str, str]) -> Cost:
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return Cost(round(wall_s, 3), round(usage.ru_utime + usage.ru_stime, 3), round(usage.ru_maxrss / 1024, 1))


def _median(ratios: Iterable[float]) -> float:
    return round(statistics.median(ratios), 3)


if __name__ == "__main__":
    main()
