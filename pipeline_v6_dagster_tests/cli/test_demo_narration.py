"""What the demo says, as text and as JSON."""

import json
import time
from pathlib import Path

import pytest

from pipeline_v6_dagster.cli import demo_narration
from pipeline_v6_dagster.cli.demo_narration import Narrator
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, fixed


def test_a_line_has_its_time_as_text_only_if_something_happened_and_as_json_always(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_narration, "clock", fixed(START_TS))
    for as_json in (False, True):
        Narrator(as_json).explain("  (warming up)")
        Narrator(as_json).say("an alert of\nB\x1bTC")
    explained, said, *rows = capsys.readouterr().out.splitlines()
    assert explained == "  (warming up)"
    assert said.endswith(" UTC  an alert of?B?TC")
    assert [json.loads(row) for row in rows] == [
        {"ts": START_TS, "text": "(warming up)"},
        {"ts": START_TS, "text": "an alert of\nB\x1bTC"},
    ]


@pytest.mark.slow
def test_the_demo_as_json_is_one_object_a_line(tmp_path: Path) -> None:
    before = time.time()
    outcome = pipeline_v6(tmp_path, "demo", "--no-ui", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    rows = [json.loads(line) for line in outcome.stdout.splitlines()]
    times = [row["ts"] for row in rows]
    assert before <= times[0] <= times[-1] <= time.time()
    assert times == sorted(times)
    assert any(row["text"].startswith("status green, verdict PASS") for row in rows)
    assert {tuple(row) for row in rows} == {("ts", "text")}
