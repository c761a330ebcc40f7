"""Children for the soak of kills: see test_kills. Everything is imported once; each command runs in a fork.

Arguments: the home, the seed, the number of kills. Prints one JSON object.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from pipeline_v6_dagster.cli import compare as compare_command
from pipeline_v6_dagster.cli import heartbeat as heartbeat_command
from pipeline_v6_dagster.cli import main
from pipeline_v6_dagster.cli import shadow as shadow_command
from pipeline_v6_dagster.stages.compare import run as compare
from pipeline_v6_dagster.stages.shadow import run as shadow
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home

STEP_S = 40.0
EXECUTOR_BYTES = 60_000


def rotate(path: Path) -> None:
    """As a rotating file handler does, at a size."""
    if not path.exists() or path.stat().st_size < EXECUTOR_BYTES:
        return
    number = 1
    while path.with_name(f"{path.stem}.{number}{path.suffix}").exists():
        number += 1
    for older in range(number, 1, -1):
        path.with_name(f"{path.stem}.{older - 1}{path.suffix}").rename(
            path.with_name(f"{path.stem}.{older}{path.suffix}")
        )
    path.rename(path.with_name(f"{path.stem}.1{path.suffix}"))


def start(command: str, now: float) -> int:
    """One command in a process of its own, at a time of its own."""
    child = os.fork()
    if child:
        return child
    try:
        for module in (shadow_command, compare_command, heartbeat_command):
            module.clock = lambda: now
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os._exit(main.run(command.split()))
    finally:
        os._exit(99)


def main_of_the_soak() -> None:
    home, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    delays = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    settings, executor = simulated_home(home, seconds=0, attempts_per_s=0.25, upsize_share=0.1, seed=seed)
    os.environ["PIPELINE_V6_HOME"] = str(home)
    # Small blocks and small files, so that kills meet every step.
    JsonlLog.__init__.__defaults__ = (30_000,)
    shadow.BLOCK_ROWS = compare.BLOCK_DIFFS = 4
    now, killed, rounds, exits = START_TS, {"shadow": 0, "compare": 0, "heartbeat": 0}, 0, {}
    longest_s = 0.05
    while sum(killed.values()) < kills or min(killed.values()) < 5:
        rounds += 1
        now += STEP_S
        write_feed(settings, executor.run(now))
        for path in (settings.order_attempts, settings.orders_executed, settings.risk_vetoes):
            rotate(path)
        # Two at once, and each as likely in its first step as in its last.
        begun = time.monotonic()
        commands = ["shadow", delays.choice(["compare", "compare", "heartbeat"])]
        children = {start(command, now): command for command in commands}
        time.sleep(delays.uniform(0, longest_s))
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child, command in children.items():
            status = os.waitpid(child, 0)[1]
            if os.WIFSIGNALED(status):
                killed[command] += 1
            else:
                code = f"{command} {os.WEXITSTATUS(status)}"
                exits[code] = exits.get(code, 0) + 1
        if rounds % 10 == 0:  # Now and then one gets through.
            for command in ("shadow", "compare", "heartbeat"):
                begun = time.monotonic()
                child = start(command, now)
                code = f"{command} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"
                exits[code] = exits.get(code, 0) + 1
                longest_s = max(0.02, 0.5 * longest_s + 0.5 * (time.monotonic() - begun))
    now += 100_000.0
    for command in ("shadow", "heartbeat", "compare"):
        code = f"{command} {os.waitstatus_to_exitcode(os.waitpid(start(command, now), 0)[1])}"
        exits[code] = exits.get(code, 0) + 1
    sys.stdout.write(json.dumps({"killed": killed, "exits": exits, "rounds": rounds, "now": now}) + "\n")


if __name__ == "__main__":
    main_of_the_soak()
