"""Our own logs: blocks appended whole, torn ends cut, rotated, archived, read backward, killed at any instant."""

import gzip
import os
import random
import stat
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import getsource
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.storage import disk
from pipeline_v6_dagster.storage.chain import unchained
from pipeline_v6_dagster.storage.follow import Follower
from pipeline_v6_dagster.storage.jsonl_log import KEPT_ROTATIONS, JsonlLog, LineKind
from pipeline_v6_dagster.storage.log_names import (
    archive_path,
    archives,
    rotated_path,
    rotations,
    waiting_archive_path,
    waiting_archives,
)
from pipeline_v6_dagster.storage.verification import verify_log


# A log of numbered blocks: some rows, then an end that carries the number of the block.
def classify_line(line: bytes) -> LineKind:
    if line.startswith(b'{"end": ') and line.endswith(b"}"):
        return LineKind.BLOCK_END
    return LineKind.INNER if line.startswith(b'{"row": ') and line.endswith(b"}") else LineKind.FOREIGN


def block(number: int, rows: int = 3) -> list[bytes]:
    return [b'{"row": %d.%d}' % (number, row) for row in range(rows)] + [b'{"end": %d}' % number]


def newest(log: JsonlLog) -> int:
    return next(
        (int(line[8:].partition(b",")[0]) for line in log.backward() if classify_line(line) is LineKind.BLOCK_END), -1
    )


# What children run, after the three functions above.
IMPORTS = """
from pathlib import Path
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
"""
BLOCKS = IMPORTS + "".join(map(getsource, (classify_line, block, newest)))
WRITER = """
import os, sys, time
log = JsonlLog(Path(sys.argv[1]), classify_line, max_bytes=int(sys.argv[2]))
log.recover()
number = newest(log)
while True:
    number += 1
    log.append(block(number))
    os.write(1, b"%d\\n" % number)
"""
LOCKED_WRITER = """
import sys
from pipeline_v6_dagster.storage.lock import locked
path, max_bytes, blocks = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for _ in range(blocks):
    with locked(path, 30):
        log = JsonlLog(path, classify_line, max_bytes)
        log.recover()
        log.append(block(newest(log) + 1))
"""
# Does one thing to a copy of a log, again and again, killed before its first, second, third... change of the disk.
KILLED_BEFORE_EACH_CHANGE = """
import os, shutil, signal, sys
from itertools import count
template, copies, max_bytes, action = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
CHANGES = {"os.rename", "os.remove", "os.truncate", "os.chmod", "tempfile.mkstemp"}

def act(folder):
    log = JsonlLog(folder / "log.jsonl", classify_line, max_bytes)
    if action == "append":
        log.recover()
        log.append(block(newest(log) + 1))
    else:
        log.replace_with(JsonlLog(folder / "fresh.rebuild", classify_line, max_bytes))

for step in count():
    folder = copies / f"{step:03d}"
    shutil.copytree(template, folder)
    child = os.fork()
    if child == 0:
        left = step
        def before(event, arguments):
            global left
            is_change = event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
            if is_change:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
        sys.addaudithook(before)
        try:
            act(folder)
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        sys.exit(status)
"""
FULL_DISK = """
import resource, sys
from pipeline_v6_dagster.domain.errors import StorageError
log = JsonlLog(Path(sys.argv[1]), classify_line, max_bytes=int(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    log.append(block(newest(log) + 1, rows=100))
except StorageError as error:
    sys.exit(f"StorageError: {error}")
"""


