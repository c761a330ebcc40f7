"""Following a log that others write, rotate, truncate, replace: each line once, in order, from where one left off."""

import gzip
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.domain.quality import Rejection
from pipeline_v6_dagster.storage import follow
from pipeline_v6_dagster.storage.follow import CHUNK_BYTES, MAX_LINE_BYTES, Follower, Line, LogOffset
from pipeline_v6_dagster.storage.log_names import archive_path, rotated_path, rotations

# An executor that appends numbers, each in two halves, and rotates by rename, many times a second.
EXECUTOR = """
import os, sys, time
log, lines = sys.argv[1], int(sys.argv[2])
name = lambda n: log.replace(".jsonl", f".{n}.jsonl")
file = open(log, "ab", buffering=0)
kept = 0
for number in range(lines):
    line = b"%d\\n" % number
    file.write(line[:2])
    file.write(line[2:])
    if number % 25 == 0:
        time.sleep(0.001)
    if number % 100 == 99:
        for older in range(kept, 0, -1):
            os.rename(name(older), name(older + 1))
        os.rename(log, name(1))
        kept += 1
        file.close()
        file = open(log, "ab", buffering=0)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one run of a reader saw, and where the next one resumes."""

    lines: list[bytes]
    position: LogOffset | None
    rejected: Counter[str]
    is_offset_lost: bool
    is_missing: bool


def read(
    log: Path,
    position: LogOffset | None = None,
    *,
    limit: int | None = None,
    earlier: Iterable[LogOffset] = (),
    with_archives: bool = False,
) -> Reading:
    follower = Follower(log, position, earlier=earlier, with_archives=with_archives)
    with follower:
        lines = list(islice(follower.lines(), limit))
    return Reading(
        lines=[line.raw for line in lines],
        position=lines[-1].offset() if lines else position,
        rejected=follower.rejected,
        is_offset_lost=follower.is_offset_lost,
        is_missing=follower.is_missing,
    )


def numbers(first: int, last: int) -> list[bytes]:
    return [b'{"number": %d}' % number for number in range(first, last + 1)]


def append(log: Path, lines: Iterable[bytes], *, end: bytes = b"") -> None:
    with log.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines) + end)


def rotate(log: Path) -> None:
    for number, where in reversed(rotations(log)):
        where.rename(rotated_path(log, number + 1))
    if log.exists():
        log.rename(rotated_path(log, 1))


def copy_for_rotation(log: Path) -> None:
    """The first half of copy-and-truncate."""
    for number, where in reversed(rotations(log)):
        where.rename(rotated_path(log, number + 1))
    shutil.copyfile(log, rotated_path(log, 1))


def truncate(log: Path, size: int = 0) -> None:
    with log.open("r+b") as file:
        file.truncate(size)


# -- reading and resuming ------------------------------------------------------------------------------------------


def test_every_line_is_read_once(log: Path) -> None:
    append(log, numbers(1, 3))
    first = read(log)
    append(log, numbers(4, 5))
    second = read(log, first.position)
    third = read(log, second.position)

    assert (first.lines, second.lines, third.lines) == (numbers(1, 3), numbers(4, 5), [])
    assert third == Reading(
        lines=[], position=second.position, rejected=Counter(), is_offset_lost=False, is_missing=False
    )


def test_each_line_tells_where_it_stands(log: Path) -> None:
    content = b'{"a": 1}\n\n  {"b": 2}\r\n' + b"x" * 5000 + b'\n{"c": 3}\n'
    log.write_bytes(content)

    with Follower(log, None) as follower:
        lines = list(follower.lines())
    assert [line.raw for line in lines] == [b'{"a": 1}', b'  {"b": 2}\r', b"x" * 5000, b'{"c": 3}']
    assert all(content[line.start : line.end] == line.raw + b"\n" for line in lines)
    assert len({line.head for line in lines}) == 1


def test_reading_resumes_after_any_line(log: Path) -> None:
    append(log, numbers(1, 3))
    rotate(log)
    append(log, numbers(4, 6))

    for limit in range(1, 7):
        position = read(log, limit=limit).position
        assert read(log, position).lines == numbers(limit + 1, 6)


def test_an_unfinished_last_line_is_left_until_it_is_whole(log: Path) -> None:
    append(log, numbers(1, 2), end=b'{"num')
    first = read(log)
    append(log, [b'ber": 3}'])
    second = read(log, first.position)

    assert (first.lines, second.lines) == (numbers(1, 2), numbers(3, 3))
    assert first.rejected == second.rejected == Counter()


