"""The real daemon at the shortest intervals under a trading executor, with faults at random, and what it grows by.

`python -m benchmarks.soak --seconds 3600` starts the set-up of `deploy/` in a folder that is gone afterwards. Until a
quarter of the time has passed, the daemon, the code server and the webservers are killed as well; from then on they
live, so that their growth shows. At the end the logs are checked: each attempt decided once, each chain whole. The
last line is the result as JSON; the exit code is 1 if a check failed. It is no part of CI.
"""

import argparse
import contextlib
import json
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from benchmarks.soak_faults import Faults
from pipeline_v6_dagster.config.settings import INTERVAL_FLOOR_S, Settings
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.logs.shadow_log import open_shadow_log, read_source
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster.storage.follow import Follower
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deployment import Deployment, deployed, postgres_missing
from pipeline_v6_dagster_tests.homes import simulated_home

# The programs of deploy/supervisord.conf, by words of their command lines, the more particular first.
PROGRAMS = {
    "daemon": ("dagster-daemon", "run"),
    "code server": ("api grpc",),
    "webserver": ("dagster-webserver", "--read-only"),
    "admin webserver": ("dagster-webserver",),
}
HISTORY_S = 1800.0
SAMPLE_S = 20.0
LONGEST_FAULT_S = 60.0
_MB = 1e6


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process at one time. `rss_mb` is resident memory, `files` are open descriptors."""

    ts: float
    program: str
    pid: int
    rss_mb: float
    files: int


@dataclass
class Soak:
    """What was measured. `storage_mb` is the size of Dagster's storage and `logs_mb` that of our logs, by time."""

    samples: list[Sample] = field(default_factory=list)
    storage_mb: list[tuple[float, float]] = field(default_factory=list)
    logs_mb: list[tuple[float, float]] = field(default_factory=list)

    def take(self, deployment: Deployment) -> None:
        """Measure everything as it is."""
        now = time.time()
        for program, pid in programs(deployment).items():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
                files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                self.samples.append(Sample(ts=now, program=program, pid=pid, rss_mb=rss_kb / 1024, files=files))
        self.storage_mb.append((now, size_mb(deployment.folder, "*.db*")))
        self.logs_mb.append((now, size_mb(deployment.settings.logs_dir, "pipeline_v6*")))

    def of_program(self, program: str) -> dict[str, Any]:
        """Memory and open files of the process of a program that lived longest, at its start and its end."""
        by_pid: dict[int, list[Sample]] = {}
        for sample in self.samples:
            if sample.program == program:
                by_pid.setdefault(sample.pid, []).append(sample)
        if not by_pid:
            return {}
        longest = max(by_pid.values(), key=lambda samples: samples[-1].ts - samples[0].ts)
        # The first minute loads what is imported on demand.
        warm = [sample for sample in longest if sample.ts - longest[0].ts >= 60.0] or longest
        first, last = third(warm, 0), third(warm, 2)
        hours = (last[-1].ts - first[0].ts) * 2 / 3 / 3600
        rss_mb = [statistics.median(sample.rss_mb for sample in part) for part in (first, last)]
        return {
            "minutes": round((longest[-1].ts - longest[0].ts) / 60, 1),
            "rss_mb": [round(each, 1) for each in rss_mb],
            "mb_per_hour": round((rss_mb[1] - rss_mb[0]) / hours, 1) if hours else None,
            "files": [round(statistics.median(sample.files for sample in part)) for part in (first, last)],
            "most_files": max(sample.files for sample in longest),
            "processes": len(by_pid),
        }


def third(rows: Sequence[Any], number: int) -> Sequence[Any]:
    """The first, second or last third; all of fewer than three."""
    size = len(rows) // 3
    return rows if size == 0 else rows[number * size : (number + 1) * size]


def size_mb(folder: Path, pattern: str) -> float:
    """The size of the files of a folder and those below it."""
    total = 0
    for path in folder.rglob(pattern):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total / _MB


def programs(deployment: Deployment) -> dict[str, int]:
    """The oldest process of each program: the others are its children."""
    found: dict[str, int] = {}
    for program, words in PROGRAMS.items():
        pids = [pid for pid in deployment.processes(*words) if pid not in found.values()]
        if pids:
            found[program] = min(pids)
    return found


@contextmanager
def trading(settings: Settings, executor: SimulatedExecutor, lock: threading.Lock) -> Iterator[None]:
    """An executor that goes on trading, in a thread."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.5):
            with lock:
                write_feed(settings, executor.run(time.time()))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ticks_s(instance: dg.DagsterInstance, since_ts: float) -> dict[str, Any]:
    """How long the ticks of each sensor took, in its first and in its last third: median and p95."""
    latencies: dict[str, Any] = {}
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since_ts)
        ended = sorted((tick.timestamp, tick.end_timestamp - tick.timestamp) for tick in ticks if tick.end_timestamp)
        if ended:
            latencies[state.instigator_name] = {
                "ticks": len(ticks),
                "failed": sum(tick.status.value == "FAILURE" for tick in ticks),
                "first_third": quantiles([took_s for _, took_s in third(ended, 0)]),
                "last_third": quantiles([took_s for _, took_s in third(ended, 2)]),
            }
    return latencies


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median and p95."""
    ordered = sorted(values)
    return {
        "p50_s": round(statistics.median(ordered), 2),
        "p95_s": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
    }


