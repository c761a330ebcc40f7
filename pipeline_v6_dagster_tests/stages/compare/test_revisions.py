"""Which diff a late row finds, and how much of the log is read for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.settled import Settled
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
from pipeline_v6_dagster.logs.compare_log import classify_line, encode_diff
from pipeline_v6_dagster.stages.compare.revisions import KnownDiffs
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.log_names import archives
from pipeline_v6_dagster.storage.placed_lines import PlacedLines
from pipeline_v6_dagster_tests.live_builders import T0, decision, policy

DIFFS = 3000
HORIZON_S = 86_400.0
SLACK_S = 1800.0


class CountingLines(PlacedLines):
    """Lines that are counted as they are read."""

    read_count = 0

    def backward(self) -> Iterator[tuple[int, bytes]]:
        for line in super().backward():
            self.read_count += 1
            yield line

    def read(self, place: int) -> bytes:
        self.read_count += 1
        return super().read(place)


class CountingLog(JsonlLog):
    """A log that counts what is read of it by its lines' places."""

    def placed_lines(self) -> PlacedLines:
        self.opened = CountingLines(self.path)
        return self.opened

    @property
    def lines_read(self) -> int:
        return self.opened.read_count


def diff(number: int) -> Diff:
    """Of a decision that nobody answered, one a minute."""
    made = decision(60.0 * number, str(number))
    return compare_sides(
        Settled(decision=made, order=None, outcome=LiveOutcome.UNRESOLVED, method=None, reason=None), policy()
    )


def written(path: Path) -> CountingLog:
    log = CountingLog(path, classify_line)
    log.append([*(encode_diff(diff(number)) for number in range(DIFFS)), b'{"cursor":{}}'])
    return log


def test_a_row_that_is_a_little_late_reads_a_little_of_the_log(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    with KnownDiffs(log, HORIZON_S, SLACK_S) as known:
        now = T0 + 60.0 * DIFFS
        for number in (DIFFS - 20, DIFFS - 10, DIFFS - 20):
            found = known.find(f"ord_{number}", None, now)
            assert found is not None
            assert found.decision_id == f"d{number}"
        assert log.lines_read < 100


def test_rows_of_nobody_read_one_horizon_of_the_log_between_them(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    with KnownDiffs(log, HORIZON_S, SLACK_S) as known:
        now = T0 + 60.0 * DIFFS
        assert not any(known.has(f"ord_x{number}", f"sig_x{number}", now) for number in range(50))
        assert (HORIZON_S + SLACK_S) / 60 < log.lines_read < (HORIZON_S + SLACK_S) / 60 + 200


def test_what_is_older_than_the_horizon_is_not_found_and_its_edge_is(tmp_path: Path) -> None:
    with KnownDiffs(written(tmp_path / "log.jsonl"), HORIZON_S, SLACK_S) as known:
        now = T0 + 60.0 * 1500
        assert known.has("ord_60", None, now)  # of exactly a day before
        assert not known.has("ord_59", None, now)


def test_the_newest_of_two_diffs_is_found_wherever_it_stands(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    with KnownDiffs(log, HORIZON_S, SLACK_S) as known:
        now = T0 + 60.0 * DIFFS
        revised = diff(DIFFS - 5)
        revised.revision_of = revised.decision_id
        assert known.has(f"ord_{DIFFS - 9}", None, now)  # has been read past
        known.add(revised)
        in_the_block = known.find(revised.intent_id, None, now)
        log.append([encode_diff(revised), b'{"cursor":{}}'])
        known.end_block()
        in_the_log = known.find(revised.intent_id, None, now)
        assert in_the_block is revised
        assert in_the_log == revised


@pytest.mark.parametrize("order", [1, -1])
def test_each_repeat_of_a_settled_order_reads_one_line_however_long_the_log_is(tmp_path: Path, order: int) -> None:
    log = written(tmp_path / "log.jsonl")
    now = T0 + 60.0 * DIFFS
    repeats = [number for number in range(DIFFS - 1000, DIFFS)][::order] * 2
    with KnownDiffs(log, HORIZON_S, SLACK_S) as known:
        for number in repeats:
            found = known.find(f"ord_{number}", None, now)
            assert found is not None
            assert found.decision_id == f"d{number}"
    assert log.lines_read < 1000 + len(repeats) + 10


def test_repeats_of_what_this_run_has_settled_read_each_block_once(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    with KnownDiffs(log, HORIZON_S, SLACK_S) as known:
        for block in range(20):
            numbers = range(DIFFS + 50 * block, DIFFS + 50 * block + 50)
            for number in numbers:
                known.add(diff(number))
            log.append([*(encode_diff(diff(number)) for number in numbers), b'{"cursor":{}}'])
            known.end_block()
            for number in numbers:
                assert known.has(f"ord_{number}", None, T0 + 60.0 * number), number
        assert log.lines_read < 20 * (2 * 50 + 5) + 100
        assert known.has(f"ord_{DIFFS}", None, T0 + 60.0 * DIFFS)


def test_a_diff_is_found_through_rotations_archives_and_whatever_rotates_meanwhile(tmp_path: Path) -> None:
    log = CountingLog(tmp_path / "log.jsonl", classify_line, max_bytes=50_000)

    def append(start: int, known: KnownDiffs | None = None) -> None:
        for first in range(start, start + 500, 50):
            diffs = [diff(number) for number in range(first, first + 50)]
            log.append([*map(encode_diff, diffs), b'{"cursor":{}}'])
            if known is not None:
                for one in diffs:
                    known.add(one)
                known.end_block()

    append(0)
    append(500)
    assert archives(log.path)
    now = T0 + 60.0 * 1000
    with KnownDiffs(log, HORIZON_S, SLACK_S) as known:
        assert known.has("ord_0", None, now)  # All of it has been read.
        append(1000, known)
        for number in (0, 999, 500, 1, 998, 1000, 1499):
            found = known.find(None, f"sig_{number}", now)
            assert found is not None
            assert found.decision_id == f"d{number}"


def test_a_decision_is_known_by_its_id_within_the_horizon(tmp_path: Path) -> None:
    with KnownDiffs(written(tmp_path / "log.jsonl"), HORIZON_S, SLACK_S) as known:
        now = T0 + 60.0 * DIFFS
        assert known.has_decision(f"d{DIFFS - 1}", now)
        assert known.has_decision(f"d{DIFFS - 1440}", now)
        assert not known.has_decision(f"d{DIFFS - 1441}", now)
        assert not known.has_decision("another", now)