def test_an_unfinished_first_line_is_left_until_it_is_whole(log: Path) -> None:
    append(log, [], end=b'{"num')
    assert read(log) == Reading(lines=[], position=None, rejected=Counter(), is_offset_lost=False, is_missing=False)
    append(log, [b'ber": 1}'])
    assert read(log).lines == numbers(1, 1)


def test_lines_that_are_appended_while_one_reads_are_read_too(log: Path) -> None:
    append(log, numbers(1, 2))
    seen = []
    with Follower(log, None) as follower:
        for line in follower.lines():
            if not seen:
                append(log, numbers(3, 4), end=b"{")
            seen.append(line)

    assert [line.raw for line in seen] == numbers(1, 4)
    append(log, [b"}"])
    assert read(log, seen[-1].offset()).lines == [b"{}"]


# -- rotation by rename --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotations_meanwhile", [1, 2, 5])
def test_reading_resumes_across_rotations(log: Path, rotations_meanwhile: int) -> None:
    append(log, numbers(1, 4))
    position = read(log, limit=2).position
    for number in range(rotations_meanwhile):
        rotate(log)
        append(log, numbers(5 + number, 5 + number))
    result = read(log, position)

    assert result.lines == numbers(3, 4 + rotations_meanwhile)
    assert not result.is_offset_lost


def test_reading_resumes_where_the_next_file_is_not_made_yet(log: Path) -> None:
    append(log, numbers(1, 3))
    position = read(log, limit=2).position
    rotate(log)
    first = read(log, position)
    second = read(log, first.position)

    assert (first.lines, second.lines) == (numbers(3, 3), [])
    assert not second.is_offset_lost


def test_reading_resumes_across_an_empty_file(log: Path) -> None:
    append(log, numbers(1, 3))
    position = read(log, limit=2).position
    rotate(log)
    append(log, [])
    rotate(log)
    append(log, numbers(4, 4))

    assert read(log, position).lines == numbers(3, 4)


def test_a_rotation_while_one_reads_loses_and_repeats_nothing(log: Path) -> None:
    append(log, numbers(1, 3))
    with Follower(log, None) as follower:
        rotate(log)
        append(log, numbers(4, 5))
        lines = list(follower.lines())

    assert [line.raw for line in lines] == numbers(1, 3)
    assert read(log, lines[-1].offset()).lines == numbers(4, 5)


def test_lines_written_to_a_file_that_was_just_rotated_are_read(log: Path) -> None:
    with log.open("ab", buffering=0) as executor:
        executor.write(b"1\n2")
        position = read(log).position
        rotate(log)
        executor.write(b"2\n")
        append(log, [b"3"])

    assert read(log, position).lines == [b"22", b"3"]


def test_a_position_beyond_the_oldest_rotation_is_lost_and_all_that_is_left_is_read(log: Path) -> None:
    append(log, numbers(1, 3))
    position = read(log).position
    rotate(log)
    append(log, numbers(4, 5))
    rotate(log)
    append(log, numbers(6, 6))
    rotated_path(log, 2).unlink()
    result = read(log, position)

    assert result.lines == numbers(4, 6)
    assert result.is_offset_lost
    assert not read(log, result.position).is_offset_lost


def test_files_with_the_same_first_line_are_told_apart_by_the_line_itself(log: Path) -> None:
    append(log, [b"# orders", b"1", b"2"])
    first = read(log)
    rotate(log)
    append(log, [b"# orders", b"3"])
    second = read(log, first.position)
    append(log, [b"4"])

    assert second.lines == [b"# orders", b"3"]
    assert read(log, second.position).lines == [b"4"]
    assert read(log, first.position).lines == [b"# orders", b"3", b"4"]


# -- rotation by copy and truncate ---------------------------------------------------------------------------------


def test_reading_resumes_across_copy_and_truncate(log: Path) -> None:
    append(log, numbers(1, 4))
    position = read(log, limit=2).position
    for number in (5, 6):
        copy_for_rotation(log)
        truncate(log)
        append(log, numbers(number, number))

    result = read(log, position)
    assert result.lines == numbers(3, 6)
    assert not result.is_offset_lost


