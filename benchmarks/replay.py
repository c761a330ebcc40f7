"""CPU time of `pipeline-v6 replay` against one `shadow` and one `compare --rebuild` of the same history, in one run.

A ratio, not a time: all three run on the same machine, in turn, and the median of the rounds counts. `make bench`.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed

START_TS = 1_790_000_000.0
ATTEMPTS_PER_S = 5.0


def main() -> None:
    """Make the history, run the stages and the replay in turn, print the ratio of each round and their median."""
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
        strict = home / "strict"
        strict.mkdir()
        limits = json.loads(settings.risk_limits.read_bytes()) | {"restricted_symbols": ["SOLUSDT"]}
        (strict / "risk_limits.json").write_text(json.dumps(limits))
        shutil.copyfile(settings.pairs_universe, strict / "pairs_universe.json")
        environ = {**os.environ, "PIPELINE_V6_HOME": folder}
        ratios = []
        for number in range(options.rounds):
            for path in home.glob("logs/pipeline_v6_*"):
                path.unlink()
            stages = _cpu_s(["shadow"], environ) + _cpu_s(["compare", "--rebuild"], environ)
            replay = _cpu_s(["replay", "--config-dir", str(strict)], environ)
            ratios.append(replay / stages)
            print(
                f"round {number + 1}: replay {replay:.2f} s CPU, shadow and compare --rebuild {stages:.2f} s CPU,"
                f" ratio {ratios[-1]:.2f}"
            )
        result = {
            "benchmark": "replay CPU over shadow + compare --rebuild",
            "attempts": options.attempts,
            "median_ratio": round(statistics.median(ratios), 3),
        }
        print(json.dumps(result))


def _cpu_s(arguments: list[str], environ: dict[str, str]) -> float:
    """User and system seconds of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", *arguments]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
