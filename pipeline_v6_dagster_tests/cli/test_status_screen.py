"""The status as a person at a terminal sees it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from itertools import islice
from pathlib import Path
from threading import Timer

import pytest
from rich.console import Console

from pipeline_v6_dagster.cli.status_screen import fit_screen, screen
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.stages.outputs.status import Report, read_status
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, make_settings, simulated_home

NOW = START_TS + 3600


@pytest.fixture
def red(tmp_path: Path) -> Settings:
    settings, _ = simulated_home(tmp_path, upsize_share=0.1)
    for command in ("shadow", "heartbeat", "compare", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    return settings


def drawn(report: Report, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width, force_terminal=True, color_system="truecolor").print(screen(report, NOW))
    return out.getvalue()


def render_text(report: Report, width: int = 80) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", drawn(report, width))


def test_it_fits_on_one_screen_with_verdict_figures_failing_orders_and_what_to_do(red: Settings) -> None:
    report = read_status(red, NOW)
    shown = render_text(report)
    lines = shown.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "RED  FAIL" in lines[0]
    assert report.summary is not None
    for upsize in report.summary.upsizes[:3]:
        assert upsize.decision_id is not None and upsize.decision_id in shown
    for part in ("v6 may not go live", "criterion", "no_upsizes", "broken", "veto mismatch"):
        assert part in shown
    assert "\x1b[" in drawn(report)


@pytest.mark.parametrize("height", [18, 24, 30, 39, 60])
def test_it_fits_a_terminal_of_any_height(red: Settings, height: int) -> None:
    console = Console(file=StringIO(), width=80, height=height, force_terminal=True)
    report = read_status(red, NOW)
    lines = console.render_lines(fit_screen(report, NOW, console))
    assert len(lines) <= height
    shown = "".join(segment.text for line in lines for segment in line)
    assert "v6 may not go live" in shown
    assert "veto mismatch" in shown
    assert "no_upsizes" in shown


def test_it_says_who_has_acknowledged_what_as_of_now(red: Settings) -> None:
    arguments = ("--by", "Ada", "--why", "the venue was down")
    assert pipeline_v6(red.home, "acknowledge", "no_upsizes", *arguments).exit_code == 0
    report = read_status(red, time.time())
    assert [record.by for record in report.acknowledged] == ["Ada"]
    assert "no_upsizes by Ada on" in render_text(report, width=120)


def test_it_can_be_read_on_a_narrow_terminal(red: Settings) -> None:
    assert max(map(len, render_text(read_status(red, NOW), width=50).splitlines())) <= 50


def test_before_there_is_anything_it_says_what_to_do(tmp_path: Path) -> None:
    shown = render_text(read_status(make_settings(tmp_path), NOW))
    assert "NO_DATA" in shown
    assert "pipeline-v6 doctor" in shown


def test_a_name_in_a_log_steers_no_terminal(red: Settings) -> None:
    report = read_status(red, NOW)
    assert report.summary is not None
    first, *others = report.summary.upsizes
    hostile = replace(first, symbol="\x1b]0;owned\x07[red]X", decision_id="\x1b[2J")
    summary = replace(report.summary, upsizes=(hostile, *others))
    shown = drawn(replace(report, summary=summary, answer="\x1b[2Jred"))
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "[red]X" in shown


def test_plain_output_steers_no_terminal_either(red: Settings) -> None:
    hostile = "\x1b[31mred"
    assert pipeline_v6(red.home, "acknowledge", "no_upsizes", "--by", "me", "--why", hostile).exit_code == 0
    assert pipeline_v6(red.home, "compare").exit_code == 0
    shown = pipeline_v6(red.home, "status").stdout
    assert "\x1b" not in shown
    assert "?[31mred" in shown


def on_a_terminal(home: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    """The command with a terminal of its own; what it shows is read from the number."""
    reading, writing = pty.openpty()
    command = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "status", *arguments]
    environ = {**os.environ, "PIPELINE_V6_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"}
    process = subprocess.Popen(
        command,
        env=environ,
        stdin=writing,
        stdout=writing,
        stderr=writing,
        # A terminal delivers Ctrl-C; a script's background job, in which these tests may run, ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(writing)
    return process, reading


def seen(reading: int, until: bytes) -> bytes:
    """What was shown up to `until`, or to the end."""
    shown = b""
    deadline = time.monotonic() + 60
    while until not in shown and time.monotonic() < deadline:
        try:
            shown += os.read(reading, 65536)
        except OSError:  # the other end is gone
            break
    return shown


def edit_the_limits(settings: Settings) -> None:
    """Only one who evaluates the criteria as of now sees it: the logs stay as they are."""
    limits = json.loads(settings.risk_limits.read_bytes()) | {"no_such_limit": 1}
    replace_file(settings.risk_limits, json.dumps(limits).encode())


def test_a_terminal_gets_the_screen_and_the_same_exit_code(red: Settings) -> None:
    process, reading = on_a_terminal(red.home)
    shown = seen(reading, "╯".encode())
    assert process.wait(timeout=60) == 1
    os.close(reading)
    assert b"v6 may not go live" in shown


def test_watch_redraws_it_until_ctrl_c(red: Settings) -> None:
    process, reading = on_a_terminal(red.home, "--watch", "--every", "0.2")
    assert b"upsizes" in seen(reading, "╯".encode())
    edit_the_limits(red)
    assert b"limits_understood" in seen(reading, b"limits_understood")
    process.send_signal(signal.SIGINT)
    seen(reading, b"\0 never shown")
    assert process.wait(timeout=60) == 1
    os.close(reading)


def test_watch_without_a_terminal_answers_again_when_there_is_news(red: Settings) -> None:
    command = [sys.executable, "-m", "pipeline_v6_dagster.cli.main", "status", "--watch", "--every", "0.2", "--json"]
    watch = subprocess.Popen(
        command,
        env={**os.environ, "PIPELINE_V6_HOME": str(red.home)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert watch.stdout is not None
    # Whoever reads a pipe waits without end: the watch is ended where it says nothing.
    deadline = Timer(60, watch.kill)
    deadline.start()
    try:
        first = json.loads(watch.stdout.readline())
        edit_the_limits(red)
        for line in islice(watch.stdout, 20):  # An age that grew may have been news as well.
            second = json.loads(line)
            if "limits_understood" in second["failed_criteria"]:
                break
        else:
            pytest.fail("the limits were edited, and no answer of the watch says so")
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=60)
    finally:
        deadline.cancel()
        watch.kill()
        watch.wait()
    assert watch.returncode == second["exit_code"]
    assert "limits_understood" not in first["failed_criteria"]
