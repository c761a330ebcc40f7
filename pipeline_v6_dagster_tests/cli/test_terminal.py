"""What a log says does not steer the terminal that shows it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.cli.main import run
from pipeline_v6_dagster.cli.terminal import escape_controls

HOSTILE = "a\u202eb\x07c\x1b[2J\u2066\u200f\x9b\x7f\U000e0001"


def test_bidirectional_bell_and_escape_characters_are_escaped() -> None:
    assert escape_controls("a\u202eb\x07\n") == "a\\u202eb\\u0007\n"
    assert escape_controls("Zürich 東京 ok") == "Zürich 東京 ok"


@given(st.text())
def test_json_stays_the_same_and_is_safe(text: str) -> None:
    encoded = json.dumps({"name": text}, ensure_ascii=False)
    escaped = escape_controls(encoded)
    assert json.loads(escaped) == {"name": text}
    assert escaped.isprintable()


def test_an_error_passes_no_control_characters_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_COMPARE_INTERVAL", HOSTILE.replace("\0", ""))
    assert run(["status", "--json"]) != 0
    err = capsys.readouterr().err
    assert err.rstrip("\n").isprintable()


def test_what_a_user_asks_for_passes_no_control_characters_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_V6_HOME", str(tmp_path))
    assert run(["explain", HOSTILE]) == 65
    err = capsys.readouterr().err
    assert "has no decision" in err
    assert err.rstrip("\n").isprintable()
