"""The verify stage on real files: our logs whole, touched, cut short behind what others have seen of them."""

import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.logs.alert_outbox import open_outbox
from pipeline_v6_dagster.logs.verify import LogReport, VerifyReport, verify_logs
from pipeline_v6_dagster.storage import lock
from pipeline_v6_dagster.storage.lock import locked
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, fill_row, shadow_row

LATER = 5000.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Three runs, the last of which had nothing to compare."""
    monkeypatch.setattr(lock, "LOCK_TIMEOUT_S", 0.0)
    home = Home(tmp_path)
    for run in range(3):
        for number in range(4):
            at, name = run * 1000 + number * 10, f"{run}{number}"
            home.attempts(attempt_row(at, name))
            home.orders(ack_row(at + 1, name), fill_row(at + 2, name))
        home.run(run * 1000 + 500)
    home.run(LATER)
    return home


def of(report: VerifyReport, name: str) -> LogReport:
    (log,) = (log for log in report.logs if log.name == name)
    return log


def newest(report: VerifyReport) -> dict[str, str]:
    return {log.name: log.newest for log in report.logs if log.newest is not None}


def cut(path: Path, lines: int) -> None:
    """Take so many lines off the end."""
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def test_what_the_stages_wrote_is_whole(home: Home) -> None:
    report = verify_logs(home.settings)
    assert report.is_whole
    assert [(log.name, log.lines, log.findings) for log in report.logs] == [
        ("shadow_log", 12, []),
        ("compare_diffs", 16, []),
        ("alerts", 1, []),
    ]


def test_a_home_without_logs_is_whole(tmp_path: Path) -> None:
    report = verify_logs(Home(tmp_path).settings)
    assert report.is_whole
    assert [(log.lines, log.newest) for log in report.logs] == [(0, None)] * 3


def test_a_rebuilt_log_is_whole(home: Home) -> None:
    home.compare(LATER + 1, rebuild=True)
    assert verify_logs(home.settings).is_whole
    home.run(LATER + 2)
    assert verify_logs(home.settings).is_whole


def test_a_touched_line_is_named_with_its_file_and_number(home: Home) -> None:
    path = home.settings.compare_diffs
    path.write_bytes(path.read_bytes().replace(b'"ord_11"', b'"ord_xx"', 1))
    report = verify_logs(home.settings)
    assert of(report, "shadow_log").findings == []
    (finding,) = of(report, "compare_diffs").findings
    assert finding.startswith(f"{path}: line 7: changed: ")


def test_a_shadow_log_cut_short_is_found_by_what_the_head_has_seen(home: Home) -> None:
    cut(home.settings.shadow_log, 1)
    home.settings.compare_diffs.unlink()
    home.settings.compare_summary.unlink()
    (finding,) = of(verify_logs(home.settings), "shadow_log").findings
    assert "removed: after it lines are missing: line 12 of the log was seen" in finding


def test_a_shadow_log_cut_short_is_found_by_what_was_compared(home: Home) -> None:
    cut(home.settings.shadow_log, 1)
    home.settings.shadow_head.unlink()
    (finding,) = of(verify_logs(home.settings), "shadow_log").findings
    assert finding == f"{home.settings.shadow_log}: removed: the row that was compared last is not there"


@pytest.mark.parametrize("lines", [1, 2, 9])
def test_a_compare_log_cut_short_is_found_by_the_summary(home: Home, lines: int) -> None:
    cut(home.settings.compare_diffs, lines)
    (finding,) = of(verify_logs(home.settings), "compare_diffs").findings
    assert finding.endswith(f"changed: {home.settings.compare_summary} is the summary of no block of the log")


def test_a_summary_that_a_killed_run_did_not_write_is_no_damage(home: Home) -> None:
    before = home.settings.compare_summary.read_bytes()
    home.run(LATER + 900)
    home.settings.compare_summary.write_bytes(before)
    assert verify_logs(home.settings).is_whole


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"log": 3, "generated_ts": null}'])
def test_a_state_file_that_is_not_ours_is_found_and_a_missing_one_is_not(home: Home, content: bytes) -> None:
    home.settings.shadow_head.write_bytes(content)
    home.settings.compare_summary.write_bytes(content)
    report = verify_logs(home.settings)
    for name, path in (("shadow_log", home.settings.shadow_head), ("compare_diffs", home.settings.compare_summary)):
        (finding,) = of(report, name).findings
        assert f"changed: {path} " in finding
        path.unlink()
    assert verify_logs(home.settings).is_whole


@pytest.mark.parametrize(
    ("old", "new"), [(b'"total": 12', b'"total": 13'), (b'"vetoed": 0', b'"vetoed": 5'), (b'"ord_23"', b'"ord_xx"')]
)
def test_an_edited_head_is_found(home: Home, old: bytes, new: bytes) -> None:
    content = home.settings.shadow_head.read_bytes()
    assert old in content
    home.settings.shadow_head.write_bytes(content.replace(old, new, 1))
    (finding,) = of(verify_logs(home.settings), "shadow_log").findings
    assert f"changed: {home.settings.shadow_head} " in finding


def test_a_head_that_is_behind_the_log_is_no_damage(home: Home) -> None:
    before = home.settings.shadow_head.read_bytes()
    home.attempts(attempt_row(LATER, "later"))
    home.run(LATER + 1)
    home.settings.shadow_head.write_bytes(before)
    assert verify_logs(home.settings).is_whole


def test_a_newest_block_that_is_not_understood_is_damage_not_an_error(home: Home) -> None:
    path = home.settings.compare_diffs
    *others, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(others) + last.replace(b'"counts":{', b'"counts":[', 1))
    report = verify_logs(home.settings)
    assert of(report, "shadow_log").findings == []
    assert "line 16: changed" in of(report, "compare_diffs").findings[0]


def test_only_what_is_new_is_read_where_one_has_verified_before(home: Home) -> None:
    verified = newest(verify_logs(home.settings))
    home.attempts(attempt_row(LATER, "new"))
    home.run(LATER + 1)
    report = verify_logs(home.settings, verified)
    assert [(log.lines, log.findings) for log in report.logs] == [(1, []), (1, []), (0, [])]
    home.compare(LATER + 2, rebuild=True)
    assert of(verify_logs(home.settings, newest(report)), "compare_diffs").lines == 13
    assert [log.lines for log in verify_logs(home.settings, {"shadow_log": "nonsense"}).logs] == [13, 13, 1]


def test_a_shadow_log_of_the_executor_is_not_ours_to_verify(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    home.append(home.settings.shadow_log, shadow_row(0))
    home.compare(10)
    report = verify_logs(home.settings)
    assert report.is_whole
    assert (report.not_ours, [log.name for log in report.logs]) == (
        [home.settings.shadow_log],
        ["compare_diffs", "alerts"],
    )


def test_damage_is_found_while_another_process_holds_the_log(home: Home) -> None:
    cut(home.settings.shadow_log, 1)
    with locked(home.settings.shadow_log, 0):
        assert not verify_logs(home.settings).is_whole


def test_a_log_that_cannot_be_read_is_a_storage_error(home: Home) -> None:
    home.settings.shadow_log.unlink()
    home.settings.shadow_log.mkdir()
    with pytest.raises(StorageError, match="pipeline_v6_shadow"):
        verify_logs(home.settings)


def test_the_head_says_how_far_it_has_seen(home: Home) -> None:
    head = json.loads(home.settings.shadow_head.read_bytes())
    assert head["log"]["chain"] == head["last_decision"]["chain"] == of(verify_logs(home.settings), "shadow_log").newest


def test_the_outbox_of_the_alerts_is_verified_too(home: Home) -> None:
    open_outbox(home.settings).append([b'{"row":%d}' % number for number in range(3)])
    assert of(verify_logs(home.settings), "alerts").lines == 4
    path = home.settings.alert_outbox
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    (finding,) = of(verify_logs(home.settings), "alerts").findings
    assert finding == f"{path}: line 1: removed: before it line 1 of the log is missing"
