"""Shell completion as docs/getting_started.md says it: click's own mechanism, tried in a real bash."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "getting_started.md"
COMMAND = Path(sys.executable).with_name("pipeline-v6")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_guide_prints_a_script_for_each_shell(shell: str) -> None:
    assert f"_PIPELINE_V6_COMPLETE={shell}_source pipeline-v6" in GUIDE.read_text(encoding="utf-8")
    printed = complete(_PIPELINE_V6_COMPLETE=f"{shell}_source")
    assert f"_PIPELINE_V6_COMPLETE={shell}_complete" in printed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pipeline-v6 ", {"status", "acknowledge", "explain", "demo"}),
        ("pipeline-v6 al", {"alerts"}),
        ("pipeline-v6 status --", {"--json", "--watch", "--every", "--help"}),
        ("pipeline-v6 drill --fault double-", {"double-size"}),
    ],
)
def test_commands_options_and_choices_are_completed(words: str, expected: set[str]) -> None:
    position = len(words.split()) - (0 if words.endswith(" ") else 1)
    answers = complete(_PIPELINE_V6_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(position))
    offered = {line.partition(",")[2] for line in answers.splitlines()}
    assert expected <= offered
    assert all(answer.startswith(words.rpartition(" ")[2]) for answer in offered)


def test_bash_understands_the_script() -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = complete(_PIPELINE_V6_COMPLETE="bash_source")
    function = re.findall(r"complete .* -F (\w+) pipeline-v6", script)
    asked = f"{script}\nCOMP_WORDS=(pipeline-v6 ver); COMP_CWORD=1; {function[0]} {COMMAND} ver; echo ${{COMPREPLY[@]}}"
    answered = subprocess.run([bash, "-c", asked], capture_output=True, text=True, check=True)
    assert answered.stdout.split() == ["verify"]


def complete(**environ: str) -> str:
    """What the command prints, asked as a shell asks it."""
    path = str(Path(sys.executable).parent)
    found = subprocess.run(
        [COMMAND],
        env={**os.environ, "PATH": f"{path}{os.pathsep}{os.defpath}", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout
