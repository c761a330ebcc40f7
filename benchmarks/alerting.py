"""From a fill to its alert, under the real daemon; and what a run of ours costs beside a run of nothing. `make bench`.

The first is a time: from a fill being appended until a local HTTP server has been told of it, with the spacing of runs
at 5 s, ten times. The second is a ratio: `compare_job` as a run beside a run of an asset that does nothing, started in
turn on the same instance, each in a process of its own, as Dagster starts them. The ratio that is held to the limit is
that to the asset loaded with our definitions: it leaves the load out, and both gain by what our definitions do about
the garbage collector. The asset in a project of its own stands beside it, for what a run takes on Dagster by itself.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.sandbox import write_feed
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deployment import Deployment, deployed, wait_for
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.receiver import Receiver, receiving

SPACING_S = 5
HISTORY_S = 3600.0
PATIENCE_S = 180.0

# Run by `dagster job execute`, which makes a run in the process that it is called in, as a run worker does.
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
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
        _run_cost(Path(folder), options.rounds)
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
            "PIPELINE_V6_MIN_RUN_SPACING": str(SPACING_S),
            "PIPELINE_V6_ALERT_GROUP": "0",
            "PIPELINE_V6_ALERT_URLS": receiver.url,
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


def _run_cost(folder: Path, rounds: int) -> None:
    settings, _ = simulated_home(folder / "home", seconds=HISTORY_S, start_ts=time.time() - HISTORY_S)
    for command in ("shadow", "heartbeat", "compare"):
        outcome = pipeline_v6(settings.home, command)
        if outcome.exit_code:
            raise SystemExit(outcome.stderr)
    alone, with_ours = folder / "alone.py", folder / "with_ours.py"
    alone.write_text(_ALONE)
    with_ours.write_text(_WITH_OURS)
    dagster_home = folder / "dagster"
    dagster_home.mkdir()
    (dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environ = {**os.environ, "PIPELINE_V6_HOME": str(settings.home), "DAGSTER_HOME": str(dagster_home)}
    ratios: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        ours, peer, beside = (
            _wall_s(module, job, environ)
            for module, job in ((with_ours, "compare_job"), (alone, "nothing_job"), (with_ours, "nothing_job"))
        )
        if number:  # The first of each lays down the tables.
            ratios.append((ours / peer, ours / beside))
            print(f"round {number}: compare_job {ours:.2f} s; nothing {peer:.2f} s alone, {beside:.2f} s beside us")
    of_alone, of_beside = zip(*ratios, strict=True)
    result = {
        "benchmark": "compare_job wall over a run of nothing",
        "rounds": rounds,
        "median_ratio": round(statistics.median(of_beside), 3),
        "at_most": 1.15,
        "median_ratio_to_nothing_alone": round(statistics.median(of_alone), 3),
    }
    print(json.dumps(result))


def _wall_s(module: Path, job: str, environ: dict[str, str]) -> float:
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "dagster", "job", "execute", "-f", str(module), "-j", job],
        env=environ,
        cwd=module.parent,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - start


if __name__ == "__main__":
    main()