def blocks(first: int, last: int) -> list[bytes]:
    return [line for number in range(first, last + 1) for line in block(number)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def open_log(path: Path, max_bytes: int = 10_000) -> JsonlLog:
    return JsonlLog(path, classify_line, max_bytes)


def written(path: Path, first: int, last: int, max_bytes: int = 10_000) -> JsonlLog:
    """A log with the blocks `first` to `last`; with a `max_bytes` of 1 each in a file of its own."""
    log = open_log(path, max_bytes)
    for number in range(first, last + 1):
        log.append(block(number))
    return log


def forward(log: JsonlLog) -> list[bytes]:
    """What was appended, as its readers see it: without the chain, which is whole."""
    assert verify_log(log.path).findings == []
    return appended(log)


def appended(log: JsonlLog) -> list[bytes]:
    """The same of a log whose oldest lines are gone, or whose chain is none."""
    return [unchained(line) for line in log.backward()][::-1]


def followed(log: JsonlLog) -> list[bytes]:
    with Follower(log.path, None, with_archives=True) as follower:
        return [unchained(line.raw) for line in follower.lines()]


def lines_in(content: bytes) -> list[bytes]:
    """What was appended to one file."""
    assert content.endswith(b"\n") or not content
    return [unchained(line) for line in content.splitlines()]


def names(path: Path) -> list[str]:
    return sorted(where.name for where in path.parent.iterdir())


def child(script: str, *arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", BLOCKS + script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run_child(script: str, *arguments: object) -> tuple[int, str]:
    with child(script, *arguments) as process:
        _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr.decode()


# -- append --------------------------------------------------------------------------------------------------------


@contextmanager
def counted_calls() -> Iterator[dict[str, int]]:
    """How often this process writes and syncs, each call going through."""
    calls = {"write": 0, "fsync": 0}
    write, fsync = os.write, os.fsync

    def counted_write(file: int, content: bytes) -> int:
        calls["write"] += 1
        return write(file, content)

    def counted_fsync(file: int) -> None:
        calls["fsync"] += 1
        fsync(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", counted_write)
        patch.setattr(os, "fsync", counted_fsync)
        yield calls


def test_a_block_is_one_write_and_one_sync(path: Path) -> None:
    log = written(path, 1, 1)
    with counted_calls() as calls:
        log.append(block(2, rows=5000))

    assert calls == {"write": 1, "fsync": 1}


def test_the_first_block_syncs_the_folder_too(path: Path) -> None:
    with counted_calls() as calls:
        written(path, 1, 1)

    assert calls == {"write": 1, "fsync": 2}


def test_a_write_that_ends_early_is_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a signal ends one: the kernel takes a part and says how much.
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:7]))
    written(path, 1, 2)

    assert lines_in(path.read_bytes()) == blocks(1, 2)


def test_a_block_is_appended_as_it_is_but_for_its_links(path: Path) -> None:
    written(path, 1, 2)
    content = path.read_bytes()

    assert b"".join(unchained(line) + b"\n" for line in content.splitlines()) == b"".join(
        line + b"\n" for line in blocks(1, 2)
    )
    assert all(unchained(line) != line for line in content.splitlines())


def test_an_empty_block_leaves_no_trace(path: Path) -> None:
    open_log(path).append([])

    assert names(path) == []


def test_the_folder_is_made_where_it_is_missing(tmp_path: Path) -> None:
    log = written(tmp_path / "a" / "b" / "log.jsonl", 1, 1)

    assert forward(log) == block(1)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_file_of_a_log_is_for_its_owner_to_write_and_its_group_to_read(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        written(path, 1, KEPT_ROTATIONS + 3, max_bytes=1)
    finally:
        os.umask(before)

    assert len(names(path)) == KEPT_ROTATIONS + 3
    assert {stat.S_IMODE(where.stat().st_mode) for where in path.parent.iterdir()} == {0o640}


def test_a_log_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.jsonl").mkdir()

    for path in (tmp_path / "file" / "log.jsonl", tmp_path / "folder.jsonl"):
        with pytest.raises(StorageError, match=str(path.parent if path.name == "log.jsonl" else path)):
            open_log(path).append(block(1))


def test_a_full_disk_costs_only_the_block_that_did_not_fit(path: Path) -> None:
    log = written(path, 1, 2)
    whole = path.stat().st_size
    exit_code, stderr = run_child(FULL_DISK, path, 10_000, whole + 200)

    assert exit_code == 1
    assert stderr.startswith(f"StorageError: {path}: cannot be written: File too large")
    assert path.stat().st_size == whole + 200
    assert log.recover() == 200
    log.append(block(3))
    assert forward(log) == blocks(1, 3)


# -- recover -------------------------------------------------------------------------------------------------------


def test_a_whole_log_is_left_as_it_is(path: Path) -> None:
    log = written(path, 1, 3)
    before = path.read_bytes()

    assert log.recover() == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b""])
def test_there_is_nothing_to_recover_in_an_absent_or_empty_log(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)

    assert open_log(path).recover() == 0


