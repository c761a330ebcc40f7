"""What late repeats cost: `compare` over fills of settled orders that are logged again, against as many fresh rows.

An executor that restarts polls its orders again and repeats what it has logged. Nothing comes of it, but each row may
revise a diff, which is found in the compare log. CPU time of whole runs on copies of one history; the median of the
rounds counts. `make bench`.
"""

import argparse
import json
import random
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed

START_TS = 1_790_000_000.0
ATTEMPTS_PER_S = 1.0


def main() -> None:
    """Print the ratio for each size of the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--decisions", type=int, nargs="+", default=[6000, 18_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for decisions in options.decisions:
        with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
            _measure(Path(folder), decisions, options.rows, options.rounds)


def _measure(folder: Path, decisions: int, rows: int, rounds: int) -> None:
    home = folder / "home"
    settings = load_settings({"PIPELINE_V6_HOME": str(home)}, home)
    write_configuration(settings)
    executor = SimulatedExecutor(seed=1, start_ts=START_TS, attempts_per_s=ATTEMPTS_PER_S)
    end_ts = START_TS + decisions / ATTEMPTS_PER_S
    write_feed(settings, executor.run(end_ts))
    end_ts += 4000.0
    _run(home, end_ts)
    fills = [
        row for row in map(json.loads, settings.orders_executed.open("rb")) if row.get("event_type") == "order_fill"
    ]
    picked = random.Random(1).sample(fills, min(rows, len(fills)))  # noqa: S311 -- a fixed choice
    # Orders with ids that no decision has, once each: they are settled as orders that nobody asked for.
    fresh = [
        {**row, "intent_id": f"fresh_{number}", "attempt_id": f"fresh_{number}", "orderId": 10**9 + number}
        for number, row in enumerate(picked)
    ]
    costs: dict[str, list[float]] = {"fresh": [], "repeated": []}
    for _ in range(rounds):
        for name, late in (("fresh", fresh), ("repeated", picked)):
            copy = folder / name
            shutil.copytree(home, copy)
            costs[name].append(_cost(copy, late, end_ts))
            shutil.rmtree(copy)
    fresh_s, repeated_s = (statistics.median(costs[name]) for name in ("fresh", "repeated"))
    result = {
        "benchmark": "compare CPU, late repeats over fresh rows",
        "decisions": decisions,
        "rows": len(picked),
        "fresh_s": round(fresh_s, 3),
        "repeated_s": round(repeated_s, 3),
        "ratio": round(repeated_s / fresh_s, 2),
    }
    print(json.dumps(result))


def _cost(home: Path, rows: Sequence[dict[str, Any]], ts: float) -> float:
    """CPU seconds of the run that settles rows logged at `ts`."""
    settings = load_settings({"PIPELINE_V6_HOME": str(home)}, home)
    with settings.orders_executed.open("ab") as log:
        for row in rows:
            times = {name: ts for name in ("ts", "local_ts") if name in row}
            log.write(json.dumps({**row, **times}).encode() + b"\n")
    start = time.process_time()
    _run(home, ts + 4000.0)
    return time.process_time() - start


def _run(home: Path, now: float) -> None:
    settings = load_settings({"PIPELINE_V6_HOME": str(home)}, home)
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_shadow(settings, limits, lambda: now)
    run_compare(settings, limits, lambda: now)


if __name__ == "__main__":
    main()
