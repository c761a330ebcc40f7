"""Looking at a file: what is there, what changed, what its last lines are."""

import os
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.file_info import last_lines, stat_file


def version(path: Path) -> str:
    info = stat_file(path)
    assert info is not None
    return info.version


def test_a_file_that_is_not_there_is_none_and_has_no_lines(tmp_path: Path) -> None:
    assert stat_file(tmp_path / "log.jsonl") is None
    assert last_lines(tmp_path / "log.jsonl", 100) == []


def test_the_version_changes_with_every_change_and_with_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"1\n")
    versions = [version(log)]
    assert version(log) == versions[0]
    log.write_bytes(b"1\n2\n")
    versions.append(version(log))
    os.utime(log, ns=(1, 1))
    versions.append(version(log))
    log.rename(tmp_path / "log.1.jsonl")
    log.write_bytes(b"3\n")
    versions.append(version(log))
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize(
    ("content", "max_bytes", "lines"),
    [
        (b"", 10, []),
        (b"a\nb\n", 10, [b"a", b"b"]),
        (b"a\nb\ntor", 10, [b"a", b"b"]),
        (b"aaaa\nbb\ncc\n", 8, [b"bb", b"cc"]),
        (b"aaaaaaaaaaaa", 4, []),
    ],
)
def test_only_whole_lines_within_the_last_bytes(
    tmp_path: Path, content: bytes, max_bytes: int, lines: list[bytes]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(content)
    assert last_lines(log, max_bytes) == lines


def test_just_after_a_rotation_the_lines_are_those_of_the_rotated_file(tmp_path: Path) -> None:
    (tmp_path / "log.1.jsonl").write_bytes(b"old\n")
    assert last_lines(tmp_path / "log.jsonl", 100) == [b"old"]
    (tmp_path / "log.jsonl").write_bytes(b"to")
    assert last_lines(tmp_path / "log.jsonl", 100) == [b"old"]
    (tmp_path / "log.jsonl").write_bytes(b"new\n")
    assert last_lines(tmp_path / "log.jsonl", 100) == [b"new"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"log\.jsonl: cannot be read"):
        last_lines(tmp_path / "log.jsonl", 100)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be read"):
        stat_file(tmp_path / "file" / "log.jsonl")
