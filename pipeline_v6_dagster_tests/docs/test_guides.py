"""The guides are run, and the files that they name are looked up."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import make_settings

REPO = Path(__file__).parents[2]
GUIDES = ("getting_started", "concepts", "reference", "glossary")
_PLAYGROUND = "/path/to/playground"
_FILE = re.compile(r"`((?:logs|config)/[\w./-]+)`")


def read_guide(guide: str) -> str:
    return (REPO / "docs" / f"{guide}.md").read_text(encoding="utf-8")


def list_commands(guide: str) -> list[str]:
    """Every line of a console block."""
    blocks = re.findall(r"```console\n(.*?)```", read_guide(guide), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[tuple[str, int]]]:
    """The playground of the first guide after each of its commands was run as written, and how each exited."""
    home = tmp_path_factory.mktemp("playground")
    codes = []
    for line in list_commands("getting_started"):
        if line == "make demo":  # test_demo runs it
            continue
        if line.startswith("export "):
            assert line == f"export PIPELINE_V6_HOME={_PLAYGROUND}"
            continue
        words = line.replace(_PLAYGROUND, str(home)).split()
        if words[0] == ".venv/bin/pipeline-v6":
            words[:1] = [sys.executable, "-m", "pipeline_v6_dagster.cli.main"]
        done = subprocess.run(
            words,
            cwd=REPO,
            env={**os.environ, "PIPELINE_V6_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, 1}, (line, done.stderr)
        codes.append((line, done.returncode))
    return make_settings(home), codes


@pytest.mark.slow
def test_the_first_guide_runs_as_written(played: tuple[Settings, list[tuple[str, int]]]) -> None:
    _, codes = played
    expected = {line: 1 if line.endswith(" status") else 0 for line, _ in codes}
    assert len(codes) >= 9
    assert dict(codes) == expected


@pytest.mark.slow
def test_the_first_guide_ends_where_it_says(played: tuple[Settings, list[tuple[str, int]]]) -> None:
    settings, _ = played
    assert "status red, verdict FAIL" in pipeline_v6(settings.home, "status").stdout
    outcome = pipeline_v6(settings.home, "replay", "--config-dir", str(settings.home / "stricter"))
    assert "0 decisions would be stopped, 0 let through" in outcome.stdout


@pytest.mark.parametrize("guide", GUIDES)
def test_files_of_a_home_that_a_guide_names_are_there(
    guide: str, played: tuple[Settings, list[tuple[str, int]]]
) -> None:
    settings, _ = played
    # Written by Dagster alone: an alert needs a check that failed, a replay report a run with its configuration.
    by_dagster = {"logs/pipeline_v6_alerts.jsonl", "logs/reports/pipeline_v6_replay.json", "logs/history/parity"}
    optional = {"config/exchange_info.json"}
    # A desk has them from its first step of a rollout on.
    by_rollout = {
        "config/rollout.json",
        "logs/pipeline_v6_rollout.jsonl",
        "logs/state/pipeline_v6_rollout.json",
        "logs/reports/pipeline_v6_sign_off.html",
    }
    named = set(_FILE.findall(read_guide(guide))) - by_dagster - optional - by_rollout
    assert sorted(name for name in named if not (settings.home / name).exists()) == []


def test_the_glossary_is_in_order_and_every_word_stands_once() -> None:
    words = [line.split("|")[1].strip().strip("`") for line in read_guide("glossary").splitlines()[4:]]
    assert len(words) >= 40
    keys = [re.sub(r"[^a-z ]", " ", word.lower()) for word in words]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("guide", GUIDES)
def test_settings_that_a_guide_names_are_there(guide: str) -> None:
    known = {field.alias for field in Settings.model_fields.values()}
    # One that begins with an underscore is click's, for shell completion.
    assert set(re.findall(r"\bPIPELINE_\w+", read_guide(guide))) <= known
