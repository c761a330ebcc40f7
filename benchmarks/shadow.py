"""CPU time of `pipeline-v6 shadow` against a loop of json.loads and json.dumps over the same rows, in one run.

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

from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.sandbox import write_configuration, write_feed

START_TS = 1_790_000_000.0
ATTEMPTS_PER_S = 5.0

_PEER = """
import json, sys
with open(sys.argv[1]) as rows, open(sys.argv[2], "w") as out:
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
        attempts = sum(1 for _ in settings.order_attempts.open("rb"))
        environ = {**os.environ, "PIPELINE_V6_HOME": folder}
        ratios = []
        for number in range(options.rounds):
            for path in home.glob("logs/pipeline_v6_shadow*"):
                path.unlink()
            ours, memory_mb = _cpu_s([sys.executable, "-m", "pipeline_v6_dagster.cli.main", "shadow"], environ)
            peer, _ = _cpu_s([sys.executable, "-c", _PEER, str(settings.order_attempts), str(home / "peer")], environ)
            ratios.append(ours / peer)
            print(
                f"round {number + 1}: shadow {ours:.2f} s CPU, json loop {peer:.2f} s CPU,"
                f" ratio {ratios[-1]:.2f}, {ours / attempts * 1e6:.1f} us an attempt"
            )
        result = {
            "benchmark": "shadow CPU over json.loads + json.dumps",
            "attempts": attempts,
            "median_ratio": round(statistics.median(ratios), 3),
            "peak_memory_mb": round(memory_mb),
        }
        print(json.dumps(result))


def _cpu_s(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """(user and system seconds of a command, the largest resident set of any so far in MB)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024


if __name__ == "__main__":
    main()
