"""From a fill to its alert, under the real daemon; and what a run of ours costs beside a run of nothing. `make bench`.

The first is a time: from a fill being appended until a local HTTP server has been told of it, with the spacing of runs
at 5 s, ten times. The second is a ratio: `compare_job` as a run beside a run of an asset that does nothing, in turn on
the same instance, as `deploy/` sets it up, each in the process that Dagster's launcher would start. The ratio that is
held to the limit is that to the asset loaded with our definitions: it leaves the load out, and both gain by what our
definitions do about the garbage collector. Two more stand beside it: to the asset in a project of its own, for what a
run takes on Dagster by itself, and with what the daemon takes to make the run, as the first.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster_tests.deployment import (
    Deployment,
    deployed,
    postgres_missing,
    set_up,
    wait_for,
    with_constants,
)
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.receiver import Receiver, receiving

SPACING_S = 5
HISTORY_S = 3600.0
PATIENCE_S = 180.0

_ALONE = """
import dagster as dg

@dg.asset
def nothing() -> None: ...

defs = dg.Definitions(
    assets=[nothing],
    jobs=[dg.define_asset_job("nothing_job", selection=[nothing])],
    executor=dg.in_process_executor,
)
"""
_WITH_OURS = """
import dagster as dg
import pipeline_v6_dagster.definitions as ours

@dg.asset
def nothing() -> None: ...

defs = dg.Definitions.merge(
    ours.defs, dg.Definitions(assets=[nothing], jobs=[dg.define_asset_job("nothing_job", selection=[nothing])])
)
"""


def main() -> None:
    """Print the figures, each as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=10, help="0: the ratio alone")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    missing = postgres_missing()
    for storage in ("sqlite", *(() if missing else ("postgres",))):
        with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
            _run_cost(Path(folder), storage, options.rounds)
    if missing:
        print(f"not measured on postgres: {missing}")
    if not options.alerts:
        return
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
        _latency(Path(folder), options.alerts)


def _latency(folder: Path, count: int) -> None:
    settings, executor = simulated_home(
        folder / "home", seconds=HISTORY_S, attempts_per_s=0.1, start_ts=time.time() - HISTORY_S
    )
    with receiving() as receiver:
        environ = {
            "PIPELINE_V6_ALERT_URLS": receiver.url,
            **with_constants(
                folder / "constants",
                **{"defs.run_slots.MIN_RUN_SPACING_S": SPACING_S, "alerts.states.ALERT_GROUP_S": 0},
            ),
        }
        with deployed(settings.home, folder / "dagster", "sqlite", **environ) as deployment:
            deployment.wait_until_up()
            wait_for("a first summary", settings.compare_summary.exists, PATIENCE_S)
            latencies = [_upsize(settings, executor, receiver, deployment) for _ in range(count)]
    print(", ".join(f"{latency:.1f} s" for latency in latencies))
    result = {
        "benchmark": "fill appended to alert received, spacing 5 s",
        "alerts": count,
        "median_s": round(statistics.median(latencies), 2),
        "longest_s": round(max(latencies), 2),
    }
    print(json.dumps(result))


def _upsize(settings: Settings, executor: SimulatedExecutor, receiver: Receiver, deployment: Deployment) -> float:
    """One doubled order, the whole of it logged at once; returns the seconds from its fill to its alert."""
    rows: dict[str, list[Any]] = {}
    opening: set[str] = set()
    # The executor's clock runs on until an opening order has been filled; what it logs is written as of now.
    lines = itertools.chain.from_iterable(executor.run(time.time() + step) for step in itertools.count())
    for line in lines:
        intent = line.row.get("intent_id")
        if line.log == "orders_attempted" and not line.row["reduce_only"]:
            opening.add(intent)
        if intent in opening:
            rows.setdefault(intent, []).append(line)
            if line.row.get("event_type") == "order_fill" and line.row["status"] == "FILLED":
                break
    now = time.time()
    shift_s = now - rows[intent][-1].ts
    for line in rows[intent]:
        _shift(line.row, shift_s)
        if line.log == "orders_executed":
            line.row.update({name: 2 * line.row[name] for name in ("request_qty", "executedQty") if name in line.row})
    write_feed(settings, rows[intent])
    wait_for(f"an alert; {deployment.logs()}", lambda: _received(receiver, str(intent)), PATIENCE_S, every_s=0.05)
    return _received(receiver, str(intent)) - now