@pytest.mark.parametrize("copied_bytes", [0, 5, 20, None])
def test_reading_in_the_middle_of_copy_and_truncate_loses_and_repeats_nothing(
    log: Path, copied_bytes: int | None
) -> None:
    append(log, numbers(1, 2))
    rotate(log)
    append(log, numbers(3, 5))
    position = read(log, limit=1).position
    copy_for_rotation(log)
    if copied_bytes is not None:
        truncate(rotated_path(log, 1), copied_bytes)
    during = read(log, position)

    assert during.lines == numbers(2, 5)
    assert during.rejected == Counter()
    shutil.copyfile(log, rotated_path(log, 1))
    truncate(log)
    append(log, numbers(6, 6))
    after = read(log, during.position)
    assert (after.lines, after.is_offset_lost) == (numbers(6, 6), False)


@pytest.mark.parametrize("next_lines", [[], numbers(4, 4), numbers(4, 9999)])
def test_a_truncation_between_opening_and_reading_loses_and_repeats_nothing(log: Path, next_lines: list[bytes]) -> None:
    append(log, numbers(1, 3))
    position = read(log, limit=2).position
    with Follower(log, position) as follower:
        copy_for_rotation(log)
        truncate(log)
        append(log, next_lines)
        assert list(follower.lines()) == []
        assert not follower.is_offset_lost

    assert read(log, position).lines == [*numbers(3, 3), *next_lines]


def test_a_truncation_in_the_middle_of_a_big_file_loses_and_repeats_nothing(log: Path) -> None:
    old = [b"old %06d " % number + b"x" * 1000 for number in range(3000)]
    new = [b"new %06d " % number + b"y" * 1100 for number in range(4000)]
    append(log, old)
    seen: list[Line] = []
    with Follower(log, None) as follower:
        for line in follower.lines():
            if not seen:
                copy_for_rotation(log)
                truncate(log)
                append(log, new)
            seen.append(line)
    rest = read(log, seen[-1].offset())

    assert 0 < len(seen) < len(old)  # It was truncated while the first chunk was dealt with.
    assert [line.raw for line in seen] + rest.lines == old + new


# -- truncated, replaced, absent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [numbers(7, 7), numbers(7, 500)])
def test_all_lines_of_a_truncated_file_are_read(log: Path, new: list[bytes]) -> None:
    append(log, numbers(1, 6))
    position = read(log).position
    truncate(log)
    append(log, new)
    result = read(log, position)

    assert result.lines == new
    assert result.is_offset_lost


@pytest.mark.parametrize("new", [numbers(7, 7), numbers(7, 500)])
def test_all_lines_of_a_replaced_file_are_read(log: Path, new: list[bytes]) -> None:
    append(log, numbers(1, 6))
    position = read(log).position
    fresh = log.with_name("fresh")
    append(fresh, new)
    fresh.replace(log)
    result = read(log, position)

    assert result.lines == new
    assert result.is_offset_lost


def test_a_file_that_begins_as_before_but_was_rewritten_is_not_taken_for_the_old_one(log: Path) -> None:
    append(log, [b"1", b"2", b"3"])
    position = read(log).position
    log.write_bytes(b"1\n2\n4\n5\n")

    assert read(log, position).is_offset_lost


@pytest.mark.parametrize("is_rotated_before", [False, True])
def test_a_truncated_file_repeats_nothing_where_earlier_positions_are_known(log: Path, is_rotated_before: bool) -> None:
    with_rotation = numbers(1, 3) if is_rotated_before else []
    if is_rotated_before:
        append(log, with_rotation)
        rotate(log)
    append(log, numbers(4, 6))
    with Follower(log, None) as follower:
        newest_first = [line.offset() for line in follower.lines()][::-1]
    truncate(log)
    append(log, numbers(7, 8))
    result = read(log, newest_first[0], earlier=newest_first[1:])

    assert result.lines == numbers(7, 8)
    assert result.is_offset_lost


def test_lines_that_a_power_failure_took_back_do_not_make_the_others_repeat(log: Path) -> None:
    append(log, numbers(1, 6))
    with Follower(log, None) as follower:
        newest_first = [line.offset() for line in follower.lines()][::-1]
    truncate(log, log.read_bytes().index(b'{"number": 5}'))
    append(log, numbers(7, 8))

    assert read(log, newest_first[0], earlier=newest_first[1:]).lines == numbers(7, 8)


def test_lines_that_a_copy_missed_do_not_make_the_others_repeat(log: Path) -> None:
    append(log, numbers(1, 4))
    copy_for_rotation(log)
    append(log, numbers(5, 5))
    with Follower(log, None) as follower:
        newest_first = [line.offset() for line in follower.lines()][::-1]
    truncate(log)
    append(log, numbers(6, 6))

    assert read(log, newest_first[0], earlier=newest_first[1:]).lines == numbers(6, 6)


