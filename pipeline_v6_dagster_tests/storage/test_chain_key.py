"""A chain with a key: what was not written with it is found, also where a whole log was rewritten."""

import hashlib
import hmac
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.storage.chain import ORIGIN, chain_block, read_link, unchained
from pipeline_v6_dagster.storage.chain_check import Damage
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind
from pipeline_v6_dagster.storage.log_names import archive_path, rotated_path
from pipeline_v6_dagster.storage.verification import verify_log
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home

KEY = b"k" * 32


def open_log(path: Path, key: bytes | None = KEY) -> JsonlLog:
    return JsonlLog(path, lambda line: LineKind.BLOCK_END, max_bytes=100, key=key)


def append(path: Path, *numbers: int, key: bytes | None = KEY) -> None:
    for number in numbers:
        open_log(path, key).append([b'{"number":%d}' % number, b'{"end":%d}' % number])


def rewrite(path: Path, key: bytes | None, old: bytes = b'"number":1', new: bytes = b'"number":9') -> None:
    """Change the log and make its chain again."""
    lines = [unchained(line).replace(old, new) for line in path.read_bytes().splitlines()]
    path.write_bytes(chain_block(lines, ORIGIN, key)[0])


def test_each_hash_is_the_hmac_of_number_hash_before_and_line() -> None:
    block, _ = chain_block([b'{"a":1}', b'{"b":2}'], ORIGIN, KEY)
    before = ORIGIN.hash
    for number, line in enumerate(block.splitlines(), 1):
        link = read_link(line)
        content = b"%d:%b:%b" % (number, before.encode(), unchained(line))
        before = hmac.new(KEY, content, hashlib.sha256).hexdigest()[:32]
        assert link is not None
        assert link.hash == before


def test_a_log_with_a_key_is_whole_across_rotations_and_archives(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, *range(12))
    assert archive_path(path, 1).exists()
    found = verify_log(path, key=KEY)
    assert (found.is_whole, found.lines) == (True, 24)
    assert verify_log(path, after=found.newest, key=KEY).is_whole


@pytest.mark.parametrize(("key", "damage"), [(None, Damage.UNKEYED), (b"x" * 32, Damage.CHANGED)])
def test_a_log_that_was_rewritten_as_a_whole_is_found(tmp_path: Path, key: bytes | None, damage: Damage) -> None:
    path = tmp_path / "log.jsonl"
    log = JsonlLog(path, lambda line: LineKind.BLOCK_END, key=KEY)
    for number in range(5):
        log.append([b'{"number":%d}' % number])
    after = read_link(path.read_bytes().splitlines()[2])
    rewrite(path, key)
    for found in (verify_log(path, key=KEY), verify_log(path, after=after, key=KEY)):
        assert not found.is_whole
        assert {finding.damage for finding in found.findings} == {damage}
    log.append([b'{"number":5}'])  # The next run does not launder it.
    assert not verify_log(path, key=KEY).is_whole


def test_without_a_key_the_same_rewrite_passes_which_is_why_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    JsonlLog(path, lambda line: LineKind.BLOCK_END).append([b'{"number":1}'])
    rewrite(path, None)
    assert verify_log(path).is_whole


def test_lines_from_before_the_key_are_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for key in (None, None, KEY, KEY):
        JsonlLog(path, lambda line: LineKind.BLOCK_END, key=key).append([b'{"number":1}'])
    (finding,) = verify_log(path, key=KEY).findings
    assert (finding.damage, finding.line, finding.last_line) == (Damage.UNKEYED, 1, 2)
    assert finding.path == path
    assert not rotated_path(path, 1).exists()


@pytest.mark.parametrize("content", [b"k" * 16, b"k" * 16 + b"\n", b"0123456789abcdef" * 2])
def test_a_key_is_the_content_of_its_file_without_white_space(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    assert read_chain_key(path) == content.strip()
    assert read_chain_key(None) is None


def test_a_short_or_missing_key_stops_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(StorageError, match="key of the hash chain cannot be read"):
        read_chain_key(path)
    path.write_bytes(b"short\n")
    with pytest.raises(DataError, match="openssl rand -hex 32"):
        read_chain_key(path)


def test_all_logs_of_a_home_are_written_with_the_key_of_the_settings(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_bytes(KEY)
    settings, _ = simulated_home(tmp_path / "home", seconds=600.0, PIPELINE_V6_CHAIN_KEY_FILE=str(key_file))
    limits, clock = load_configuration(settings.risk_limits, settings.pairs_universe).limits, fixed(START_TS + 3000.0)
    run_shadow(settings, limits, clock)
    run_compare(settings, limits, clock)
    assert all(log.finding_count == 0 for log in verify_logs(settings).logs)
    for path in (settings.shadow_log, settings.compare_diffs):
        assert verify_log(path, key=KEY).is_whole
        assert not verify_log(path).is_whole
    run_compare(settings, limits, clock, rebuild=True)
    assert verify_log(settings.compare_diffs, key=KEY).is_whole
    rewrite(settings.shadow_log, None, b"BTCUSDT", b"ETHUSDT")
    assert any(log.finding_count for log in verify_logs(settings).logs)
