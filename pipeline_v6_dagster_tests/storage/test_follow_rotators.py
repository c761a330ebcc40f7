"""Following a log that some other program rotates, compresses, truncates or makes anew: nothing lost, nothing twice."""

import bz2
import gzip
import lzma
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.storage.follow import Follower, LogOffset
from pipeline_v6_dagster.storage.log_names import all_rotations, unreadable_rotations

Name = Callable[[Path, int], Path]


def inside(log: Path, number: int) -> Path:
    """`name.1.jsonl`, as the executor's own handler names it."""
    return log.with_name(f"{log.stem}.{number}{log.suffix}")


def behind(log: Path, number: int) -> Path:
    """`name.jsonl.1`, as logrotate and Python's handlers name it."""
    return log.with_name(f"{log.name}.{number}")


def packed(path: Path) -> Path:
    return path.with_name(path.name + ".gz")


names = pytest.mark.parametrize("name", [inside, behind], ids=["name.1.jsonl", "name.jsonl.1"])


class Reader:
    """One that reads in runs and remembers all positions, as our logs do."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.positions: list[LogOffset] = []
        self.seen: list[bytes] = []
        self.lost_bytes = 0

    def run(self, *, until: int | None = None) -> None:
        newest_first = self.positions[::-1]
        with Follower(self.log, newest_first[0] if newest_first else None, earlier=newest_first[1:]) as follower:
            for line in follower.lines():
                self.positions.append(line.offset())
                self.seen.append(line.raw)
                if until is not None and len(self.seen) >= until:
                    break
        assert not follower.rejected
        self.lost_bytes += follower.lost_bytes
        assert follower.is_offset_lost == (follower.lost_bytes > 0)


def write(log: Path, *numbers: int) -> None:
    with log.open("ab") as file:
        file.writelines(b'{"number": %d}\n' % number for number in numbers)


def lines(*numbers: int) -> list[bytes]:
    return [b'{"number": %d}' % number for number in numbers]


def rotate(log: Path, name: Name, *, is_copied: bool = False) -> None:
    """As logrotate does: all move up by one, the current one by rename or by copy and truncate."""
    for number in range(9, 0, -1):
        for where in (name(log, number), packed(name(log, number))):
            if where.exists():
                where.rename(str(where).replace(f".{number}", f".{number + 1}", 1))
    if is_copied:
        shutil.copyfile(log, name(log, 1))
        os.truncate(log, 0)
    else:
        log.rename(name(log, 1))


def compress(path: Path) -> None:
    packed(path).write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


@names
@pytest.mark.parametrize("is_copied", [False, True])
@pytest.mark.parametrize("is_delayed", [False, True])
@pytest.mark.parametrize("runs_each", [1, 3])
def test_a_log_that_is_rotated_and_compressed_is_read_once(
    log: Path, name: Name, is_copied: bool, is_delayed: bool, runs_each: int
) -> None:
    reader = Reader(log)
    for number in range(0, 60, 10):
        write(log, *range(number, number + 5))
        if number % (10 * runs_each) == 0:
            reader.run()
        write(log, *range(number + 5, number + 10))
        rotate(log, name, is_copied=is_copied)
        to_compress = name(log, 2 if is_delayed else 1)
        if to_compress.exists():
            compress(to_compress)
    write(log, 60)
    reader.run()
    assert reader.seen == lines(*range(61))
    assert reader.lost_bytes == 0


@names
def test_a_file_that_is_being_compressed_counts_once(log: Path, name: Name) -> None:
    reader = Reader(log)
    write(log, 1, 2)
    reader.run(until=1)
    rotate(log, name)
    write(log, 3)
    packed(name(log, 1)).write_bytes(gzip.compress(name(log, 1).read_bytes())[:-7])
    reader.run()
    assert reader.seen == lines(1, 2, 3)
    compress(name(log, 1))
    write(log, 4)
    reader.run()
    assert reader.seen == lines(1, 2, 3, 4)


@names
def test_a_file_that_is_compressed_and_moved_on_while_one_reads_is_read_to_its_end(log: Path, name: Name) -> None:
    write(log, *range(50))
    rotate(log, name)
    compress(name(log, 1))
    write(log, 50, 51)
    with Follower(log, None) as follower:
        rotate(log, name)
        compress(name(log, 1))
        write(log, 99)
        assert [line.raw for line in follower.lines()] == lines(*range(52))


def test_a_damaged_compressed_rotation_is_named_only_where_it_is_needed(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    rotate(log, inside)
    compress(inside(log, 1))
    packed(inside(log, 1)).write_bytes(b"not gzip")
    write(log, 2)
    with Follower(log, None) as follower:
        found = list(follower.lines())
        assert [line.raw for line in found] == lines(2)
        assert follower.damaged == [packed(inside(log, 1))]
    write(log, 3)
    with Follower(log, found[-1].offset()) as follower:
        assert [line.raw for line in follower.lines()] == lines(3)
        assert follower.damaged == []
    reader.run()
    assert reader.seen == lines(2, 3)


# -- the same name, another file -----------------------------------------------------------------------------------


def test_a_file_made_anew_in_the_same_inode_is_not_taken_for_the_old_one(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2, 3)
    reader.run()
    inode, size = log.stat().st_ino, log.stat().st_size
    log.write_bytes(b'{"number": 7}\n{"number": 8}\n{"number": 9}\n')
    assert (log.stat().st_ino, log.stat().st_size) == (inode, size)
    reader.run()
    assert reader.seen == lines(1, 2, 3, 7, 8, 9)
    assert reader.lost_bytes == size


def test_a_file_that_moved_to_another_inode_is_the_old_one(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2, 3)
    reader.run()
    copy = log.with_name("copy")
    shutil.copyfile(log, copy)
    inode = log.stat().st_ino
    copy.replace(log)
    assert log.stat().st_ino != inode
    write(log, 4)
    reader.run()
    assert (reader.seen, reader.lost_bytes) == (lines(1, 2, 3, 4), 0)


def test_a_file_that_only_begins_as_the_old_one_is_read_anew_from_where_they_part(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2, 3)
    reader.run()
    log.write_bytes(b"")
    write(log, 1, 2, 4, 5)
    reader.run()
    assert (reader.seen, reader.lost_bytes) == (lines(1, 2, 3, 4, 5), len(lines(3)[0]) + 1)


# -- what is gone --------------------------------------------------------------------------------------------------


def test_what_a_truncation_took_is_told_in_bytes(log: Path) -> None:
    reader = Reader(log)
    write(log, *range(10, 20))
    reader.run()
    line_bytes = log.stat().st_size // 10
    os.truncate(log, 4 * line_bytes)
    write(log, 20)
    reader.run()
    assert reader.seen == lines(*range(10, 20), 20)
    assert reader.lost_bytes == 6 * line_bytes
    os.truncate(log, 0)
    write(log, 21)
    reader.run()
    assert reader.lost_bytes == 6 * line_bytes + 5 * line_bytes


def test_what_was_deleted_with_its_rotation_is_told_in_bytes(log: Path) -> None:
    reader = Reader(log)
    write(log, 1, 2)
    reader.run()
    size = log.stat().st_size
    rotate(log, inside)
    write(log, 3)
    inside(log, 1).unlink()
    reader.run()
    assert (reader.seen, reader.lost_bytes) == (lines(1, 2, 3), size)


def test_nothing_is_told_while_the_file_is_only_away(log: Path) -> None:
    reader = Reader(log)
    write(log, 1)
    reader.run()
    away = log.rename(log.with_name("away"))
    reader.run()
    away.rename(log)
    write(log, 2)
    reader.run()
    assert (reader.seen, reader.lost_bytes) == (lines(1, 2), 0)


def test_a_file_that_is_cut_and_grows_again_while_it_is_read_is_read_no_further(log: Path) -> None:
    row = b'{"number": 1, "x": "' + b"x" * 500 + b'"}\n'
    log.write_bytes(row * 5000)
    seen = 0
    with Follower(log, None) as follower:
        for line in follower.lines():
            if not seen:
                os.truncate(log, len(row) * 10)
                with log.open("ab") as file:
                    file.write((b"y" * 1000 + b"\n") * 2000)
            seen += 1
            assert line.raw == row[:-1]
    assert 0 < seen < 5000


# -- any history ---------------------------------------------------------------------------------------------------

steps = st.lists(
    st.sampled_from(["write", "read", "rename", "copy", "compress", "compress the second", "away"]), max_size=40
)


@given(steps, st.sampled_from([inside, behind]))
def test_whatever_a_rotator_does_each_line_is_read_once(steps: list[str], name: Name) -> None:
    with TemporaryDirectory() as folder:
        log = Path(folder, "log.jsonl")
        reader = Reader(log)
        number = count()
        written = 0
        rotated = 0
        for step in steps:
            if step == "write":
                write(log, next(number), next(number))
                written += 2
            elif step == "read":
                reader.run()
            elif step in ("rename", "copy"):
                if log.exists() and log.stat().st_size and rotated < 8:
                    rotate(log, name, is_copied=step == "copy")
                    rotated += 1
            elif step == "away":
                if log.exists():
                    away = log.rename(log.with_name("away"))
                    reader.run()
                    away.rename(log)
            else:
                where = name(log, 1 if step == "compress" else 2)
                if where.exists():
                    compress(where)
        write(log, next(number))
        reader.run()
        assert reader.seen == lines(*range(written + 1))
        assert reader.lost_bytes == 0


# -- names with a date ---------------------------------------------------------------------------------------------


DATED = {
    "logrotate": "log.jsonl-202611{day:02d}",
    "logrotate with extension": "log-202611{day:02d}.jsonl",
    "logrotate hourly": "log.jsonl-20261124{day:02d}",
    "logrotate with seconds": "log.jsonl-20261124-17640000{day:02d}",
    "TimedRotatingFileHandler": "log.jsonl.2026-11-{day:02d}",
    "TimedRotatingFileHandler hourly": "log.jsonl.2026-11-24_{day:02d}",
    "TimedRotatingFileHandler by the second": "log.jsonl.2026-11-24_10-30-{day:02d}",
    "inner": "log.2026-11-{day:02d}.jsonl",
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("pattern", DATED.values(), ids=DATED.keys())
@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("is_copied", [False, True])
def test_a_log_whose_rotations_are_dated_is_read_once(log: Path, pattern: str, ending: str, is_copied: bool) -> None:
    reader = Reader(log)
    for day in range(9, 14):  # So that the order of the names is not that of numbers without leading zeros.
        write(log, 2 * day)
        if day % 2:
            reader.run()
        write(log, 2 * day + 1)
        rotated = log.with_name(pattern.format(day=day))
        if is_copied:
            shutil.copyfile(log, rotated)
            os.truncate(log, 0)
        else:
            log.rename(rotated)
        if ending:
            packed_path = rotated.with_name(rotated.name + ending)
            packed_path.write_bytes(PACKERS[ending](rotated.read_bytes()))
            rotated.unlink()
    write(log, 28)
    reader.run()
    assert reader.seen == lines(*range(18, 29))
    assert reader.lost_bytes == 0
    assert unreadable_rotations(log) == []


@pytest.mark.parametrize("to_dates", [False, True])
def test_a_rotator_that_is_told_to_name_otherwise_repeats_nothing(log: Path, to_dates: bool) -> None:
    rotated = [log.with_name("log.jsonl.2"), log.with_name("log.jsonl.1")]
    dated = [log.with_name("log.jsonl-20261123"), log.with_name("log.jsonl-20261124")]
    oldest_first = rotated + dated if to_dates else dated + rotated
    reader = Reader(log)
    for number, path in enumerate(oldest_first):
        write(log, number)
        reader.run()
        log.rename(path)
        os.utime(path, (1_790_000_000 + number, 1_790_000_000 + number))
    write(log, 4)
    reader.run()
    assert reader.seen == lines(*range(5))
    assert all_rotations(log) == oldest_first[::-1]


@pytest.mark.parametrize(
    "name",
    ["log.1.jsonl.zstd", "log.jsonl.1.lz4", "log.jsonl-20261124.Z", "log-20261124.jsonl.lz4", "log.jsonl.old"],
)
def test_a_rotation_that_cannot_be_read_is_named(log: Path, name: str) -> None:
    write(log, 1)
    write(log.with_name("log.1.jsonl"), 0)
    log.with_name(name).write_bytes(b"\x28\xb5\x2f\xfd")
    assert unreadable_rotations(log) == [log.with_name(name)]
    with Follower(log, None) as follower:
        assert [line.raw for line in follower.lines()] == lines(0, 1)


def test_a_rotation_that_is_damaged_or_a_folder_is_named(log: Path) -> None:
    log.with_name("log.jsonl.1.gz").write_bytes(b"no gzip")
    log.with_name("log.jsonl.2.xz").write_bytes(b"no xz")
    log.with_name("log.jsonl.3.zst").write_bytes(b"no zst")
    log.with_name("log-20261124.jsonl").mkdir()
    assert [path.name for path in unreadable_rotations(log)] == [
        "log-20261124.jsonl",
        "log.jsonl.1.gz",
        "log.jsonl.2.xz",
        "log.jsonl.3.zst",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "log-20261324.jsonl", "log-20261132.jsonl", "log.jsonl-1.zst", "other.jsonl.1.zst", "log_x-20261124.jsonl.zst",
        "log.jsonl.1.zst.tmp", "log.jsonl.lock", "log.jsonl.bak", "log.000001.jsonl.gz", "log.jsonl-20261124.json",
    ],
)  # fmt: skip
def test_what_only_looks_alike_is_no_rotation(log: Path, name: str) -> None:
    log.with_name(name).write_bytes(b"x\n")
    assert (all_rotations(log), unreadable_rotations(log)) == ([], [])


def test_a_log_in_a_folder_that_is_not_there_has_no_rotations(tmp_path: Path) -> None:
    assert unreadable_rotations(tmp_path / "none" / "log.jsonl") == []