def runs(instance: dg.DagsterInstance) -> dict[str, Any]:
    """How the runs of each job ended, and how long they took at the beginning and at the end."""
    result: dict[str, Any] = {}
    records = [record for record in instance.get_run_records() if record.start_time and record.end_time]
    for name in sorted({record.dagster_run.job_name for record in records}):
        of_job = sorted(
            (record.start_time, record.end_time - record.start_time, record.dagster_run.status.value)
            for record in records
            if record.dagster_run.job_name == name and record.start_time and record.end_time
        )
        result[name] = {
            "ended": dict(Counter(status for _, _, status in of_job)),
            "first_third": quantiles([took_s for _, took_s, _ in third(of_job, 0)]),
            "last_third": quantiles([took_s for _, took_s, _ in third(of_job, 2)]),
        }
    return result


def check_logs(settings: Settings, home: Path) -> list[str]:
    """What is wrong with our logs after a last run by hand; nothing if all is well."""
    problems = []
    for command in ("shadow", "heartbeat", "compare"):
        code = pipeline_v6(home, command).exit_code
        if code:
            problems.append(f"pipeline-v6 {command} ended with exit code {code}")
    with Follower(settings.order_attempts, None) as follower:
        attempts = sum(isinstance(parse_attempt(line.raw), Attempt) for line in follower.lines())
    found = (read_source(line) for line in open_shadow_log(settings).backward())
    ids = Counter(each[0] for each in found if each is not None)
    if sum(ids.values()) != attempts or len(ids) != attempts:
        problems.append(f"{attempts} attempts, {sum(ids.values())} decisions, {len(ids)} of them different")
    report = verify_logs(settings)
    problems += [finding for log in report.logs for finding in log.findings]
    return problems


def soak(folder: Path, storage: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run it all; returns what was found."""
    home = folder / "home"
    settings, executor = simulated_home(
        home,
        seconds=HISTORY_S,
        attempts_per_s=options.attempts_per_s,
        upsize_share=0.02,
        start_ts=time.time() - HISTORY_S,
    )
    intervals = {
        "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": f"{options.interval:g}",
        "PIPELINE_COMPARE_INTERVAL": f"{options.interval:g}",
    }
    found, lock, start_ts = Soak(), threading.Lock(), time.time()
    with deployed(home, folder / "dagster", storage, **intervals) as deployment, trading(settings, executor, lock):
        deployment.wait_until_up()
        up_ts, next_sample_ts, next_fault_ts = time.time(), 0.0, time.time() + 30.0
        faults = Faults(deployment, settings, lock, random.Random(options.seed))  # noqa: S311 -- repeatable, not secret
        while (now := time.time()) < start_ts + options.seconds:
            if now >= next_sample_ts:
                found.take(deployment)
                next_sample_ts = now + SAMPLE_S
            if now >= next_fault_ts and now + LONGEST_FAULT_S < start_ts + options.seconds:
                faults.inject(programs(deployment), kills_programs=now - start_ts < options.seconds / 4)
                next_fault_ts = time.time() + options.fault_every
            time.sleep(0.5)
        with deployment.instance() as instance:
            of_ticks, of_runs = ticks_s(instance, up_ts), runs(instance)
    problems = check_logs(settings, home)
    return {
        "benchmark": "soak",
        "storage": storage,
        "seconds": options.seconds,
        "interval_s": options.interval,
        "faults": dict(faults.injected),
        "programs": {program: found.of_program(program) for program in PROGRAMS},
        "ticks": of_ticks,
        "runs": of_runs,
        "storage_mb": [round(found.storage_mb[0][1], 1), round(found.storage_mb[-1][1], 1)],
        "logs_mb": [round(found.logs_mb[0][1], 1), round(found.logs_mb[-1][1], 1)],
        "problems": problems,
    }


def main() -> None:
    """Parse the options, soak, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--interval", type=float, default=INTERVAL_FLOOR_S, help="of both jobs, in seconds")
    parser.add_argument("--fault-every", type=float, default=20.0, help="seconds between two faults")
    parser.add_argument("--attempts-per-s", type=float, default=1.0)
    parser.add_argument("--storage", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    missing = postgres_missing() if options.storage == "postgres" else None
    if missing is not None:
        parser.error(missing)
    with TemporaryDirectory(prefix="pipeline-v6-soak-") as folder:
        result = soak(Path(folder), options.storage, options)
    print(json.dumps(result))
    sys.exit(1 if result["problems"] else 0)


if __name__ == "__main__":
    main()
