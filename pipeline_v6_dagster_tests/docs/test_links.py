"""What the documents name is there: links, paths into the repository, commands, make targets."""

import re
from pathlib import Path

import click
import pytest

from pipeline_v6_dagster.cli.main import cli
from pipeline_v6_dagster_tests.docs.pages import anchor_of

REPO = Path(__file__).parents[2]
DOCUMENTS = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").rglob("*.md"))]

# A code span is a path into the repository where it starts with one of these folders ...
_FOLDERS = ("pipeline_v6_dagster", "pipeline_v6_dagster_tests", "docs", "deploy", "benchmarks", ".ci")
# ... or ends as its sources and texts do. What the executor and the stages write ends otherwise.
_PATH = re.compile(
    rf"(?:{'|'.join(map(re.escape, _FOLDERS))})/[\w./-]*|[\w./-]+\.(?:py|md|cfg|toml)|Makefile|requirements\.lock"
)

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"\bpipeline-v6 ([a-z][a-z-]*)")
_TARGET = re.compile(r"\bmake (?:[A-Z]+=\S+ )*([a-z][a-z-]*)")


def links(text: str) -> set[str]:
    """Targets of links within the repository."""
    return {target for target in _LINK.findall(_FENCE.sub("", text)) if "://" not in target}


def paths(text: str) -> set[str]:
    """Code spans that are paths into the repository."""
    return {span for span in _SPAN.findall(_FENCE.sub("", text)) if _PATH.fullmatch(span)}


def code(text: str) -> str:
    """Code spans and code blocks, one a line."""
    return "\n".join((*_FENCE.findall(text), *_SPAN.findall(_FENCE.sub("", text))))


def anchors(text: str) -> set[str]:
    """What a link may name after `#`, as GitHub makes it from the headings."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return set(map(anchor_of, headings))


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(REPO)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_paths_are_there(document: Path) -> None:
    named = paths(document.read_text(encoding="utf-8"))
    missing = [path for path in sorted(named) if not any((root / path).exists() for root in _roots())]
    assert not missing


def test_commands_and_make_targets_are_there(document: Path) -> None:
    shown = code(document.read_text(encoding="utf-8"))
    targets = re.findall(r"^([a-z][a-z-]*):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(_COMMAND.findall(shown)) <= set(cli.list_commands(click.Context(cli)))
    assert set(_TARGET.findall(shown)) <= set(targets)


def test_what_is_looked_for_is_found() -> None:
    text = (
        "# A head: one\n[a](docs/x.md#a-head-one) [b](https://b.example) `shadow/rules.py` `config/risk_limits.json`\n"
        "`docs/adr/` `make PYTHON=/p test` make sure\n```console\npipeline-v6 shadow --json\n[c](d)\n```\n"
    )
    assert links(text) == {"docs/x.md#a-head-one"}
    assert paths(text) == {"shadow/rules.py", "docs/adr/"}
    assert anchors(text) == {"a-head-one"}
    assert _COMMAND.findall(code(text)) == ["shadow"]
    assert _TARGET.findall(code(text)) == ["test"]


def _roots() -> tuple[Path, Path]:
    """A path is written from the root, or from the package where it is clear which room is meant."""
    return REPO, REPO / "pipeline_v6_dagster"