def test_whatever_was_written_of_a_block_is_cut_and_reported(path: Path) -> None:
    log = written(path, 1, 2)
    whole = path.read_bytes()
    torn = b"".join(line + b"\n" for line in block(3))
    for length in range(len(torn)):
        path.write_bytes(whole + torn[:length])
        assert log.recover() == length
        assert path.read_bytes() == whole
    path.write_bytes(whole + torn)
    assert log.recover() == 0


@pytest.mark.parametrize(("torn", "syncs"), [(b"", 0), (b'{"row": 2', 1)])
def test_a_cut_is_durable(path: Path, torn: bytes, syncs: int) -> None:
    log = written(path, 1, 1)
    with path.open("ab") as file:
        file.write(torn)
    with counted_calls() as calls:
        log.recover()

    assert calls == {"write": 0, "fsync": syncs}


def test_a_torn_first_block_leaves_an_empty_log(path: Path) -> None:
    torn = b'{"row": 1.0}\n{"row": 1.1}\n{"ro'
    path.write_bytes(torn)

    assert open_log(path).recover() == len(torn)
    assert path.read_bytes() == b""


def test_zeros_that_a_power_failure_left_are_cut(path: Path) -> None:
    log = written(path, 1, 1)
    with path.open("ab") as file:
        file.write(b"\0" * 5000)

    assert log.recover() == 5000
    assert forward(log) == block(1)


