"""Appending to a log of ours and following a log of the executor's, each against a bare loop, in one run.

Append: 10,000 diffs in blocks of 100, hash chain on, against `os.write` and `os.fsync` of the same bytes. Wall time,
because the disk is what is waited for. Follow: the lines of a log with where each stands, against a loop that reads and
splits them. Both run in turn; the median of the pairs counts. `make bench`.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.logs.compare_log import classify_line
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster.storage.chain import unchained
from pipeline_v6_dagster.storage.follow import Follower
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
from pipeline_v6_dagster.storage.verification import verify_log

START_TS = 1_790_000_000.0
DIFFS, BLOCK = 10_000, 100
ORDER_LINES = 200_000
CHUNK_BYTES = 1 << 20


def main() -> None:
    """Make the lines, run each pair in turn, print the ratios and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    # The same disk for both, and not one that lives in memory: there is nothing to wait for.
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    with TemporaryDirectory(prefix=".pipeline-v6-bench-", dir=options.folder) as name:
        folder = Path(name)
        diffs, orders = _made(folder)
        _report("append wall over os.write + os.fsync", options.rounds, *_appends(folder, diffs))
        _report("follow CPU over read + split", options.rounds, *_follows(orders))


def _made(folder: Path) -> tuple[list[bytes], Path]:
    """Real diffs without their links, and a log of real order events."""
    settings = load_settings({"PIPELINE_V6_HOME": str(folder)}, folder)
    write_configuration(settings)
    end_ts = START_TS + 4000.0
    write_feed(settings, SimulatedExecutor(seed=1, start_ts=START_TS, attempts_per_s=1.0).run(end_ts))
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    run_shadow(settings, limits, lambda: end_ts)
    run_compare(settings, limits, lambda: end_ts)
    rows = [unchained(line) for line in settings.compare_diffs.read_bytes().splitlines()]
    rows = [row for row in rows if classify_line(row) is LineKind.INNER]
    events = settings.orders_executed.read_bytes()
    orders = folder / "orders.jsonl"
    with orders.open("wb") as log:
        for _ in range(ORDER_LINES // events.count(b"\n") + 1):
            log.write(events)
    return [rows[number % len(rows)] for number in range(DIFFS)], orders


def _appends(folder: Path, diffs: list[bytes]) -> tuple[Callable[[], float], Callable[[], float]]:
    blocks = [diffs[start : start + BLOCK] for start in range(0, DIFFS, BLOCK)]
    path, other = folder / "log.jsonl", folder / "other.jsonl"

    def ours() -> float:
        path.unlink(missing_ok=True)
        # One file, as the loop has: how often a log rotates is not what is measured.
        log = JsonlLog(path, classify_line, max_bytes=1 << 40)
        start = time.perf_counter()
        for block in blocks:
            log.append(block)
        return time.perf_counter() - start

    def peer() -> float:
        lines = path.read_bytes().splitlines(keepends=True)
        joined = [b"".join(lines[start : start + BLOCK]) for start in range(0, DIFFS, BLOCK)]
        other.unlink(missing_ok=True)
        start = time.perf_counter()
        file = os.open(other, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        for block in joined:
            os.write(file, block)
            os.fsync(file)
        os.close(file)
        spent = time.perf_counter() - start
        assert other.read_bytes() == path.read_bytes() and verify_log(path).is_whole  # noqa: S101 -- the same work
        return spent

    return ours, peer


def _follows(orders: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    def ours() -> float:
        start, read_bytes = time.process_time(), 0
        with Follower(orders, None) as follower:
            for line in follower.lines():
                read_bytes += len(line.raw)
        return time.process_time() - start

    def peer() -> float:
        start, read_bytes, carry = time.process_time(), 0, b""
        with orders.open("rb") as log:
            while chunk := log.read(CHUNK_BYTES):
                lines = chunk.split(b"\n")
                lines[0] = carry + lines[0]
                carry = lines.pop()
                for line in lines:
                    read_bytes += len(line)
        return time.process_time() - start

    return ours, peer


def _report(name: str, rounds: int, ours: Callable[[], float], peer: Callable[[], float]) -> None:
    ratios = []
    for number in range(rounds):
        mine, theirs = ours(), peer()
        ratios.append(mine / theirs)
        print(f"{name}, round {number + 1}: {mine * 1e3:.1f} ms over {theirs * 1e3:.1f} ms, ratio {ratios[-1]:.2f}")
    print(json.dumps({"benchmark": name, "median_ratio": round(statistics.median(ratios), 3)}))


if __name__ == "__main__":
    main()
