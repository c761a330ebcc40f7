"""A pipe or a device in the place of a file: it is refused, and nobody waits for it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster.storage.file_info import last_lines
from pipeline_v6_dagster.storage.follow import Follower
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
from pipeline_v6_dagster.storage.log_names import unreadable_rotations
from pipeline_v6_dagster_tests.live_builders import T0, Home


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # A socket's whole path may be too long.


@contextmanager
def let_go_after(seconds: float, pipe: Path) -> Iterator[None]:
    """Whoever waits for a writer of the pipe gets one, so that the test ends."""

    def write_nothing() -> None:
        with suppress(OSError):
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))

    timer = Timer(seconds, write_nothing)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, make_socket, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_a_socket_or_a_device_is_no_log(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "log.jsonl"
    make(path)
    with let_go_after(3, path):
        with pytest.raises(StorageError, match=r"log\.jsonl: cannot be read"), Follower(path, None) as follower:
            list(follower.lines())
        with pytest.raises(StorageError, match=r"log\.jsonl: cannot be read"):
            last_lines(path, 100)
        with pytest.raises(StorageError, match=r"log\.jsonl: cannot be"):
            JsonlLog(path, lambda line: LineKind.BLOCK_END).append([b"{}"])


@pytest.mark.parametrize("ending", ["1.jsonl", "jsonl.1.gz", "jsonl-20261124.zst"])
def test_a_pipe_is_no_rotation(tmp_path: Path, ending: str) -> None:
    path, pipe = tmp_path / "log.jsonl", tmp_path / f"log.{ending}"
    path.write_bytes(b"{}\n")
    os.mkfifo(pipe)
    with let_go_after(3, pipe):
        assert unreadable_rotations(path) == [pipe]
        with pytest.raises(StorageError, match="is no regular file"), Follower(path, None) as follower:
            list(follower.lines())


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    path, pipe = tmp_path / "log.jsonl", tmp_path / "log.000001.jsonl.gz"
    path.write_bytes(b"{}\n")
    os.mkfifo(pipe)
    log = JsonlLog(path, lambda line: LineKind.BLOCK_END)
    with let_go_after(3, pipe), pytest.raises(StorageError, match="is no regular file"):
        list(log.backward())


@pytest.mark.parametrize("name", ["risk_limits", "compare_summary", "shadow_head", "rollout_state"])
def test_a_pipe_in_the_place_of_another_file_is_refused(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    home.run(10)
    pipe: Path = getattr(home.settings, name)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    with let_go_after(3, pipe), pytest.raises(StorageError, match=f"{pipe}: cannot be read: is no regular file"):
        verify_logs(home.settings)
        load_configuration(home.settings.risk_limits, home.settings.pairs_universe)
        read_status(home.settings, T0 + 10)


def test_a_link_to_dev_null_is_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.symlink_to(os.devnull)
    with Follower(path, None) as follower:
        assert list(follower.lines()) == []
    assert last_lines(path, 100) == []
