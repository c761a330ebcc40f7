"""What a run of `compare_job` stores in Dagster's storage, as `deploy/` sets it up on SQLite. `make bench`.

Bytes that the files of the instance grow by per run, the mean over some runs after a first one, which lays the files
out; and of the last run how many events of each type it stored, with the bytes of their text.
"""

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster_tests.deployment import set_up
from pipeline_v6_dagster_tests.homes import simulated_home

HISTORY_S = 3600.0


def main() -> None:
    """Print the figures as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as name:
        folder = Path(name)
        settings, _ = simulated_home(folder / "home", seconds=HISTORY_S, start_ts=time.time() - HISTORY_S)
        os.environ["PIPELINE_V6_HOME"] = str(settings.home)
        defs = build_defs(settings)
        jobs = [defs.resolve_job_def(job) for job in ("shadow_job", "compare_job")]
        with set_up(settings.home, folder / "dagster", "sqlite") as deployment, deployment.instance() as instance:
            for job in jobs:
                job.execute_in_process(instance=instance)
            before = _size_of(folder / "dagster")
            for _ in range(options.runs):
                run_id = jobs[-1].execute_in_process(instance=instance).run_id
            grown = _size_of(folder / "dagster") - before
            events = _count_events(instance, run_id)
    result = {
        "benchmark": "bytes that a run of compare_job stores on SQLite",
        "runs": options.runs,
        "kb_per_run": round(grown / options.runs / 1e3, 1),
        "events": {kind: {"count": count, "kb": round(size / 1e3, 1)} for kind, (count, size) in events.items()},
    }
    print(json.dumps(result))


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and ".db" in path.name)


def _count_events(instance: dg.DagsterInstance, run_id: str) -> dict[str, tuple[int, int]]:
    """(events, bytes of their text) by type, the largest first."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for entry in instance.all_logs(run_id):
        kind = "LOG" if entry.dagster_event is None else entry.dagster_event.event_type_value
        counts[kind] += 1
        sizes[kind] += len(dg.serialize_value(entry))
    return {kind: (counts[kind], size) for kind, size in sizes.most_common()}


if __name__ == "__main__":
    main()
