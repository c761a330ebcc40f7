"""Peak memory of `pipeline-v6 shadow` and `compare` on a long order log against a short one, in one run.

The same executor trades on at the same rate, so that the long log is longer in time, not denser. The lines are made
once and repeated with their times and ids moved on, because it is the reading that is measured. `make bench` takes
20 MB and 200 MB; `python benchmarks/memory.py --large-mb 2000` takes the time of a coffee and 8 GB of disk.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed

START_TS = 1_500_000_000.0
ATTEMPTS_PER_S = 0.05
EPISODE_S = 86_400.0

# The peak in kB of a process of its own; not ru_maxrss, which begins with the size of the parent.
_PROGRAM = """
import os, sys
from pathlib import Path
from pipeline_v6_dagster.cli.main import run
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
code = run([sys.argv[1]])
(peak,) = (line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
sys.stderr.write(f"{peak}\\n")
sys.exit(code)
"""


def main() -> None:
    """Make both homes, run both commands on each, print the peaks and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small-mb", type=float, default=20.0)
    parser.add_argument("--large-mb", type=float, default=200.0)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the logs are made")
    options = parser.parse_args()
    print(json.dumps(compare_peaks(options.folder, options.small_mb, options.large_mb)))


def compare_peaks(folder: Path, small_mb: float, large_mb: float) -> dict[str, float]:
    """Peaks in MB and their ratios, of both commands."""
    peaks: dict[str, list[float]] = {"shadow": [], "compare": []}
    for size_mb in (small_mb, large_mb):
        with TemporaryDirectory(prefix=".pipeline-v6-bench-", dir=folder) as name:
            settings = load_settings({"PIPELINE_V6_HOME": name}, Path(name))
            write_logs(settings, size_mb)
            for command, found in peaks.items():
                found.append(_peak_mb(command, settings))
    result: dict[str, float] = {"small_mb": small_mb, "large_mb": large_mb}
    for command, (small, large) in peaks.items():
        result[f"{command}_small_peak_mb"] = round(small, 1)
        result[f"{command}_large_peak_mb"] = round(large, 1)
        result[f"{command}_peak_ratio"] = round(large / small, 3)
    return result


def write_logs(settings: Settings, order_mb: float) -> None:
    """A configured home whose order log has at least that size."""
    write_configuration(settings)
    write_feed(settings, SimulatedExecutor(1, START_TS, ATTEMPTS_PER_S).run(START_TS + EPISODE_S))
    paths = (settings.order_attempts, settings.orders_executed, settings.risk_vetoes)
    episodes = {path: list(map(json.loads, path.read_bytes().splitlines())) for path in paths if path.exists()}
    files: dict[Path, IO[bytes]] = {path: path.open("wb") for path in episodes}
    number = 0
    while number == 0 or settings.orders_executed.stat().st_size < order_mb * 1e6:
        for path, rows in episodes.items():
            files[path].writelines(_moved_on(rows, number))
            files[path].flush()
        number += 1
    for file in files.values():
        file.close()


def _moved_on(rows: list[dict[str, object]], number: int) -> Iterator[bytes]:
    """The rows a number of episodes later, under other ids."""
    for row in rows:
        later = dict(row)
        for key, value in row.items():
            if isinstance(value, str) and key.endswith("_id"):
                later[key] = f"{value}_{number}"
            elif isinstance(value, str) and key == "ts":
                later[key] = _later(value, number)
            elif isinstance(value, float) and START_TS <= value <= START_TS + 10 * EPISODE_S:
                later[key] = value + number * EPISODE_S
        yield json.dumps(later, separators=(",", ":")).encode() + b"\n"


def _later(ts: str, number: int) -> str:
    return (datetime.fromisoformat(ts) + timedelta(seconds=number * EPISODE_S)).isoformat()


def _peak_mb(command: str, settings: Settings) -> float:
    outcome = subprocess.run(
        [sys.executable, "-c", _PROGRAM, command],
        env={**os.environ, "PIPELINE_V6_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(outcome.stderr.splitlines()[-1]) / 1024


if __name__ == "__main__":
    main()