def _shift(row: dict[str, Any], shift_s: float) -> None:
    """Move the times of a row."""
    for name, value in row.items():
        if name == "local_ts":
            row[name] = value + shift_s
        elif (name == "ts" or name.startswith("ts_") or name.endswith("_ts")) and isinstance(value, str):
            row[name] = (datetime.fromisoformat(value) + timedelta(seconds=shift_s)).isoformat()


def _received(receiver: Receiver, intent: str) -> float:
    """When the message that names the order came; 0 while it has not."""
    return next((ts for ts, _, payload in receiver.received if intent in payload["message"]), 0.0)


def _run_cost(folder: Path, storage: str, rounds: int) -> None:
    settings, _ = simulated_home(folder / "home", seconds=HISTORY_S, start_ts=time.time() - HISTORY_S)
    alone, with_ours = folder / "alone.py", folder / "with_ours.py"
    alone.write_text(_ALONE)
    with_ours.write_text(_WITH_OURS)
    os.environ["PIPELINE_V6_HOME"] = str(settings.home)
    spent: list[tuple[RunCost, RunCost, RunCost]] = []
    with set_up(settings.home, folder / "dagster", storage) as deployment, deployment.instance() as instance:

        def cost(module: Path, job: str) -> RunCost:
            return _run(deployment, instance, _job(module, job))

        for name in ("shadow_job", "compare_job", "nothing_job"):
            cost(with_ours, name)
        for number in range(rounds):
            spent.append((cost(with_ours, "compare_job"), cost(with_ours, "nothing_job"), cost(alone, "nothing_job")))
            ours, beside, peer = (f"{each.run_s:.2f} s" for each in spent[-1])
            print(f"{storage}, round {number + 1}: compare_job {ours}; nothing {beside} beside us, {peer} alone")

    def median_ratio(ratio: Callable[[RunCost, RunCost, RunCost], float]) -> float:
        return round(statistics.median(ratio(*costs) for costs in spent), 3)

    result = {
        "benchmark": f"compare_job as a run over a run of nothing, wall, on {storage}",
        "rounds": rounds,
        "median_ratio": median_ratio(lambda ours, beside, _: ours.run_s / beside.run_s),
        "at_most": 1.15,
        "median_ratio_to_nothing_alone": median_ratio(lambda ours, _, alone: ours.run_s / alone.run_s),
        "median_ratio_with_creation": median_ratio(lambda ours, beside, _: ours.whole_s / beside.whole_s),
    }
    print(json.dumps(result))


@dataclass(frozen=True)
class RunCost:
    """What a run took: of the process that makes it, which is up already, and of its own."""

    creation_s: float
    run_s: float

    @property
    def whole_s(self) -> float:
        """Both."""
        return self.creation_s + self.run_s


def _job(module: Path, name: str) -> ReconstructableJob:
    return ReconstructableRepository(FileCodePointer(str(module), "defs")).get_reconstructable_job(name)


def _run(deployment: Deployment, instance: dg.DagsterInstance, job: ReconstructableJob) -> RunCost:
    """Made as the daemon makes a run, executed by the command that its launcher starts."""
    definition, origin = job.get_definition(), job.get_python_origin()
    begun = time.monotonic()
    run = instance.create_run_for_job(definition, job_code_origin=origin)
    made = time.monotonic()
    given = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), set_exit_code_on_failure=True)
    subprocess.run(
        [sys.executable, "-m", "dagster", "api", "execute_run", dg.serialize_value(given)],
        env=deployment.environ,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return RunCost(made - begun, time.monotonic() - made)


if __name__ == "__main__":
    main()
