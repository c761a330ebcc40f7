"""Ids of decisions over whole runs: of a log in other files, of repeats, of a log of an earlier version."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.logs.shadow_log import open_shadow_log
from pipeline_v6_dagster.stages.replay.run import replay
from pipeline_v6_dagster_tests.homes import fixed
from pipeline_v6_dagster_tests.live_builders import ATTEMPTS, T0, Home, ack_row, attempt_row, fill_row

COUNT = 12
LATER = 10_000.0


def rows(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in home.settings.shadow_log.read_bytes().splitlines()]


def ids(home: Home) -> list[str]:
    return [row["decision_id"] for row in rows(home)]


def as_earlier_version(home: Home) -> list[str]:
    """Write the shadow log as versions did that took the id from the place of the attempt; returns the ids."""
    log, old = open_shadow_log(home.settings), rows(home)
    log.remove()
    for row in old:
        del row["chain"]
        row["decision_id"] = row["source"].pop("digest")
        row["source"].pop("newest_ts", None)
    log.append([json.dumps(row, separators=(",", ":")).encode() for row in old])
    return ids(home)


@pytest.fixture
def attempts() -> list[bytes]:
    return [json.dumps(attempt_row(number, str(number))).encode() + b"\n" for number in range(COUNT)]


@pytest.fixture
def whole(tmp_path: Path, attempts: list[bytes]) -> list[str]:
    home = Home(tmp_path / "whole")
    home.attempts(*attempts)
    home.shadow(LATER)
    return ids(home)


def test_the_same_attempts_in_other_files_have_the_same_ids(
    tmp_path: Path, attempts: list[bytes], whole: list[str]
) -> None:
    rotated = Home(tmp_path / "rotated")
    for number, line in enumerate(attempts):
        rotated.attempts(b"\n" * (number % 3), line)
        if number % 4 == 1:
            rotated.shadow(LATER)
        if number % 3 == 2:
            rotated.rotate(ATTEMPTS)
    rotated.shadow(LATER)
    assert ids(rotated) == whole

    joined = Home(tmp_path / "joined")
    joined.attempts(b'{"comment": "copied from another machine"}\n', b"\xef\xbb\xbf" + attempts[0], *attempts[1:])
    joined.shadow(LATER)
    assert ids(joined) == whole


def test_an_attempt_that_is_logged_again_is_a_decision_of_its_own(
    tmp_path: Path, attempts: list[bytes], whole: list[str]
) -> None:
    in_runs, at_once = Home(tmp_path / "runs"), Home(tmp_path / "once")
    for part in (attempts[:8], attempts[2:], attempts[2:6]):
        in_runs.attempts(*part)
        in_runs.shadow(LATER)
        at_once.attempts(*part)
    at_once.shadow(LATER)
    for home in (in_runs, at_once):
        assert len(set(ids(home))) == len(ids(home)) == 22
        assert set(whole) < set(ids(home))
    assert set(ids(in_runs)) == set(ids(at_once))


def test_a_log_of_an_earlier_version_goes_on_without_loss_or_repeat(tmp_path: Path, attempts: list[bytes]) -> None:
    home = Home(tmp_path)
    home.attempts(*attempts[:5])
    home.orders(
        *(
            row
            for number in range(3)
            for row in (ack_row(number + 0.1, str(number)), fill_row(number + 0.2, str(number)))
        )
    )
    home.shadow(5)
    old = as_earlier_version(home)
    home.compare(6)  # The decisions without an order stay open.
    home.attempts(*attempts[5:], *attempts[3:6])
    home.orders(
        *(
            row
            for number in range(3, COUNT)
            for row in (ack_row(number + 0.1, str(number)), fill_row(number + 0.2, str(number)))
        )
    )
    assert home.shadow(20).decided == COUNT - 5 + 3
    assert home.shadow(30).decided == 0
    found = ids(home)
    assert found[:5] == old
    assert len(set(found)) == len(found)
    home.compare(LATER)
    assert sorted(diff["decision_id"] for diff in home.diffs()) == sorted(found)
    home.compare(LATER + 10)
    home.compare(LATER + 20, rebuild=True)
    assert sorted(diff["decision_id"] for diff in home.diffs()) == sorted(found)


def test_a_replay_knows_the_decisions_of_an_earlier_version(tmp_path: Path, attempts: list[bytes]) -> None:
    home = Home(tmp_path)
    home.attempts(*attempts[:5])
    home.shadow(5)
    as_earlier_version(home)
    home.attempts(*attempts[5:])
    home.shadow(20)
    home.compare(LATER)
    replayed = replay(home.settings, home.settings.config_dir, fixed(T0 + LATER))
    assert (replayed.decisions, replayed.not_replayed) == (COUNT, 0)
