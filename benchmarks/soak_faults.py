"""The faults of the soak: what happens to a service on a machine that people and other programs use."""

import contextlib
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg2

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.storage.feed import rotate
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster_tests.deployment import PG, Deployment

# As long as a backup or a migration locks a storage.
LOCKED_S = 60.0
HELD_S = 20.0
_HOSTILE = b'\0\0{"torn": \n[1, 2]\n"text"\n{"ts": "never", "qty": NaN}\n\xff\xfe\n' + b"[" * 10_000 + b"\n"


def parent_of(pid: int) -> int | None:
    """The process that started another one; None where that is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


class Faults:
    """Injects one fault at a time, chosen at random, and counts each kind. `lock` is held while the executor writes."""

    def __init__(self, deployment: Deployment, settings: Settings, lock: threading.Lock, choice: random.Random) -> None:
        self._deployment, self._settings, self._lock, self._choice = deployment, settings, lock, choice
        self.injected: Counter[str] = Counter()

    def inject(self, programs: Mapping[str, int], *, kills_programs: bool) -> None:
        """One fault. `programs` are the long-lived processes, which are killed only if `kills_programs`."""
        kinds: dict[str, Callable[[], bool]] = {
            "run killed": lambda: self._kill_run(programs),
            "input rotated": self._rotate,
            "hostile lines": self._write_hostile,
            "orders polled again": self._repeat_rows,
            "our lock held": self._hold_our_lock,
        }
        if self._choice.random() < 0.1:
            kinds["storage locked for a minute"] = self._lock_storage
        if kills_programs:
            kinds["program killed"] = lambda: self._kill(self._choice.choice(sorted(programs.values())))
        name = self._choice.choice(sorted(kinds))
        if kinds[name]():
            self.injected[name] += 1
            print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)

    def _kill_run(self, programs: Mapping[str, int]) -> bool:
        """A run is a child of the code server. One that takes a few seconds is waited for."""
        server = programs.get("code server")
        deadline = time.monotonic() + HELD_S
        while server is not None and time.monotonic() < deadline:
            runs = [pid for pid in self._deployment.processes("multiprocessing") if parent_of(pid) == server]
            if runs:
                return self._kill(self._choice.choice(runs))
            time.sleep(0.1)
        return False

    @staticmethod
    def _kill(pid: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _rotate(self) -> bool:
        settings = self._settings
        logs = (settings.orders_executed, settings.risk_vetoes, settings.order_metrics)
        with self._lock:
            rotate(self._choice.choice(logs))
        return True

    def _write_hostile(self) -> bool:
        logs = (self._settings.order_attempts, self._settings.orders_executed, self._settings.risk_vetoes)
        with self._lock, self._choice.choice(logs).open("ab") as log:
            log.write(_HOSTILE)
        return True

    def _repeat_rows(self) -> bool:
        """An executor that restarts polls its orders again, and logs what it has logged."""
        with self._lock, self._settings.orders_executed.open("ab+") as log:
            log.seek(max(0, log.tell() - 100_000))
            log.write(b"".join(log.read().splitlines(keepends=True)[1:]))
        return True

    def _hold_our_lock(self) -> bool:
        with locked(self._choice.choice((self._settings.shadow_log, self._settings.compare_diffs))):
            time.sleep(HELD_S)
        return True

    def _lock_storage(self) -> bool:
        """As a backup or a migration does: nobody writes to the storage of runs and events."""
        database = self._deployment.environ["DAGSTER_PG_DB"]
        if database:
            connection = psycopg2.connect(**PG, dbname=database)
            with contextlib.closing(connection), connection.cursor() as cursor:
                cursor.execute("LOCK TABLE runs, event_logs IN EXCLUSIVE MODE")
                time.sleep(LOCKED_S)
            return True
        with contextlib.ExitStack() as stack:
            for path in sorted(self._deployment.folder.rglob("*.db")):
                connection = stack.enter_context(contextlib.closing(sqlite3.connect(path, timeout=30.0)))
                with contextlib.suppress(sqlite3.OperationalError):
                    connection.execute("BEGIN IMMEDIATE")
            time.sleep(LOCKED_S)
        return True