def test_earlier_positions_are_not_asked_for_while_the_position_is_there(log: Path) -> None:
    append(log, numbers(1, 6))
    with Follower(log, None) as follower:
        positions = iter([line.offset() for line in follower.lines()][::-1])

    assert read(log, next(positions), earlier=positions).lines == []
    assert len(list(positions)) == 5


def test_a_log_that_is_absent_is_missing_but_not_lost(log: Path) -> None:
    append(log, numbers(1, 3))
    position = read(log, limit=2).position
    away = log.rename(log.with_name("away"))
    absent = read(log, position)
    away.rename(log)

    assert absent == Reading(lines=[], position=position, rejected=Counter(), is_offset_lost=False, is_missing=True)
    assert read(log, absent.position).lines == numbers(3, 3)


def test_a_log_whose_folder_is_absent_is_missing(log: Path) -> None:
    assert read(log.parent / "none" / "log.jsonl").is_missing


def test_rotations_are_not_read_again_while_the_current_file_is_absent(log: Path) -> None:
    append(log, numbers(1, 3))
    rotate(log)
    append(log, numbers(4, 6))
    position = read(log, limit=5).position
    away = log.rename(log.with_name("away"))
    absent = read(log, position)
    away.rename(log)

    assert (absent.lines, absent.is_offset_lost, absent.is_missing) == ([], False, False)
    assert read(log, absent.position).lines == numbers(6, 6)


def test_a_log_that_comes_back_with_new_lines_is_read_from_its_start(log: Path) -> None:
    append(log, numbers(1, 3))
    position = read(log).position
    log.unlink()
    assert read(log, position).lines == []
    append(log, numbers(4, 5))

    assert read(log, position).lines == numbers(4, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"head": "no hex"},
        {"start": -1},
        {"start": -(10**30)},
        {"end": -1},
        {"start": 0, "end": 0},
        {"end": 10**15},
        {"start": 10**12, "end": 10**12 + 5},
        {"digest": ""},
    ],
    ids=repr,
)
def test_a_position_that_makes_no_sense_is_lost(log: Path, change: dict[str, str | int]) -> None:
    append(log, numbers(1, 3))
    position = read(log).position
    assert position is not None
    result = read(log, replace(position, **change))

    assert result.lines == numbers(1, 3)
    assert result.is_offset_lost


def test_a_file_that_cannot_be_read_is_a_storage_error(log: Path) -> None:
    log.mkdir()

    with pytest.raises(StorageError, match=r"log\.jsonl: cannot be read"):
        read(log)


# -- lines that cannot be used -------------------------------------------------------------------------------------


def test_blank_lines_are_counted(log: Path) -> None:
    append(log, [b"", b"1", b" \t\r", b"", b"2", b""])
    result = read(log)

    assert result.lines == [b"1", b"2"]
    assert result.rejected == Counter({Rejection.BLANK: 4})


@pytest.mark.parametrize("end", [b'{"torn', b"x" * 5000])
def test_the_torn_end_of_a_rotated_file_is_counted(log: Path, end: bytes) -> None:
    append(log, numbers(1, 2), end=end)
    rotate(log)
    append(log, numbers(3, 3))
    result = read(log)

    assert result.lines == numbers(1, 3)
    assert result.rejected == Counter({Rejection.TORN: 1})


@pytest.mark.parametrize("end", [b'{"torn', b"x" * 5000, b"x" * (MAX_LINE_BYTES + 1)], ids=len)
def test_a_rotated_file_of_nothing_but_a_torn_line_is_counted(log: Path, end: bytes) -> None:
    append(log, [], end=end)
    rotate(log)
    append(log, numbers(1, 1))
    result = read(log)

    assert result.lines == numbers(1, 1)
    assert result.rejected == Counter({Rejection.TORN: 1})


def test_a_line_that_is_too_long_is_counted_and_the_next_one_read(log: Path) -> None:
    append(log, [b"1", b"x" * 5_000_000, b"2", b"y" * 5_000_000])
    result = read(log)

    assert result.lines == [b"1", b"2"]
    assert result.rejected == Counter({Rejection.TOO_LONG: 2})
    append(log, [b"3"])
    assert read(log, result.position).lines == [b"3"]


