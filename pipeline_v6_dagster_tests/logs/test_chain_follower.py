"""Following the chains from tick to tick: what is read, what is found when, and what the next tick goes on from."""

from pathlib import Path

import pytest

from pipeline_v6_dagster.logs import chain_follower
from pipeline_v6_dagster.logs.chain_follower import (
    Verified,
    follow_chains,
    forget_verified,
    keep_verified,
    read_verified,
)
from pipeline_v6_dagster.logs.verify import VerifyReport, verify_logs
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, fill_row

DAY_S = 86_400.0
START_TS = 1_000_000.0


class Ticks:
    """A home at work, whose chains are followed by a new command at every tick."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.now = START_TS
        self.lines_read: list[int] = []

    def run(self, at: float) -> None:
        """The executor places an order, and both stages see it."""
        self.now, name = at, f"at-{at}"
        self.home.attempts(attempt_row(at - 100, name))
        self.home.orders(ack_row(at - 99, name), fill_row(at - 98, name))
        self.home.run(at)

    def follow(self) -> list[str]:
        self.lines_read.clear()
        return follow_chains(self.home.settings, lambda: self.now)


@pytest.fixture
def ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """Three runs, verified."""
    ticks = Ticks(tmp_path)

    def noted(*args: object) -> VerifyReport:
        report = verify_logs(*args)  # type: ignore[arg-type]
        ticks.lines_read.append(sum(log.lines for log in report.logs))
        return report

    monkeypatch.setattr(chain_follower, "verify_logs", noted)
    for number in range(3):
        ticks.run(START_TS + number * 1000)
    assert ticks.follow() == []
    return ticks


def change_line(path: Path, number: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number] = lines[number].replace(b'"price":', b'"prize":', 1)
    path.write_bytes(b"".join(lines))


def test_a_tick_reads_what_was_written_since_the_last_one(ticks: Ticks) -> None:
    everything = ticks.lines_read[0]
    ticks.run(ticks.now + 60)
    assert ticks.follow() == []
    assert len(ticks.lines_read) == 1
    assert 0 < ticks.lines_read[0] < everything / 2
    assert ticks.follow() == []
    assert ticks.lines_read == [0]


def test_an_edit_of_what_was_verified_is_found_within_a_day_and_stays_found(ticks: Ticks) -> None:
    change_line(ticks.home.settings.shadow_log, 1)
    ticks.now += DAY_S / 2
    assert ticks.follow() == []
    ticks.now += DAY_S / 2
    (finding,) = ticks.follow()
    assert "line 2: changed" in finding
    assert not ticks.home.settings.verified_links.exists()
    ticks.now += 60
    assert ticks.follow() == [finding]


def test_an_edit_of_what_is_new_is_found_at_once_and_all_is_read_until_it_is_gone(ticks: Ticks) -> None:
    ticks.run(ticks.now + 60)
    path = ticks.home.settings.shadow_log
    before = path.read_bytes()
    change_line(path, -1)
    assert any("changed" in finding for finding in ticks.follow())
    path.write_bytes(before)
    assert ticks.follow() == []
    assert ticks.lines_read[0] >= len(before.splitlines())


@pytest.mark.parametrize("content", [b"", b"half of it\n"])
def test_a_log_that_was_cut_back_behind_what_was_verified_is_found_at_once(ticks: Ticks, content: bytes) -> None:
    ticks.home.settings.alert_outbox.write_bytes(content)
    assert any("replaced: line 1, which an earlier run verified" in finding for finding in ticks.follow())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"newest":{},"all_ts":null}',
        b'{"newest":{"shadow_log":1},"all_ts":0}',
        b'{"newest":{},"all_ts":1e400}',
        b'{"newest":{},"all_ts":0,"more":1}',
    ],
)
def test_a_file_that_says_nothing_of_use_lets_all_be_read(ticks: Ticks, content: bytes) -> None:
    everything = ticks.lines_read[0]
    ticks.home.settings.verified_links.write_bytes(content)
    assert ticks.follow() == []
    assert ticks.lines_read[-1] == everything
    assert read_verified(ticks.home.settings) is not None


def test_links_that_are_none_let_their_log_be_read(ticks: Ticks) -> None:
    everything = ticks.lines_read[0]
    keep_verified(ticks.home.settings, Verified({"shadow_log": "none", "other_log": "1:a:b"}, ticks.now))
    assert ticks.follow() == []
    assert ticks.lines_read == [everything]


def test_a_folder_in_the_place_of_the_file_lets_all_be_read(ticks: Ticks) -> None:
    path = ticks.home.settings.verified_links
    path.unlink()
    path.mkdir()
    assert ticks.follow() == []
    assert ticks.lines_read[0] > 0


@pytest.mark.parametrize("ahead_s", [3600.0, DAY_S, 10 * 365 * DAY_S])
def test_a_clock_that_was_ahead_lets_all_be_read(ticks: Ticks, ahead_s: float) -> None:
    present = ticks.now
    ticks.now += ahead_s
    ticks.home.settings.verified_links.unlink()
    assert ticks.follow() == []
    change_line(ticks.home.settings.shadow_log, 1)
    ticks.now = present
    assert any("changed" in finding for finding in ticks.follow())


def test_of_a_log_that_was_rebuilt_all_is_read_and_nothing_is_missed(ticks: Ticks) -> None:
    settings = ticks.home.settings
    forget_verified(settings, "compare_diffs")
    ticks.home.compare(ticks.now, rebuild=True)
    assert ticks.follow() == []
    assert ticks.lines_read == [len(settings.compare_diffs.read_bytes().splitlines())]