@pytest.mark.parametrize("line_bytes", [100, 65_535, 65_536, 65_537, 300_000])
def test_torn_blocks_longer_than_what_is_read_at_once_are_cut(path: Path, line_bytes: int) -> None:
    log = open_log(path)
    log.append([b'{"row": %s}' % (b"x" * line_bytes), b'{"end": 1}'])
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"row": %s}\n' % (b"y" * line_bytes) * 5 + b'{"row": ' + b"z" * line_bytes)

    assert log.recover() == 5 * (line_bytes + 10) + 8 + line_bytes
    assert path.stat().st_size == whole


@pytest.mark.parametrize(
    "content",
    [
        b"theirs\n",
        b'{"theirs": 1}\n',
        b'{"end": 1}\ntheirs\n',
        b'{"end": 1}\n{"row": 2.0}\ntheirs\n',
        b'{"end": 1}\ntheirs\n{"row": 2.0}\n{"ro',
        b'{"end": 1}\n\n',
        b"theirs, without a newline",
        b'[{"theirs": 1}]',
        b'{"end": 1}\ntheirs',
    ],
)
def test_what_another_program_wrote_is_never_cut(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"log\.jsonl: holds lines of another program"):
        open_log(path).recover()
    assert path.read_bytes() == content


def test_a_log_that_cannot_be_read_cannot_be_recovered(path: Path) -> None:
    path.mkdir()

    with pytest.raises(StorageError, match="cannot be recovered: Is a directory"):
        open_log(path).recover()


def test_the_chain_goes_on_from_what_is_there_after_an_append_that_failed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = written(path, 1, 1)

    def fails(file: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", fails)
        with pytest.raises(StorageError, match="Input/output error"):
            log.append(block(2))
    log.append(block(3))
    assert forward(log) == blocks(1, 3)  # The block was written, though nobody knows whether it is safe.


def test_the_chain_goes_on_from_what_is_there_after_a_cut(path: Path) -> None:
    log = written(path, 1, 1)
    log.append(block(2)[:-1])
    assert log.recover() > 0
    log.append(block(3))
    assert forward(log) == [*block(1), *block(3)]


# -- rotation and archives -----------------------------------------------------------------------------------------


def test_a_log_is_rotated_when_it_has_reached_its_size(path: Path) -> None:
    written(path, 1, 2)
    size = path.stat().st_size
    path.unlink()
    log = written(path, 1, 2, max_bytes=size)
    assert names(path) == ["log.jsonl"]

    log.append(block(3))
    assert names(path) == ["log.1.jsonl", "log.jsonl"]
    assert lines_in(path.read_bytes()) == block(3)
    assert lines_in(rotated_path(path, 1).read_bytes()) == blocks(1, 2)


def test_rotations_become_archives_in_the_order_in_which_they_were_written(path: Path) -> None:
    log = written(path, 1, 10, max_bytes=1)

    assert [number for number, _ in rotations(path)] == [1, 2, 3, 4, 5]
    assert [where.name for _, where in archives(path)] == [f"log.00000{n}.jsonl.gz" for n in (1, 2, 3, 4)]
    for number, where in archives(path):
        assert lines_in(gzip.decompress(where.read_bytes())) == block(number)
    assert forward(log) == followed(log) == blocks(1, 10)


def test_an_archive_depends_on_nothing_but_its_content(path: Path) -> None:
    written(path, 1, 7, max_bytes=1)
    flags_and_time = archive_path(path, 1).read_bytes()[3:8]

    assert flags_and_time == b"\0" * 5  # No file name in it either.


def test_an_archive_is_never_overwritten(path: Path) -> None:
    log = written(path, 1, 9, max_bytes=1)
    archive_path(path, 1).unlink()
    archive_path(path, 3).rename(archive_path(path, 999_999))
    kept = {where: where.read_bytes() for _, where in archives(path)}
    for number in range(10, 13):
        log.append(block(number))

    assert [number for number, _ in archives(path)] == [2, 999_999, 1_000_000, 1_000_001, 1_000_002]
    assert all(where.read_bytes() == content for where, content in kept.items())
    assert forward(log) == followed(log) == blocks(2, 12)
    assert verify_log(path).first_number == 5


@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_archive_step_that_was_killed_is_completed_once(path: Path, is_compressed: bool) -> None:
    log = written(path, 1, 7, max_bytes=1)
    waiting_archive_path(path, 1).write_bytes(gzip.decompress(archive_path(path, 1).read_bytes()))
    if not is_compressed:
        archive_path(path, 1).unlink()
    assert forward(log) == followed(log) == blocks(1, 7)

    log.append(block(8))
    assert waiting_archives(path) == []
    assert [where.name for _, where in archives(path)] == ["log.000001.jsonl.gz", "log.000002.jsonl.gz"]
    assert forward(log) == followed(log) == blocks(1, 8)


@pytest.mark.parametrize("gap", [1, 2, 3, 5])
def test_a_gap_that_a_killed_rotation_left_is_filled_by_the_next(path: Path, gap: int) -> None:
    log = written(path, 1, 6, max_bytes=1)
    for number in range(5, gap - 1, -1):
        rotated_path(path, number).rename(rotated_path(path, number + 1))
    rotated_path(path, 6).unlink()  # Block 1; a rotation as far as this would have archived it before.
    assert appended(log) == blocks(2, 6)

    log.append(block(7))
    assert [number for number, _ in rotations(path)] == [1, 2, 3, 4, 5]
    assert archives(path) == []
    assert appended(log) == followed(log) == blocks(2, 7)


def test_rotations_beyond_the_last_are_archived_oldest_first(path: Path) -> None:
    log = written(path, 4, 9, max_bytes=1)
    for number, where in ((3, 6), (2, 7), (1, 8)):  # Left by someone who kept more of them.
        rotated_path(path, where).write_bytes(b"".join(line + b"\n" for line in block(number)))

    log.append(block(10))
    assert [number for number, _ in archives(path)] == [1, 2, 3, 4]
    assert appended(log) == followed(log) == blocks(1, 10)


def test_an_archive_that_cannot_be_written_loses_nothing(path: Path) -> None:
    log = written(path, 1, 6, max_bytes=1)
    exit_code, stderr = run_child(FULL_DISK, path, 1, 40)

    assert exit_code == 1
    assert stderr.startswith(f"StorageError: {archive_path(path, 1)}: cannot be written: File too large")
    assert [number for number, _ in waiting_archives(path)] == [1]
    assert not [name for name in names(path) if name.startswith(".")]
    assert forward(log) == followed(log) == blocks(1, 6)
    log.append(block(7))
    log.append(block(8))
    assert waiting_archives(path) == []
    assert [number for number, _ in archives(path)] == [1, 2]
    assert forward(log) == followed(log) == blocks(1, 8)


# -- backward ------------------------------------------------------------------------------------------------------


def test_a_log_that_is_not_there_has_no_lines(path: Path) -> None:
    assert forward(open_log(path)) == []


def test_an_unfinished_line_is_not_read_backward(path: Path) -> None:
    log = written(path, 1, 2)
    with path.open("ab") as file:
        file.write(b'{"row": 3')

    assert forward(log) == blocks(1, 2)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 90_000) | st.integers(0, 40), max_size=6), max_size=25),
    st.integers(1, 200_000) | st.integers(1, 500),
)
def test_backward_is_the_reverse_of_all_that_was_appended(sizes: list[list[int]], max_bytes: int) -> None:
    with TemporaryDirectory() as folder:
        log = open_log(Path(folder, "log.jsonl"), max_bytes)
        expected: list[bytes] = []
        for number, row_sizes in enumerate(sizes):
            lines = [b'{"row": %d, "x": "%s"}' % (number, b"x\r" * (size // 2)) for size in row_sizes]
            log.append(lines)
            expected += lines
        assert forward(log) == expected
        assert followed(log) == expected


def test_memory_is_bounded_whatever_the_log_is_long(path: Path) -> None:
    end = b'{"end": %s}\n' % (b"1" * 10_000)
    for number, where in enumerate((path, rotated_path(path, 1))):
        where.write_bytes(b'{"end": %d}\n' % number + end * 4000)
    with gzip.open(archive_path(path, 1), "wb", compresslevel=1) as file:
        for _ in range(60):
            file.write(end * 100)
    log = open_log(path)
    tracemalloc.start()
    try:
        count = sum(1 for _ in log.backward())
        log.recover()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 14_002
    assert peak < 50_000_000  # An archive is held up to 40 MB, of a file of 40 MB only what is read at once.


def test_a_damaged_archive_is_a_storage_error(path: Path) -> None:
    log = written(path, 1, 7, max_bytes=1)
    archive_path(path, 1).write_bytes(archive_path(path, 1).read_bytes()[:-3])

    lines = log.backward()
    assert [unchained(next(lines)) for _ in blocks(2, 7)] == blocks(2, 7)[::-1]
    with pytest.raises(StorageError, match=r"log\.000001\.jsonl\.gz: cannot be read"):
        next(lines)


def test_a_reader_holds_on_to_what_was_there_while_the_log_is_rotated(path: Path) -> None:
    log = written(path, 1, 9, max_bytes=1)
    lines = log.backward()
    seen = [next(lines)]
    for number in range(10, 14):
        log.append(block(number))
    seen += lines

    assert [unchained(line) for line in seen] == blocks(1, 9)[::-1]


def test_a_reader_survives_that_a_torn_end_is_cut_under_it(path: Path) -> None:
    log = open_log(path, 10_000_000)
    for number in range(1, 9):
        log.append([b'{"row": %d, "x": "%s"}' % (number, b"x" * 9000), b'{"end": %d}' % number])
    whole = list(log.backward())
    torn = b'{"row": 9, "x": "%s"}' % (b"y" * 50_000)
    with path.open("ab") as file:
        file.write((torn + b"\n") * 3)
    lines = log.backward()
    assert next(lines) == torn
    log.recover()

    assert [line for line in lines if line != torn] == whole


# -- replace -------------------------------------------------------------------------------------------------------


def test_removing_a_log_leaves_nothing_of_it(path: Path) -> None:
    log = written(path, 1, 8, max_bytes=1)
    waiting_archive_path(path, 2).write_bytes(b"")
    waiting_archive_path(path, 9).write_bytes(b"")
    path.with_name("other.1.jsonl").write_bytes(b"")
    log.remove()
    log.remove()

    assert names(path) == ["other.1.jsonl"]


def test_a_log_that_cannot_be_removed_is_a_storage_error(path: Path) -> None:
    rotated_path(path, 1).mkdir()

    with pytest.raises(StorageError, match="cannot be deleted"):
        open_log(path).remove()


@pytest.mark.parametrize("old_blocks", [0, 1, 9])
@pytest.mark.parametrize("new_blocks", [0, 1, 3, 12])
def test_a_replaced_log_is_the_fresh_one_alone(path: Path, old_blocks: int, new_blocks: int) -> None:
    log = written(path, 1, old_blocks, max_bytes=1)
    fresh = written(path.with_name(".log.jsonl.rebuild"), 101, 100 + new_blocks, max_bytes=1)
    log.replace_with(fresh)

    assert forward(log) == followed(log) == blocks(101, 100 + new_blocks)
    assert forward(fresh) == []
    assert len(names(path)) == new_blocks
    log.append(block(101 + new_blocks))
    assert forward(log) == blocks(101, 101 + new_blocks)


def test_a_fresh_log_with_an_archive_that_was_killed_half_way_replaces_whole(path: Path) -> None:
    log = written(path, 1, 2)
    fresh = written(path.with_name(".log.jsonl.rebuild"), 101, 108, max_bytes=1)
    packed = archive_path(fresh.path, 2)
    waiting_archive_path(fresh.path, 2).write_bytes(gzip.decompress(packed.read_bytes()))
    log.replace_with(fresh)

    assert forward(log) == followed(log) == blocks(101, 108)
    assert len(names(path)) == 8


# -- killed --------------------------------------------------------------------------------------------------------


def kills(tmp_path: Path, action: str) -> list[Path]:
    """Copies of the log in `tmp_path/template`, each left by a process that was killed in `action`."""
    (tmp_path / "killed").mkdir()
    exit_code, stderr = run_child(KILLED_BEFORE_EACH_CHANGE, tmp_path / "template", tmp_path / "killed", 1, action)
    assert exit_code == 0, stderr
    return [folder / "log.jsonl" for folder in sorted((tmp_path / "killed").iterdir())]


@pytest.mark.parametrize("block_count", [1, 4, 9])
def test_a_rotation_killed_before_any_change_loses_and_doubles_nothing(tmp_path: Path, block_count: int) -> None:
    written(tmp_path / "template" / "log.jsonl", 1, block_count, max_bytes=1)
    *killed, done = kills(tmp_path, "append")

    assert forward(open_log(done)) == blocks(1, block_count + 1)
    assert len(killed) > min(block_count, KEPT_ROTATIONS)
    for path in killed:
        log = open_log(path, max_bytes=1)
        assert forward(log) == followed(log) == blocks(1, block_count)
        assert log.recover() == 0
        for number in range(block_count + 1, block_count + 8):
            log.append(block(number))
        assert forward(log) == followed(log) == blocks(1, block_count + 7)
        assert waiting_archives(path) == []


def test_a_replacement_killed_before_any_change_leaves_one_log_or_the_other(tmp_path: Path) -> None:
    written(tmp_path / "template" / "log.jsonl", 1, 8, max_bytes=1)
    written(tmp_path / "template" / "fresh.rebuild", 101, 108, max_bytes=1)
    *killed, done = kills(tmp_path, "replace")

    assert forward(open_log(done)) == blocks(101, 108)
    assert len(killed) >= 16
    old, new = blocks(1, 8), blocks(101, 108)
    for path in killed:
        log = open_log(path, max_bytes=1)
        left = appended(log)
        assert left == followed(log)
        # The newest of the old one, or the oldest of the new one: each a log from which one can go on.
        assert left in (old[len(old) - len(left) :], new[: len(left)])
        fresh = open_log(path.with_name("fresh.rebuild"), max_bytes=1)
        fresh.remove()
        for number in range(101, 109):
            fresh.append(block(number))
        log.replace_with(fresh)
        assert forward(log) == new


def test_a_writer_killed_at_random_loses_no_acknowledged_block_and_doubles_none(path: Path) -> None:
    delays = random.Random(6)  # noqa: S311 -- repeatable, not secret
    log = open_log(path, max_bytes=150)
    acknowledged = -1
    for _ in range(30):
        with child(WRITER, path, 150, 0) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(delays.uniform(0, 0.015))
            writer.kill()
            acknowledged = max(acknowledged, *map(int, (first + writer.stdout.read()).split()))
        log.recover()
        lines = forward(log)
        assert newest(log) >= acknowledged
        assert lines == blocks(0, newest(log))
        assert followed(log) == lines

    assert archives(path)  # So that kills have met the archive step too.


def test_a_reader_beside_a_writer_sees_whole_logs_only(path: Path) -> None:
    with child(WRITER, path, 1000, 0.02) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            lengths_seen = set()
            deadline = time.monotonic() + 30  # However busy the machine is, it is read a few times by then.
            while len(lengths_seen) < 25 and time.monotonic() < deadline:
                try:
                    lines = forward(open_log(path))
                except StorageError as error:  # On a busy machine: it says so and may be run again.
                    assert "rotated faster" in str(error)
                    continue
                lengths_seen.add(len(lines))
                assert lines == blocks(0, len(lines))[: len(lines)]
            assert len(lengths_seen) > 1
        finally:
            writer.kill()
            writer.communicate()


def test_two_writers_at_once_corrupt_nothing(path: Path) -> None:
    writers = [child(LOCKED_WRITER, path, 150, 25) for _ in range(2)]
    for writer in writers:
        _, stderr = writer.communicate(timeout=60)
        assert (writer.returncode, stderr) == (0, b"")

    assert forward(open_log(path)) == blocks(0, 49)
