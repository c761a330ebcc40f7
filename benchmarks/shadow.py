"""CPU time of `pipeline-v6 shadow` against a loop of json.loads and json.dumps over the same rows, in one run.

Once with the attempts alone and once with the live logs beside them, which the shadow reads for its rolling state;
the peer then goes through those rows as well.

Ratios, not times: both run on the same machine, in turn, and the median of the pairs is what counts. `make bench`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed

START_TS = 1_790_000_000.0
ATTEMPTS_PER_S = 5.0

_PEER = """
import json, sys
for name in sys.argv[2:]:
    with open(name) as rows, open(sys.argv[1], "w") as out:
        for row in rows:
            out.write(json.dumps(json.loads(row)) + "\\n")
"""


def main() -> None:
    """Make the rows, run both in turn, print the ratio of each pair and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
        home = Path(folder)
        settings = load_settings({"PIPELINE_V6_HOME": folder}, home)
        write_configuration(settings)
        executor = SimulatedExecutor(seed=1, start_ts=START_TS, attempts_per_s=ATTEMPTS_PER_S)
        write_feed(settings, executor.run(START_TS + options.attempts / ATTEMPTS_PER_S))
        live = [settings.orders_executed, settings.order_metrics, settings.position_state, settings.risk_vetoes]
        result = _measure(settings, [settings.order_attempts, *live], options.rounds, "with live logs")
        for path in live:
            path.unlink()
        alone = _measure(settings, [settings.order_attempts], options.rounds, "attempts alone")
        print(json.dumps({"benchmark": "shadow CPU over json.loads + json.dumps", **alone, **result}))


def _measure(settings: Settings, inputs: list[Path], rounds: int, name: str) -> dict[str, object]:
    """Both in turn over the rows of `inputs`."""
    environ = {**os.environ, "PIPELINE_V6_HOME": str(settings.home)}
    rows = sum(sum(1 for _ in path.open("rb")) for path in inputs)
    attempts = sum(1 for _ in settings.order_attempts.open("rb"))
    ratios = []
    for number in range(rounds):
        for path in settings.shadow_log.parent.glob("pipeline_v6_shadow*"):
            path.unlink()
        ours, memory_mb = _cpu_s([sys.executable, "-m", "pipeline_v6_dagster.cli.main", "shadow"], environ)
        peer, _ = _cpu_s([sys.executable, "-c", _PEER, str(settings.home / "peer"), *map(str, inputs)], environ)
        ratios.append(ours / peer)
        print(
            f"{name}, round {number + 1}: shadow {ours:.2f} s CPU, json loop {peer:.2f} s CPU,"
            f" ratio {ratios[-1]:.2f}, {ours / attempts * 1e6:.1f} us an attempt"
        )
    return {
        name: {
            "attempts": attempts,
            "rows": rows,
            "median_ratio": round(statistics.median(ratios), 3),
            "peak_memory_mb": round(memory_mb),
        }
    }


def _cpu_s(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """(user and system seconds of a command, the largest resident set of any so far in MB)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024


if __name__ == "__main__":
    main()