def test_a_line_that_is_too_long_and_unfinished_is_left_until_it_is_whole(log: Path) -> None:
    append(log, [b"1"], end=b"x" * 3_000_000)
    first = read(log)
    append(log, [b"x", b"2"])
    second = read(log, first.position)

    assert (first.lines, first.rejected) == ([b"1"], Counter())
    assert (second.lines, second.rejected) == ([b"2"], Counter({Rejection.TOO_LONG: 1}))


def test_a_line_of_the_greatest_length_is_read(log: Path) -> None:
    append(log, [b"x" * MAX_LINE_BYTES, b"y" * (MAX_LINE_BYTES + 1), b"1"])
    result = read(log, limit=1)

    assert result.lines == [b"x" * MAX_LINE_BYTES]
    assert read(log, result.position).lines == [b"1"]


def test_memory_is_bounded_whatever_a_line_or_a_file_is_long(log: Path) -> None:
    with log.open("wb") as file:
        file.write(b"1\n")
        for _ in range(48):
            file.write(b"x" * 1_000_000)
        file.write(b"\n2\n")
    tracemalloc.start()
    try:
        lines = read(log).lines
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert lines == [b"1", b"2"]
    assert peak < 8 * CHUNK_BYTES


@pytest.mark.parametrize("around", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("chunks", [1, 2])
def test_lines_that_end_about_a_chunk_boundary_are_whole(log: Path, around: int, chunks: int) -> None:
    # Of 64 KiB each with its newline, but for the first, which moves the others back and forth.
    lines = [b"%07d" % number + b"x" * ((1 << 16) - 8) for number in range(chunks * CHUNK_BYTES >> 16)]
    lines[0] = b"0" * ((1 << 16) - 1 + around)
    lines += numbers(1, 3)
    append(log, lines)
    content = log.read_bytes()
    assert content[chunks * CHUNK_BYTES + around - 1 :].startswith(b"\n" + numbers(1, 1)[0])

    with Follower(log, None) as follower:
        found = list(follower.lines())
    assert [line.raw for line in found] == lines
    assert all(content[line.start : line.end] == line.raw + b"\n" for line in found)
    assert read(log, found[-3].offset()).lines == numbers(2, 3)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=24), max_size=12).map(b"\n".join), st.integers(1, 9), st.integers(1, 12))
def test_whatever_a_file_holds_its_lines_are_found_however_they_lie_on_the_chunks(
    content: bytes, chunk_bytes: int, max_line_bytes: int
) -> None:
    *whole, torn = content.split(b"\n")
    expected = Counter(
        {
            Rejection.TOO_LONG: sum(len(line) > max_line_bytes for line in whole),
            Rejection.BLANK: sum(not line.strip() for line in whole if len(line) <= max_line_bytes),
            Rejection.TORN: int(torn != b""),
        }
    )
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as limits:
        limits.setattr(follow, "CHUNK_BYTES", chunk_bytes)
        limits.setattr(follow, "MAX_LINE_BYTES", max_line_bytes)
        log = Path(folder, "log.jsonl")
        rotated_path(log, 1).write_bytes(content)
        with Follower(log, None) as follower:
            found = list(follower.lines())

    assert [line.raw for line in found] == [line for line in whole if len(line) <= max_line_bytes and line.strip()]
    assert all(content[line.start : line.end] == line.raw + b"\n" for line in found)
    assert follower.rejected == expected


# -- archives ------------------------------------------------------------------------------------------------------


def archive(log: Path, number: int) -> None:
    oldest = rotations(log)[-1][1]
    archive_path(log, number).write_bytes(gzip.compress(oldest.read_bytes()))
    oldest.unlink()


def test_archives_are_read_where_asked_for(log: Path) -> None:
    for number in (1, 2):
        append(log, numbers(number, number))
        rotate(log)
        archive(log, number)
    append(log, numbers(3, 3))
    rotate(log)
    append(log, numbers(4, 4))

    assert read(log, with_archives=True).lines == numbers(1, 4)
    assert read(log).lines == numbers(3, 4)


def test_reading_resumes_in_an_archive(log: Path) -> None:
    append(log, numbers(1, 3))
    position = read(log, limit=2).position
    rotate(log)
    append(log, numbers(4, 4))
    rotate(log)
    archive(log, 1)
    archive(log, 2)
    append(log, numbers(5, 5))

    result = read(log, position, with_archives=True)
    assert (result.lines, result.is_offset_lost) == (numbers(3, 5), False)
    assert read(log, position).is_offset_lost


