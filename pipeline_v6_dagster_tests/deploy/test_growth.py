"""A day at the default intervals, with a moved clock: how many runs, how many bytes, and that pruning bounds them.

Every tick of the day asks the sensors; of the runs that they ask for some are executed, so that their size is known.
"""

import os
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs.maintenance import prune
from pipeline_v6_dagster_tests.defs.ticking import Daemon, backdate, is_run, quiet_instance
from pipeline_v6_dagster_tests.homes import fixed, simulated_home

# One daemon at a time: each is watched while it keeps its intervals.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

DAY_S = 86_400
# The poll of the sensors is 15 s; a tick in between finds the same.
TICK_S = 60
# What docs/operations.md says of a day without early runs, in MB, but for ticks, and of a run, in KB.
MAX_MB_PER_DAY = 75
MAX_KB_PER_RUN = 300
EXECUTED = 10


def measure_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def execute(settings: Settings, instance: dg.DagsterInstance, count: int, now: float) -> None:
    """Both jobs, `count` times in all."""
    defs = build_defs(settings, fixed(now))
    for number in range(count):
        job = defs.resolve_job_def(("shadow_job", "compare_job")[number % 2])
        result = job.execute_in_process(instance=instance)
        assert result.success
        backdate(instance, result.run_id, now)


def test_a_day_of_ticks_asks_for_one_run_per_interval_and_grows_as_documented(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path / "home", seconds=600)
    start = (time.time() // DAY_S - 3) * DAY_S
    folder = tmp_path / "dagster"
    with quiet_instance(folder) as instance:
        execute(settings, instance, 2, start - DAY_S)  # What the first runs lay down once.
        before = measure_bytes(folder)
        execute(settings, instance, EXECUTED, start - DAY_S)
        bytes_per_run = (measure_bytes(folder) - before) / EXECUTED

        before = measure_bytes(folder)
        daemon = Daemon(settings, instance)
        asked: Counter[str] = Counter()
        for now in range(int(start), int(start) + DAY_S, TICK_S):
            for name in ("shadow_heartbeat_sensor", "compare_sensor"):
                asked[name] += is_run(daemon.sensor(name, now))
        runs = sum(asked.values())
        grown = measure_bytes(folder) - before + runs * bytes_per_run
        said = f"{asked}, {bytes_per_run / 1e3:.0f} KB a run, {grown / 1e6:.1f} MB a day"
        assert asked == {"shadow_heartbeat_sensor": DAY_S // 600, "compare_sensor": DAY_S // 900}
        assert bytes_per_run < MAX_KB_PER_RUN * 1e3, said
        assert grown < MAX_MB_PER_DAY * 1e6, said

        deleted = prune(instance, start + DAY_S)
        assert deleted["runs"] >= runs + EXECUTED - 2
        # The pages are free: the next day goes into them.
        size = measure_bytes(folder)
        execute(settings, instance, EXECUTED, start + DAY_S)
        assert measure_bytes(folder) - size < 3 * bytes_per_run


def test_while_rows_come_in_all_the_time_runs_are_bounded_by_the_spacing(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path / "home", seconds=60)
    hours = 2
    with quiet_instance(tmp_path / "dagster") as instance:
        daemon = Daemon(settings, instance)
        asked: Counter[str] = Counter()
        start = (time.time() // DAY_S - 3) * DAY_S
        for now in range(int(start), int(start) + hours * 3600, 15):
            for path in (settings.order_attempts, settings.orders_executed):
                os.utime(path, (now, now))
            for name in ("shadow_heartbeat_sensor", "compare_sensor"):
                asked[name] += is_run(daemon.sensor(name, now))
    for name, interval_s in (("shadow_heartbeat_sensor", 600), ("compare_sensor", 900)):
        slots = hours * 3600 // interval_s
        assert slots < asked[name] <= hours * 60 + slots
