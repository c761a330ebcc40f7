"""A log of ours over all its files: what somebody did to it is found, and where."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage import verification as module
from pipeline_v6_dagster.storage.chain import Link, read_link
from pipeline_v6_dagster.storage.chain_check import Damage
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
from pipeline_v6_dagster.storage.log_names import archive_path, rotated_path, waiting_archive_path
from pipeline_v6_dagster.storage.verification import Verification, verify_log

BLOCKS, ROWS = 9, 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of nine blocks of three lines, each in a file of its own: three archives, five rotations, the current."""
    path = tmp_path / "log.jsonl"
    log = open_log(path)
    for number in range(BLOCKS):
        log.append(block(number))
    return path


def open_log(path: Path) -> JsonlLog:
    return JsonlLog(path, lambda line: LineKind.BLOCK_END, max_bytes=1)


def block(number: int) -> list[bytes]:
    return [b'{"row":%d}' % (number * ROWS + row) for row in range(1, ROWS + 1)]


def edit(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of a file, compressed or not."""
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines(keepends=True)
    new = b"".join(change(lines))
    path.write_bytes(gzip.compress(new) if path.suffix == ".gz" else new)


def found(verification: Verification) -> list[tuple[Damage, str, int]]:
    return [(it.damage, it.path.name, it.line) for it in verification.findings]


FILES = ["log.000001.jsonl.gz", "log.000003.jsonl.gz", "log.5.jsonl", "log.2.jsonl", "log.jsonl"]


def test_a_log_over_many_files_is_one_chain(path: Path) -> None:
    verification = verify_log(path)
    assert (verification.findings, verification.is_whole) == ([], True)
    assert (verification.lines, verification.first_number) == (BLOCKS * ROWS, 1)
    assert verification.newest == read_link(path.read_bytes().splitlines()[-1])


def test_a_log_that_is_not_there_is_whole_and_empty(tmp_path: Path) -> None:
    verification = verify_log(tmp_path / "none" / "log.jsonl")
    assert (verification.is_whole, verification.lines, verification.newest) == (True, 0, None)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_line_is_named_with_its_file(path: Path, name: str) -> None:
    edit(path.with_name(name), lambda lines: [lines[0], lines[1].replace(b"row", b"wor"), lines[2]])
    assert found(verify_log(path)) == [(Damage.CHANGED, name, 2)]


@pytest.mark.parametrize("name", FILES)
def test_an_inserted_line_is_named_with_its_file(path: Path, name: str) -> None:
    edit(path.with_name(name), lambda lines: [*lines[:2], b'{"row":0}\n', lines[2]])
    assert found(verify_log(path)) == [(Damage.INSERTED, name, 3)]


@pytest.mark.parametrize("name", FILES)
def test_a_removed_line_is_named_with_its_file(path: Path, name: str) -> None:
    edit(path.with_name(name), lambda lines: [lines[0], lines[2]])
    assert found(verify_log(path)) == [(Damage.REMOVED, name, 2)]


def test_the_first_line_of_all_cannot_be_taken_away(path: Path) -> None:
    edit(archive_path(path, 1), lambda lines: lines[1:])
    assert found(verify_log(path)) == [(Damage.REMOVED, "log.000001.jsonl.gz", 1)]


def test_a_line_that_was_moved_to_another_file_is_named(path: Path) -> None:
    moved: list[bytes] = []
    edit(rotated_path(path, 4), lambda lines: moved.append(lines[1]) or [lines[0], lines[2]])  # type: ignore[func-returns-value]
    edit(rotated_path(path, 2), lambda lines: [lines[0], *moved, *lines[1:]])
    assert found(verify_log(path)) == [(Damage.MOVED, "log.2.jsonl", 2)]


def test_files_that_changed_places_are_named(path: Path) -> None:
    one, other = rotated_path(path, 1), rotated_path(path, 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert found(verify_log(path)) == [(Damage.MOVED, "log.1.jsonl", 1)]


@pytest.mark.parametrize(
    ("gone", "next_name"),
    [("log.000002.jsonl.gz", "log.000003.jsonl.gz"), ("log.5.jsonl", "log.4.jsonl"), ("log.1.jsonl", "log.jsonl")],
)
def test_a_file_that_is_gone_from_the_middle_is_missed(path: Path, gone: str, next_name: str) -> None:
    path.with_name(gone).unlink()
    assert found(verify_log(path)) == [(Damage.REMOVED, next_name, 1)]


def test_the_oldest_archives_may_be_deleted(path: Path) -> None:
    archive_path(path, 1).unlink()
    verification = verify_log(path)
    assert (verification.is_whole, verification.first_number) == (True, ROWS + 1)
    archive_path(path, 2).unlink()
    archive_path(path, 3).unlink()
    verification = verify_log(path)
    assert (verification.is_whole, verification.first_number) == (True, 3 * ROWS + 1)


def test_rotations_may_not_be_deleted_where_no_archive_was(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = open_log(path)
    for number in range(3):
        log.append(block(number))
    rotated_path(path, 2).unlink()
    assert found(verify_log(path)) == [(Damage.REMOVED, "log.1.jsonl", 1)]


def test_an_archive_that_waits_for_its_compression_is_a_part_of_the_chain(path: Path) -> None:
    packed = archive_path(path, 2)
    waiting_archive_path(path, 2).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert verify_log(path).is_whole


def test_an_end_that_is_being_written_is_no_damage_in_the_current_file_alone(path: Path) -> None:
    for name, expected in (("log.jsonl", []), ("log.1.jsonl", [(Damage.TORN, "log.1.jsonl", ROWS + 1)])):
        with path.with_name(name).open("ab") as file:
            file.write(b'{"ro')
        verification = verify_log(path)
        assert (verification.torn_bytes, found(verification)) == (4, expected)


def test_a_damaged_archive_is_a_storage_error(path: Path) -> None:
    archive_path(path, 2).write_bytes(archive_path(path, 2).read_bytes()[:-4])
    with pytest.raises(StorageError, match=r"000002\.jsonl\.gz: cannot be read"):
        verify_log(path)


# -- from a known line on ------------------------------------------------------------------------------------------


def links(path: Path) -> list[Link]:
    lines = [line for line in open_log(path).backward()][::-1]
    return [link for line in lines if (link := read_link(line)) is not None]


@pytest.mark.parametrize("index", [0, 2, 3, 10, 25, 26])
def test_what_is_older_than_a_known_line_is_not_read_again(path: Path, index: int) -> None:
    after = links(path)[index]
    verification = verify_log(path, after=after)
    assert (verification.is_whole, verification.lines) == (True, BLOCKS * ROWS - 1 - index)
    assert verification.newest == links(path)[-1]


def test_damage_after_a_known_line_is_found_and_damage_before_it_was_found_before(path: Path) -> None:
    after = links(path)[10]
    edit(archive_path(path, 1), lambda lines: lines[:1])
    assert verify_log(path, after=after).is_whole
    edit(rotated_path(path, 2), lambda lines: lines[:1])
    assert found(verify_log(path, after=after)) == [(Damage.REMOVED, "log.1.jsonl", 1)]


@pytest.mark.parametrize("after", [Link(5, "0" * 32, "1" * 32), Link(99, "0" * 32, "1" * 32)])
def test_where_the_known_line_is_gone_all_is_read(path: Path, after: Link) -> None:
    assert verify_log(path, after=after).lines == BLOCKS * ROWS


def test_a_known_line_in_an_archive_is_found(path: Path) -> None:
    assert verify_log(path, after=links(path)[4]).lines == BLOCKS * ROWS - 5


# -- memory --------------------------------------------------------------------------------------------------------


def test_memory_is_bounded_whatever_the_lines_are_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 1 << 16)
    with path.open("ab") as file:
        for _ in range(40):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + b"y" * 5_000_000)
    tracemalloc.start()
    try:
        verification = verify_log(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found(verification) == [(Damage.INSERTED, "log.jsonl", ROWS + 1)]
    assert peak < 5_000_000