def test_the_torn_end_of_an_archive_is_counted(log: Path) -> None:
    archive_path(log, 1).write_bytes(gzip.compress(b"1\n{"))
    append(log, [b"2"])
    result = read(log, with_archives=True)

    assert result.lines == [b"1", b"2"]
    assert result.rejected == Counter({Rejection.TORN: 1})


# -- any history ---------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 120)),
        st.tuples(st.just("rename"), st.just(0)),
        st.tuples(st.just("copy and truncate"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 9)),
        st.tuples(st.just("read all"), st.just(0)),
        st.tuples(st.just("hide and read"), st.just(0)),
    ),
    max_size=40,
)
LINES = st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"/")), max_size=60)


@settings(deadline=None, max_examples=100)
@given(LINES, STEPS)
def test_whatever_happens_to_a_log_each_line_is_read_once_and_in_order(
    payloads: list[bytes], steps: list[tuple[str, int]]
) -> None:
    written = [b"%d:" % number + payload for number, payload in enumerate(payloads)]
    unwritten = b"".join(line + b"\n" for line in written)
    position: LogOffset | None = None
    seen: list[bytes] = []

    def run(limit: int | None) -> None:
        nonlocal position
        result = read(log, position, limit=limit)
        assert result.rejected == Counter()
        assert not result.is_offset_lost
        seen.extend(result.lines)
        position = result.position

    with TemporaryDirectory() as folder:
        log = Path(folder, "log.jsonl")
        for step, count in steps:
            if step == "append":  # At any byte, so that half a line stands there until the next time.
                append(log, [], end=unwritten[:count])
                unwritten = unwritten[count:]
            elif step in ("rename", "copy and truncate"):
                if log.exists():  # An executor rotates between two lines.
                    rest, newline, unwritten = unwritten.partition(b"\n")
                    append(log, [], end=rest + newline)
                    if step == "rename":
                        rotate(log)
                    else:
                        copy_for_rotation(log)
                        run(2)
                        truncate(log)
            elif step == "hide and read":
                if log.exists():
                    away = log.rename(log.with_name("away"))
                    run(None)
                    away.rename(log)
            else:
                run(count or None)
        append(log, [], end=unwritten)
        run(None)
    assert seen == written


def test_a_log_that_is_written_and_rotated_all_the_while_is_read_exactly(log: Path) -> None:
    lines = 8000
    seen: list[bytes] = []
    runs_that_saw_something = 0
    position = None
    with subprocess.Popen([sys.executable, "-c", EXECUTOR, str(log), str(lines)]) as executor:
        while True:
            is_last = executor.poll() is not None
            result = read(log, position)
            assert not result.is_offset_lost
            assert result.rejected == Counter()
            seen += result.lines
            runs_that_saw_something += bool(result.lines)
            position = result.position
            if is_last:
                break
    assert executor.returncode == 0
    assert seen == [b"%d" % number for number in range(lines)]
    assert runs_that_saw_something > 5


def test_a_byte_order_mark_is_a_part_of_the_first_line_and_moves_no_offset(log: Path) -> None:
    content = b'\xef\xbb\xbf{"number": 1}\n{"number": 2}\n'
    log.write_bytes(content)
    with Follower(log, None) as follower:
        first, second = follower.lines()
    assert [content[line.start : line.end] for line in (first, second)] == content.splitlines(keepends=True)
    with Follower(log, first.offset()) as follower:
        assert [line.raw for line in follower.lines()] == [second.raw]
    assert not follower.is_offset_lost


@pytest.mark.parametrize("is_packed", [False, True])
def test_the_tail_can_be_hashed_while_lines_are_read(tmp_path: Path, is_packed: bool) -> None:
    path = tmp_path / "log.jsonl"
    written = [b'{"number":%d}' % number for number in range(100_000)]  # Some chunks.
    content = b"".join(line + b"\n" for line in written)
    if is_packed:
        (tmp_path / "log.1.jsonl.gz").write_bytes(gzip.compress(content))
        path.write_bytes(b"{}\n")
        written.append(b"{}")
    else:
        path.write_bytes(content)
    found, tails = [], set()
    with Follower(path, None) as follower:
        for line in follower.lines():
            found.append(line.raw)
            if len(found) % 20_000 == 1:
                tails.add(follower.hash_tail(line.offset()))
    assert found == written
    assert len(tails) >= 5
    assert None not in tails
