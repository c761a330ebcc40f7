"""Reading Zstandard: the same bytes from every place, and an error where the file is damaged or cut."""

from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.storage.zstd_file import open_zstd

CONTENT = b"".join(b'{"number": %d}\n' % number for number in range(20_000))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl.1.zst"
    path.write_bytes(zstandard.compress(CONTENT[:100_000]) + zstandard.compress(CONTENT[100_000:]))
    return path


def test_files_that_were_packed_one_by_one_and_joined_are_read_to_the_end(packed: Path) -> None:
    with open_zstd(packed) as file:
        assert file.read() == CONTENT
        assert file.read() == b""


@pytest.mark.parametrize("step", [-1, 1, 1000])
def test_every_place_can_be_sought_forward_and_back(packed: Path, step: int) -> None:
    with open_zstd(packed) as file:
        for start in sorted((0, 5, 99_990, 100_000, len(CONTENT) - 3, len(CONTENT) + 10), key=lambda at: step * at):
            file.seek(start)
            assert file.read(20) == CONTENT[start : start + 20]


def test_a_file_that_was_given_stays_open(packed: Path) -> None:
    with packed.open("rb") as held:
        for _ in range(2):
            held.seek(0)
            with open_zstd(held) as file:
                assert file.read(3) == CONTENT[:3]
        assert not held.closed


@given(share=st.floats(0, 1, exclude_max=True), flipped=st.booleans())
def test_a_file_that_is_cut_or_changed_never_passes_for_a_shorter_one(
    tmp_path_factory: pytest.TempPathFactory, share: float, flipped: bool
) -> None:
    whole = zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)
    at = int(share * len(whole))
    damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] if flipped else whole[:at]
    path = tmp_path_factory.mktemp("packed") / "log.jsonl.1.zst"
    path.write_bytes(damaged)
    if not damaged:
        return
    with open_zstd(path) as file, pytest.raises((OSError, EOFError)):
        file.read()


def test_what_a_small_file_unpacks_to_is_not_held_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.1.zst"
    path.write_bytes(zstandard.compress(bytes(1 << 28)))
    with open_zstd(path) as file:
        assert file.read(10) == bytes(10)
        assert len(file.raw._unpacked) < 1 << 26  # type: ignore[attr-defined]
