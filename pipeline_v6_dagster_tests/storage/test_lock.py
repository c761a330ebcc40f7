"""One writer per log: the others wait, then leave; a lock never outlives its owner."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from signal import SIGSTOP
from threading import Event

import pytest

from pipeline_v6_dagster.domain.errors import BusyError, StorageError
from pipeline_v6_dagster.storage.lock import locked

# Holds the lock until its standard input ends, and says so.
HOLDER = """
import sys
from pathlib import Path
from pipeline_v6_dagster.storage.lock import locked
with locked(Path(sys.argv[1]), 10):
    print("held", flush=True)
    sys.stdin.read()
"""
# Reads a number and writes the next one, which loses counts unless one waits for the other.
COUNTER = """
import sys
from pathlib import Path
from pipeline_v6_dagster.storage.lock import locked
path = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locked(path, 30):
        path.write_text(str(int(path.read_text()) + 1))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def child(script: str, *arguments: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@contextmanager
def held_by_another_process(log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with child(HOLDER, log) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder
        finally:
            holder.kill()


def test_another_process_is_waited_for_and_then_left_alone(log: Path) -> None:
    with held_by_another_process(log):
        start = time.monotonic()
        with pytest.raises(BusyError, match=r"log\.jsonl: another process has written to it for 0\.3 s"):
            with locked(log, 0.3):
                pytest.fail("held twice")
        assert 0.3 <= time.monotonic() - start < 5


@pytest.mark.parametrize("step_s", [sign * size for size in (3600.0, 86_400.0, 315_360_000.0) for sign in (1, -1)])
def test_a_step_of_the_clock_neither_shortens_nor_lengthens_the_wait(
    log: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    with locked(log, 0):
        times = count(time.time(), step_s)  # It steps whenever it is read.
        monkeypatch.setattr(time, "time", lambda: next(times))
        start = time.monotonic()
        with pytest.raises(BusyError), locked(log, 0.2):
            pytest.fail("held twice")
        assert 0.2 <= time.monotonic() - start < 5
    with locked(log, 0):
        pass


def test_who_will_not_wait_leaves_at_once(log: Path) -> None:
    with held_by_another_process(log):
        start = time.monotonic()
        with pytest.raises(BusyError), locked(log, 0):
            pytest.fail("held twice")
        assert time.monotonic() - start < 2


def test_the_lock_is_handed_on_when_its_owner_is_done(log: Path) -> None:
    with held_by_another_process(log) as holder, ThreadPoolExecutor(1) as pool:

        def wait_for_it() -> float:
            with locked(log, 30):
                return time.monotonic()

        waiting = pool.submit(wait_for_it)
        time.sleep(0.2)
        assert not waiting.done()
        released = time.monotonic()
        holder.communicate()  # Ends its standard input.
        assert waiting.result() > released


def test_the_lock_dies_with_a_killed_owner(log: Path) -> None:
    with held_by_another_process(log) as holder:
        holder.kill()
        holder.wait()
        with locked(log, 0):
            assert holder.returncode == -9


def test_a_stopped_owner_keeps_the_lock(log: Path) -> None:
    with held_by_another_process(log) as holder:
        holder.send_signal(SIGSTOP)
        with pytest.raises(BusyError), locked(log, 0.1):
            pytest.fail("held twice")


def test_two_processes_never_hold_it_at_once(log: Path) -> None:
    log.write_text("0")
    counters = [child(COUNTER, log, 60) for _ in range(2)]
    for counter in counters:
        counter.communicate(timeout=60)

    assert [counter.returncode for counter in counters] == [0, 0]
    assert log.read_text() == "120"


def test_two_threads_never_hold_it_at_once(log: Path) -> None:
    log.write_text("0")

    def count() -> None:
        for _ in range(30):
            with locked(log, 30):
                log.write_text(str(int(log.read_text()) + 1))

    with ThreadPoolExecutor(2) as pool:
        for counting in [pool.submit(count) for _ in range(2)]:
            counting.result()
    assert log.read_text() == "60"


def test_another_thread_of_this_process_waits_and_leaves_too(log: Path) -> None:
    is_held, is_done = Event(), Event()

    def hold() -> None:
        with locked(log, 0):
            is_held.set()
            is_done.wait(30)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert is_held.wait(30)
        try:
            with pytest.raises(BusyError), locked(log, 0.1):
                pytest.fail("held twice")
        finally:
            is_done.set()
        holding.result()
    with locked(log, 0):
        pass


def test_who_holds_it_already_is_told_so_rather_than_stuck(log: Path) -> None:
    with locked(log, 0):
        with pytest.raises(BusyError), locked(log, 0.1):
            pytest.fail("held twice")
        with pytest.raises(BusyError), locked(log, 0):
            pytest.fail("the failed try let go of it")


def test_the_lock_is_free_after_use_and_after_an_error(log: Path) -> None:
    for _ in range(3):
        with locked(log, 0):
            pass
    with pytest.raises(ValueError, match="mine"), locked(log, 0):
        raise ValueError("mine")
    with locked(log, 0):
        pass


def test_each_log_has_a_lock_of_its_own(log: Path) -> None:
    with locked(log, 0), locked(log.with_name("other.jsonl"), 0):
        assert sorted(where.name for where in log.parent.iterdir()) == [".log.jsonl.lock", ".other.jsonl.lock"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_lock_file_is_for_its_owner_to_write_and_its_group_to_read(log: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with locked(log, 0):
            pass
    finally:
        os.umask(before)

    assert stat.S_IMODE(log.with_name(".log.jsonl.lock").stat().st_mode) == 0o640


def test_the_folder_is_made_where_it_is_missing(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b" / "log.jsonl", 0):
        assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_place_of_the_folder_is_a_storage_error(log: Path) -> None:
    log.write_bytes(b"")

    with pytest.raises(StorageError, match=f"{log}: cannot be made"), locked(log / "log.jsonl", 0):
        pytest.fail("held")


def test_a_folder_in_the_place_of_the_lock_is_a_storage_error(log: Path) -> None:
    log.with_name(".log.jsonl.lock").mkdir()

    with pytest.raises(StorageError, match=r"\.log\.jsonl\.lock: cannot be locked: Is a directory"):
        with locked(log, 1):
            pytest.fail("held")
