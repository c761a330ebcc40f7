"""State files: replaced whole or not at all, whatever happens meanwhile."""

import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.files import make_folder, replace_file, replacing

OLD, NEW = b"old\n" * 50_000, b"new\n" * 80_000
REPLACING = """
import os, sys
from itertools import cycle, islice
from pathlib import Path
from pipeline_v6_dagster.storage.files import replace_file
contents = b"old\\n" * 50_000, b"new\\n" * 80_000
rounds = int(sys.argv[2])
for content in islice(cycle(contents), rounds) if rounds else cycle(contents):
    replace_file(Path(sys.argv[1]), content)
    os.write(1, b".")
"""
FULL_DISK = """
import resource, sys
from pathlib import Path
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.files import replace_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    replace_file(Path(sys.argv[1]), b"x" * 5000)
except StorageError as error:
    sys.exit(f"StorageError: {error}")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "head.json"


def child(script: str, *arguments: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def names(folder: Path) -> list[str]:
    return sorted(where.name for where in folder.iterdir())


def test_a_file_is_made_and_then_replaced(path: Path) -> None:
    replace_file(path, OLD)
    assert path.read_bytes() == OLD
    replace_file(path, NEW)
    assert path.read_bytes() == NEW
    assert names(path.parent) == ["head.json"]


def test_a_file_can_become_empty(path: Path) -> None:
    replace_file(path, OLD)
    replace_file(path, b"")

    assert path.read_bytes() == b""


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_file_is_for_its_owner_to_write_and_its_group_to_read(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        replace_file(path, OLD)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_content_is_durable_before_the_name_and_the_name_before_the_return(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(path.parent)
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(file: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(file).st_mode) else f"sync {os.fstat(file).st_size} bytes")
        fsync(file)

    def noted_replace(source: Path, target: Path) -> None:
        steps.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    replace_file(path, OLD)

    assert steps == [f"sync {len(OLD)} bytes", "replace", "sync folder"]


def test_a_reader_sees_the_old_or_the_new_content_never_a_part(path: Path) -> None:
    replace_file(path, OLD)
    seen = {OLD: 0, NEW: 0}
    with child(REPLACING, path, 150) as replacing_child:
        while replacing_child.poll() is None:
            content = path.read_bytes()
            assert content in seen
            seen[content] += 1
    assert replacing_child.returncode == 0
    assert all(seen.values())
    assert names(path.parent) == ["head.json"]


def test_a_replacement_killed_at_random_leaves_one_content_or_the_other(path: Path) -> None:
    delays = random.Random(5)  # noqa: S311 -- repeatable, not secret
    for _ in range(8):
        with child(REPLACING, path, 0) as replacing_child:
            assert replacing_child.stdout is not None
            replacing_child.stdout.read(2)
            time.sleep(delays.uniform(0, 0.01))
            replacing_child.kill()
        assert path.read_bytes() in (OLD, NEW)


def test_a_full_disk_leaves_the_old_content_and_no_temporary(path: Path) -> None:
    replace_file(path, OLD)
    with child(FULL_DISK, path) as process:
        _, stderr = process.communicate(timeout=60)

    assert (process.returncode, stderr.decode()) == (1, f"StorageError: {path}: cannot be written: File too large\n")
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["head.json"]


def test_a_folder_in_the_place_of_the_file_is_a_storage_error_and_leaves_no_temporary(path: Path) -> None:
    path.mkdir(parents=True)

    with pytest.raises(StorageError, match=r"head\.json: cannot be written: Is a directory"):
        replace_file(path, OLD)
    assert names(path.parent) == ["head.json"]


@pytest.mark.parametrize("depth", [1, 2])
def test_a_file_in_the_place_of_the_folder_is_a_storage_error(tmp_path: Path, depth: int) -> None:
    blocker = tmp_path / "state"
    blocker.write_bytes(b"mine")
    folder = blocker if depth == 1 else blocker / "deeper"

    with pytest.raises(StorageError, match=f"{folder}: cannot be made: .*; check its owner and mode"):
        replace_file(folder / "head.json", OLD)
    assert blocker.read_bytes() == b"mine"
    assert names(tmp_path) == ["state"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_not_written_to_its_end_replaces_nothing(path: Path, error: type[BaseException]) -> None:
    replace_file(path, OLD)
    with pytest.raises(error), replacing(path) as file:
        file.write(NEW[:1000])
        raise error

    assert path.read_bytes() == OLD
    assert names(path.parent) == ["head.json"]


def test_replacements_at_once_leave_one_of_them_whole(path: Path) -> None:
    with child(REPLACING, path, 40) as first, child(REPLACING, path, 40) as second:
        errors = [first.communicate(timeout=60)[1], second.communicate(timeout=60)[1]]

    assert errors == [b"", b""]
    assert path.read_bytes() in (OLD, NEW)
    assert names(path.parent) == ["head.json"]


def test_a_folder_is_made_with_its_parents_and_may_be_there_already(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").is_dir()
