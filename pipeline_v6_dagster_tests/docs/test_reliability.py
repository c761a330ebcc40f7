"""Each promise of docs/reliability.md names tests that are there."""

import ast
import re
from pathlib import Path

REPO = Path(__file__).parents[2]
PAGE = (REPO / "docs" / "reliability.md").read_text(encoding="utf-8")


def names_of_tests() -> set[str]:
    return {
        node.name
        for path in (REPO / "pipeline_v6_dagster_tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named - names_of_tests() == set()


def test_every_row_of_the_page_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not re.match(r"\| (---|guarantee|what|the log is) \|", row)]
    assert len(promises) > 35
    assert [row for row in promises if "`test_" not in row.rsplit(" | ", 1)[1]] == []
