"""Which files make up a log, in which order, and that they are seen as they stood together."""

import gzip
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.log_files import HEAD_BYTES, LogFile, line_digest, open_log_files
from pipeline_v6_dagster.storage.log_names import (
    archive_path,
    archives,
    rotated_path,
    rotations,
    waiting_archive_path,
    waiting_archives,
)

# A log that is rotated some hundred times a second: each file holds one number, the rotations are kept in a row.
ROTATING = """
import os, sys, time
folder = sys.argv[1]
names = [os.path.join(folder, "log.jsonl"), *(os.path.join(folder, f"log.{n}.jsonl") for n in range(1, 9))]
number = 0
while True:
    for newer, older in reversed(list(zip(names, names[1:]))):
        if os.path.exists(newer):
            os.rename(newer, older)
    with open(names[0], "w") as file:
        file.write(f"{number}\\n")
    number += 1
    time.sleep(0.002)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def put(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def contents(log: Path, *, with_archives: bool = False) -> list[bytes]:
    with open_log_files(log, with_archives=with_archives) as generations:
        found = []
        for generation in generations:
            with generation.reading() as file:
                found.append(file.read())
        return found


def heads(log: Path) -> list[str | None]:
    with open_log_files(log) as generations:
        return [generation.head for generation in generations]


@contextmanager
def current(log: Path) -> Iterator[LogFile]:
    with open_log_files(log) as generations:
        yield generations[-1]


def test_names_of_rotations_and_archives(log: Path) -> None:
    assert rotated_path(log, 2).name == "log.2.jsonl"
    assert archive_path(log, 7).name == "log.000007.jsonl.gz"
    assert waiting_archive_path(log, 1_234_567).name == "log.1234567.jsonl.archiving"


def test_rotations_and_archives_are_listed_by_number(log: Path) -> None:
    for number in (10, 9, 2):
        put(rotated_path(log, number), b"\n")
        put(archive_path(log, number), b"\n")

    assert [number for number, _ in rotations(log)] == [2, 9, 10]
    assert archives(log) == [(number, archive_path(log, number)) for number in (2, 9, 10)]


@pytest.mark.parametrize(
    "name",
    [
        "log.1.jsonl.bak",
        "log.old.jsonl",
        "other.1.jsonl",
        "xlog.1.jsonl",
        "log.1xjsonl",
        "log.20260101.jsonl",
        "log.1.jsonl.zip",
        "log.jsonl.1.jsonl",
        "log.jsonl.gz",
        ".log.000001.jsonl.gz.k2j3h4",
        "log.000001.jsonl.archiving.tmp",
    ],
)
def test_files_that_only_look_alike_are_not_part_of_a_log(log: Path, name: str) -> None:
    log.with_name(name).write_bytes(b"1\n")

    assert (rotations(log), archives(log), contents(log, with_archives=True)) == ([], [], [])


def test_an_archive_that_waits_to_be_compressed_counts_once(log: Path) -> None:
    put(archive_path(log, 1), b"1\n")
    put(archive_path(log, 2), b"2\n")
    put(waiting_archive_path(log, 2), b"2\n")
    put(waiting_archive_path(log, 3), b"3\n")

    assert [number for number, _ in waiting_archives(log)] == [2, 3]
    assert [number for number, _ in archives(log)] == [1, 2, 3]
    assert contents(log, with_archives=True) == [b"1\n", b"2\n", b"3\n"]


def test_generations_come_oldest_first(log: Path) -> None:
    put(archive_path(log, 1), b"1\n")
    put(archive_path(log, 2), b"2\n")
    put(rotated_path(log, 10), b"3\n")
    put(rotated_path(log, 9), b"4\n")
    put(log, b"5\n")

    assert contents(log, with_archives=True) == [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"]
    assert contents(log) == [b"3\n", b"4\n", b"5\n"]
    with open_log_files(log) as generations:
        assert [generation.is_current for generation in generations] == [False, False, True]


def test_a_log_in_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert contents(tmp_path / "none" / "log.jsonl", with_archives=True) == []


def test_a_log_whose_folder_is_a_file_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError, match="cannot be listed"):
        contents(tmp_path / "file" / "log.jsonl")


@pytest.mark.parametrize("name", ["log.jsonl", "log.1.jsonl"])
def test_a_folder_in_the_place_of_a_file_cannot_be_read(log: Path, name: str) -> None:
    log.with_name(name).mkdir()

    with pytest.raises(StorageError, match=name):
        contents(log)


def test_a_dangling_link_is_a_log_that_is_absent(log: Path) -> None:
    log.symlink_to("not-mounted.jsonl")
    put(rotated_path(log, 1), b"1\n")

    assert contents(log) == [b"1\n"]


@pytest.mark.parametrize("content", [b"", b"{", b"x" * (HEAD_BYTES - 1)])
def test_a_file_has_no_head_before_its_first_line_is_whole(log: Path, content: bytes) -> None:
    put(log, content)

    assert heads(log) == [None]


@pytest.mark.parametrize("content", [b"1\n", b"x" * HEAD_BYTES, b"x" * (HEAD_BYTES - 1) + b"\n"])
def test_a_head_stays_the_same_while_the_file_grows(log: Path, content: bytes) -> None:
    put(log, content)
    before = heads(log)
    put(log, content + b"2\n")

    assert before != [None]
    assert heads(log) == before


def test_a_head_is_of_the_first_line_alone(log: Path) -> None:
    put(rotated_path(log, 3), b"1\n")
    put(rotated_path(log, 2), b"1\n2\n")
    put(rotated_path(log, 1), b"1 \n2\n")

    third, second, first = heads(log)
    assert third == second != first


def test_an_archive_has_the_head_that_it_had_as_a_rotation(log: Path) -> None:
    put(log, b"1\n2\n")
    before = heads(log)
    log.unlink()
    put(archive_path(log, 1), b"1\n2\n")

    with open_log_files(log, with_archives=True) as generations:
        assert [generation.head for generation in generations] == before


def test_lines_keep_their_names_for_ever() -> None:
    # Written into every shadow row as its decision id: were they to change, each row would be decided again.
    assert line_digest("0123456789abcdef", 42, b'{"a":1}') == "1a158d2441c0c25c"


def test_a_line_is_named_by_its_file_its_place_and_its_bytes() -> None:
    names = {
        line_digest("0123456789abcdef", 0, b"a"),
        line_digest("0123456789abcdee", 0, b"a"),
        line_digest("0123456789abcdef", 1, b"a"),
        line_digest("0123456789abcdef", 0, b"b"),
    }
    assert len(names) == 4


def test_an_opened_file_stays_the_same_whatever_name_it_gets(log: Path) -> None:
    put(log, b"1\n")
    with current(log) as generation:
        log.rename(rotated_path(log, 1))
        put(log, b"2\n")
        with generation.reading() as file:
            assert file.read() == b"1\n"


def test_reading_starts_at_the_start_each_time(log: Path) -> None:
    put(log, b"1\n")
    put(archive_path(log, 1), b"0\n")
    with open_log_files(log, with_archives=True) as generations:
        for generation, expected in zip(generations, (b"0\n", b"1\n"), strict=True):
            for _ in range(2):
                with generation.reading() as file:
                    assert file.read() == expected


def test_hundreds_of_archives_take_no_more_open_files_than_one(log: Path) -> None:
    for number in range(1, 301):
        put(archive_path(log, number), b"%d\n" % number)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with log.open("wb") as lowest_free:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno() + 20, hard))
    try:
        assert len(contents(log, with_archives=True)) == 301
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "packed",
    [
        b"1\n",
        gzip.compress(b"1\n" * 10_000)[:-9],
        gzip.compress(b"1\n")[:10] + b"\xff" * 30,
        gzip.compress(b"1\n")[:-8] + b"\0" * 8,
    ],
    ids=["not gzip", "cut", "garbled", "wrong checksum"],
)
def test_a_damaged_archive_cannot_be_read(log: Path, packed: bytes) -> None:
    archive_path(log, 1).write_bytes(packed)

    with pytest.raises(StorageError, match=r"log\.000001\.jsonl\.gz: cannot be read"):
        contents(log, with_archives=True)


def test_a_damaged_archive_stands_in_the_way_of_nothing_newer(log: Path) -> None:
    archive_path(log, 1).write_bytes(b"1\n")
    put(log, b"2\n")

    with open_log_files(log, with_archives=True) as generations, generations[-1].reading() as file:
        assert file.read() == b"2\n"


def test_a_file_that_only_grew_is_not_rewritten(log: Path) -> None:
    put(log, b"1\n")
    with current(log) as generation, log.open("ab") as file:
        file.write(b"2\n")
        file.flush()
        assert not generation.is_rewritten()


@pytest.mark.parametrize("content", [b"", b"2\n", b"2\n" * 5000])
def test_a_file_that_was_truncated_is_rewritten(log: Path, content: bytes) -> None:
    put(log, b"1\n")
    with current(log) as generation:
        put(log, content)
        assert generation.is_rewritten()


@pytest.mark.parametrize("copied", [b"", b"1", b"1\n2", b"1\n2\n3\n"])
def test_a_copy_of_the_current_file_is_not_a_second_file(log: Path, copied: bytes) -> None:
    put(rotated_path(log, 2), b"0\n")
    put(rotated_path(log, 1), copied)
    put(log, b"1\n2\n3\n")

    assert contents(log) == [b"0\n", b"1\n2\n3\n"]


@pytest.mark.parametrize("newer", [b"", b"1\n2\n", b"1\n2\n4\n5\n", b"4\n1\n2\n3\n"])
def test_a_rotation_that_holds_anything_else_is_a_file_of_its_own(log: Path, newer: bytes) -> None:
    put(rotated_path(log, 1), b"1\n2\n3\n")
    put(log, newer)

    assert contents(log) == [b"1\n2\n3\n", newer]


def test_a_rotation_meanwhile_neither_hides_nor_doubles_a_file(log: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ROTATING, str(log.parent)]) as rotating:
        try:
            while not rotated_path(log, 8).exists():
                assert rotating.poll() is None
            oldest_seen = set()
            while len(oldest_seen) < 150:
                numbers = [int(content) for content in contents(log) if content]
                oldest_seen.add(numbers[0])
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
                assert len(numbers) >= 7  # The eighth may just be overwritten, the newest be empty.
        finally:
            rotating.kill()
