"""Which diff a late row finds, and how much of the log is read for it."""

from collections.abc import Iterator
from pathlib import Path

from pipeline_v6_dagster.compare.difference import compare_sides
from pipeline_v6_dagster.compare.settled import Settled
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome
from pipeline_v6_dagster.logs.compare_log import encode_diff, kind_of
from pipeline_v6_dagster.stages.compare.revisions import KnownDiffs
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster_tests.live_builders import T0, decision, policy

DIFFS = 3000
HORIZON_S = 86_400.0
SLACK_S = 1800.0


class CountingLog(JsonlLog):
    """A log that counts what is read of it."""

    lines_read = 0

    def backward(self) -> Iterator[bytes]:
        for line in super().backward():
            self.lines_read += 1
            yield line


def diff(number: int) -> Diff:
    """Of a decision that nobody answered, one a minute."""
    made = decision(60.0 * number, str(number))
    return compare_sides(Settled(made, None, LiveOutcome.UNRESOLVED, None, None), policy())


def written(path: Path) -> CountingLog:
    log = CountingLog(path, kind_of)
    log.append([*(encode_diff(diff(number)) for number in range(DIFFS)), b'{"cursor":{}}'])
    return log


def test_a_row_that_is_a_little_late_reads_a_little_of_the_log(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    known = KnownDiffs(log, HORIZON_S, SLACK_S)
    now = T0 + 60.0 * DIFFS
    for number in (DIFFS - 20, DIFFS - 10, DIFFS - 20):
        found = known.find(f"ord_{number}", None, now)
        assert found is not None
        assert found.decision_id == f"d{number}"
    assert log.lines_read < 100


def test_rows_of_nobody_read_one_horizon_of_the_log_between_them(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    known = KnownDiffs(log, HORIZON_S, SLACK_S)
    now = T0 + 60.0 * DIFFS
    assert not any(known.has(f"ord_x{number}", f"sig_x{number}", now) for number in range(50))
    assert (HORIZON_S + SLACK_S) / 60 < log.lines_read < (HORIZON_S + SLACK_S) / 60 + 200


def test_what_is_older_than_the_horizon_is_not_found_and_its_edge_is(tmp_path: Path) -> None:
    known = KnownDiffs(written(tmp_path / "log.jsonl"), HORIZON_S, SLACK_S)
    now = T0 + 60.0 * 1500
    assert known.has("ord_60", None, now)  # of exactly a day before
    assert not known.has("ord_59", None, now)


def test_the_newest_of_two_diffs_is_found_wherever_it_stands(tmp_path: Path) -> None:
    log = written(tmp_path / "log.jsonl")
    known = KnownDiffs(log, HORIZON_S, SLACK_S)
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
